//! Claims: where they lead, which of them want the CPU, which one has it.

use cloison_abi::{call::NO_DEADLINE, limits::BACKGROUND_PRIORITY};

use super::{PASSED, State, Threads};
use crate::{TABLE_ENTRIES, ThreadId};

impl Threads {
    /// Gives the CPU to the claim whose turn it is. Returns the thread that runs by it; none if no claim wants the
    /// CPU.
    #[inline(never)]
    pub fn pick(&mut self) -> Option<ThreadId> {
        if self.dispatch.stale {
            self.look_at_all();
        }
        self.dispatch.picked = true;
        self.dispatch.claim = self.dispatch.ready.first();
        self.dispatch.level = self.dispatch.claim.map_or(0, |claim| self.get(claim).priority + 1);
        let leads_to = |claim| match self.get(claim).state {
            State::Runnable => Some(claim),
            _ => self.leads_to(claim),
        };
        self.dispatch.current = self.dispatch.claim.and_then(leads_to);
        self.dispatch.current
    }

    /// The thread that a thread's claim leads to: the thread that the thread waits for, or itself. None if that one
    /// cannot run.
    pub(super) fn leads_to(&self, id: ThreadId) -> Option<ThreadId> {
        let mut at = id;
        // A chain that is longer than the table is a circle, in which nobody can go on.
        for _ in 0..TABLE_ENTRIES {
            at = match self.get(at).state {
                State::Runnable => return Some(at),
                State::Calling(server) | State::Served(server) => server,
                State::Faulted(Some(handler)) => handler,
                _ => return None,
            }
        }
        None
    }

    /// Whether a thread has something to do for itself. A server that serves a client has, if an event has
    /// arrived, or a deadline has passed, for which it has waited last.
    #[inline(always)]
    fn is_busy_for_itself(&self, id: ThreadId) -> bool {
        let thread = self.get(id);
        thread.serving.is_none() || thread.pending & thread.mask != 0 || thread.deadline == PASSED
    }

    /// Whether a thread's claim wants the CPU.
    #[inline(always)]
    pub(super) fn is_wanted(&self, id: ThreadId) -> bool {
        self.is_busy_for_itself(id) && self.leads_to(id).is_some()
    }

    /// Looks again whether a thread's claim wants the CPU.
    #[inline(never)]
    pub(super) fn look_at(&mut self, id: ThreadId) {
        if self.is_wanted(id) {
            self.admit(id, self.get(id).state == State::Runnable);
        } else {
            self.withdraw(id);
        }
    }

    /// Looks again at every claim, before one is picked.
    #[inline(always)]
    pub(super) fn look_at_all_later(&mut self) {
        self.dispatch.stale = true;
        self.dispatch.reconsider();
    }

    #[cold]
    #[inline(never)]
    fn look_at_all(&mut self) {
        self.dispatch.stale = false;
        ThreadId::all().for_each(|id| self.look_at(id));
    }

    /// A thread can go on that could not. (No thread that has faulted waits for it: see [`Threads::halt`].)
    #[inline(always)]
    pub(super) fn admit_those_of(&mut self, id: ThreadId) {
        let thread = self.get(id);
        if thread.serving.is_some() || thread.callers.is_some() {
            // It goes on for others. What it waited for has come, or will not.
            self.thread(id).deadline = NO_DEADLINE;
            self.look_at_all_later();
        } else {
            self.admit(id, true);
        }
    }

    /// A thread goes no further for now.
    #[inline(always)]
    pub(super) fn withdraw_those_of(&mut self, id: ThreadId) {
        let thread = self.get(id);
        if thread.serving.is_some() || thread.callers.is_some() {
            self.look_at_all_later();
        } else {
            self.withdraw(id);
        }
    }

    /// A claim wants the CPU, for its own thread or for another one.
    #[inline(always)]
    fn admit(&mut self, id: ThreadId, for_itself: bool) {
        let priority = self.get(id).priority;
        self.dispatch.ready.insert(id, priority);
        let level = priority + 1;
        // One of lower priority ends nobody's turn, so all stays as it was decided.
        if self.dispatch.level > level {
            return;
        }
        self.dispatch.settled = false;
        // One of the same priority has its turn later: an alarm is needed.
        if self.dispatch.level == level {
            return;
        }
        if self.dispatch.picked && for_itself {
            self.dispatch.ready.give_turn(id, priority);
            (self.dispatch.claim, self.dispatch.current, self.dispatch.level) = (Some(id), Some(id), level);
        } else {
            self.dispatch.picked = false;
        }
    }

    /// A claim wants the CPU no more.
    #[inline(always)]
    pub(super) fn withdraw(&mut self, id: ThreadId) {
        let priority = self.get(id).priority;
        self.dispatch.ready.remove(id, priority);
        if self.dispatch.claim == Some(id) {
            self.dispatch.reconsider();
        }
    }

    /// Whether a thread's budget is used up, so that its claim has only the background's priority.
    #[inline(always)]
    pub(super) fn is_spent(&self, id: ThreadId) -> bool {
        let thread = self.get(id);
        thread.priority != thread.base_priority
    }

    /// The budget of a thread is used up: until its next period its claim is in the background.
    pub(super) fn spend(&mut self, id: ThreadId) {
        self.set_priority(id, BACKGROUND_PRIORITY);
        let renewed_at = self.budget(id).renewed_at();
        self.dispatch.expect(renewed_at);
    }

    pub(super) fn set_priority(&mut self, id: ThreadId, priority: u8) {
        let old = self.get(id).priority;
        let was_there = self.dispatch.ready.contains(id, old);
        self.dispatch.ready.remove(id, old);
        self.thread(id).priority = priority;
        if was_there {
            self.dispatch.ready.insert(id, priority);
        }
        self.dispatch.reconsider();
    }

    /// The highest priority of those who wait for what a thread does, its own among them.
    pub(super) fn rank(&self, id: ThreadId) -> u8 {
        let mut rank = 0;
        let mut at = Some(id);
        for _ in 0..TABLE_ENTRIES {
            let Some(thread) = at.map(|id| self.get(id)) else { break };
            rank = rank.max(thread.callers.map_or(0, |first| self.get(first).rank));
            if thread.serving.is_none() {
                rank = rank.max(thread.base_priority);
            }
            at = thread.serving;
        }
        rank
    }
}
