//! Claims: where they lead, which of them want the CPU, which one has it.

use cloison_abi::{call::NO_DEADLINE, limits::BACKGROUND_PRIORITY};

use super::{PASSED, State, Tasks};
use crate::{DomainId, TABLE_ENTRIES};

impl Tasks {
    /// Gives the CPU to the claim whose turn it is. Returns the task that runs by it; none if no claim wants the
    /// CPU.
    #[inline(always)]
    pub fn pick(&mut self) -> Option<DomainId> {
        if self.stale {
            self.look_at_all();
        }
        self.picked = true;
        self.claim = self.ready.first();
        self.level = self.claim.map_or(0, |claim| self.get(claim).priority + 1);
        let leads_to = |claim| match self.get(claim).state {
            State::Runnable => Some(claim),
            _ => self.leads_to(claim),
        };
        self.current = self.claim.and_then(leads_to);
        self.current
    }

    /// Something has happened that can take the turn from the claim that has it.
    #[inline(always)]
    pub(super) fn reconsider(&mut self) {
        (self.settled, self.picked) = (false, false);
    }

    /// The task that a domain's claim leads to: the task that the domain waits for, or itself. None if that one
    /// cannot run.
    pub(super) fn leads_to(&self, id: DomainId) -> Option<DomainId> {
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

    /// Whether a domain has something to do for itself. A server that serves a client has, if an event has
    /// arrived, or a deadline has passed, for which it has waited last.
    #[inline(always)]
    fn is_busy_for_itself(&self, id: DomainId) -> bool {
        let task = self.get(id);
        task.serving.is_none() || task.pending & task.mask != 0 || task.deadline == PASSED
    }

    /// Whether a domain's claim wants the CPU.
    #[inline(always)]
    pub(super) fn is_wanted(&self, id: DomainId) -> bool {
        self.is_busy_for_itself(id) && self.leads_to(id).is_some()
    }

    /// Looks again whether a domain's claim wants the CPU.
    #[inline(never)]
    pub(super) fn look_at(&mut self, id: DomainId) {
        if self.is_wanted(id) {
            self.admit(id);
        } else {
            self.withdraw(id);
        }
    }

    /// Looks again at every claim, before one is picked.
    #[inline(always)]
    pub(super) fn look_at_all_later(&mut self) {
        self.stale = true;
        self.reconsider();
    }

    #[cold]
    #[inline(never)]
    fn look_at_all(&mut self) {
        self.stale = false;
        DomainId::all().for_each(|id| self.look_at(id));
    }

    /// A task can go on that could not. (No domain that has faulted waits for it: see [`Tasks::halt`].)
    #[inline(always)]
    pub(super) fn admit_those_of(&mut self, id: DomainId) {
        let task = self.get(id);
        if task.serving.is_some() || task.callers.is_some() {
            // It goes on for others. What it waited for has come, or will not.
            self.task(id).deadline = NO_DEADLINE;
            self.look_at_all_later();
        } else {
            self.admit(id);
        }
    }

    /// A task goes no further for now.
    #[inline(always)]
    pub(super) fn withdraw_those_of(&mut self, id: DomainId) {
        let task = self.get(id);
        if task.serving.is_some() || task.callers.is_some() {
            self.look_at_all_later();
        } else {
            self.withdraw(id);
        }
    }

    /// A claim wants the CPU.
    #[inline(always)]
    fn admit(&mut self, id: DomainId) {
        let priority = self.get(id).priority;
        self.ready.insert(id, priority);
        let level = priority + 1;
        // One of lower priority ends nobody's turn, so all stays as it was decided.
        if self.level > level {
            return;
        }
        self.settled = false;
        // One of the same priority has its turn later: an alarm is needed.
        if self.level == level {
            return;
        }
        if self.picked && self.get(id).state == State::Runnable {
            self.ready.give_turn(id, priority);
            (self.claim, self.current, self.level) = (Some(id), Some(id), level);
        } else {
            self.picked = false;
        }
    }

    /// A claim wants the CPU no more.
    #[inline(always)]
    pub(super) fn withdraw(&mut self, id: DomainId) {
        let priority = self.get(id).priority;
        self.ready.remove(id, priority);
        if self.claim == Some(id) {
            self.reconsider();
        }
    }

    /// Whether a domain's budget is used up, so that its claim has only the background's priority.
    #[inline(always)]
    pub(super) fn is_spent(&self, id: DomainId) -> bool {
        let task = self.get(id);
        task.priority != task.base_priority
    }

    /// The budget of a domain is used up: until its next period its claim is in the background.
    pub(super) fn spend(&mut self, id: DomainId) {
        self.set_priority(id, BACKGROUND_PRIORITY);
        let renewed_at = self.budget(id).renewed_at();
        self.next_deadline = self.next_deadline.min(renewed_at);
    }

    pub(super) fn set_priority(&mut self, id: DomainId, priority: u8) {
        let old = self.get(id).priority;
        let was_there = self.ready.contains(id, old);
        self.ready.remove(id, old);
        self.task(id).priority = priority;
        if was_there {
            self.ready.insert(id, priority);
        }
        self.reconsider();
    }

    /// The highest priority of those who wait for what a domain does, its own among them.
    pub(super) fn rank(&self, id: DomainId) -> u8 {
        let mut rank = 0;
        let mut at = Some(id);
        for _ in 0..TABLE_ENTRIES {
            let Some(task) = at.map(|id| self.get(id)) else { break };
            rank = rank.max(task.callers.map_or(0, |first| self.get(first).rank));
            if task.serving.is_none() {
                rank = rank.max(task.base_priority);
            }
            at = task.serving;
        }
        rank
    }
}
