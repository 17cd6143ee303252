//! Gates and events: who meets whom.

use cloison_abi::{
    CallError,
    call::{NO_DEADLINE, POLL},
};

use super::{Called, Next, PASSED, State, Tasks};
use crate::{DomainId, TABLE_ENTRIES};

impl Tasks {
    /// The running task calls a server.
    ///
    /// # Errors
    /// [`CallError::SelfCall`]; [`CallError::PeerFailed`] if the server has ended.
    pub fn call(&mut self, caller: DomainId, server: DomainId, badge: u32) -> Result<Called, CallError> {
        if caller == server {
            return Err(CallError::SelfCall);
        }
        if self.call_at_once(caller, server) {
            return Ok(Called::Taken);
        }
        if matches!(self.get(server).state, State::Free | State::Stopped) {
            return Err(CallError::PeerFailed);
        }
        let rank = self.rank(caller);
        let task = self.task(caller);
        (task.badge, task.rank, task.state) = (badge, rank, State::Calling(server));
        self.queue_caller(server, caller);
        self.raise(server, rank);
        if self.leads_to(caller).is_none() {
            self.look_at_all_later();
        }
        self.reconsider();
        Ok(Called::Queued)
    }

    /// What [`Tasks::call`] does when the server waits for a message: it takes this one, and the claim by which
    /// the caller runs leads to it. Returns whether it was so; else nothing has been done.
    #[inline(always)]
    pub fn call_at_once(&mut self, caller: DomainId, server: DomainId) -> bool {
        if self.get(server).state != State::Receiving {
            return false;
        }
        self.serve(server, caller);
        self.task(server).state = State::Runnable;
        self.current = Some(server);
        true
    }

    /// What [`Tasks::reply_wait`] does when nothing stands in the way: a client waits for the reply, nobody
    /// else and nothing that is due soon has to be looked at, so the client goes on. Returns the client if it
    /// was so; else nothing has been done.
    #[inline(always)]
    pub fn reply_at_once(&mut self, server: DomainId, mask: u64, deadline: u64) -> Option<DomainId> {
        let task = self.get(server);
        let client = task.serving?;
        // So the server's own claim is not there, and the claim by which it runs is the client's, or lent to it.
        let nothing_else = task.pending & (mask | task.mask) == 0
            && task.deadline != PASSED
            && task.callers.is_none()
            && !task.has_patients
            && deadline >= self.next_deadline;
        if !nothing_else {
            return None;
        }
        let task = self.task(server);
        task.serving = None;
        task.state = State::Receiving;
        task.mask = mask;
        task.deadline = deadline;
        self.task(client).state = State::Runnable;
        self.current = Some(client);
        Some(client)
    }

    /// The running task, a server, is done with its client and waits for what comes next. Returns the client
    /// to which its reply goes, and what comes next.
    pub fn reply_wait(&mut self, server: DomainId, mask: u64, deadline: u64) -> (Option<DomainId>, Next) {
        let client = self.task(server).serving.take();
        if let Some(client) = client {
            self.task(client).state = State::Runnable;
        }
        let next = self.next_for(server, mask, deadline);
        if next != Next::Blocked {
            // What it does now may be for itself, where it was for the client, or the other way round.
            self.look_at(server);
            self.reconsider();
        }
        (client, next)
    }

    fn next_for(&mut self, server: DomainId, mask: u64, deadline: u64) -> Next {
        let task = self.task(server);
        let events = task.pending & mask;
        if events != 0 {
            task.pending &= !events;
            return Next::Events(events);
        }
        if let Some(caller) = task.callers {
            let after = self.task(caller).next_caller.take();
            self.task(server).callers = after;
            self.remember(server, mask, if deadline == POLL { NO_DEADLINE } else { deadline });
            self.serve(server, caller);
            return Next::Message(caller, self.get(caller).badge);
        }
        if deadline == POLL {
            return Next::TimedOut;
        }
        self.block(server, State::Receiving, mask, deadline);
        Next::Blocked
    }

    /// What [`Tasks::wait`] does for a task that does not want to wait: it looks, and nothing else changes. None
    /// if more than that is to be done; then nothing has been done.
    #[inline(always)]
    pub fn poll(&mut self, id: DomainId, mask: u64) -> Option<Next> {
        let task = self.task(id);
        let events = task.pending & mask;
        if events == 0 {
            return Some(Next::TimedOut);
        }
        if task.serving.is_some() {
            return None;
        }
        task.pending &= !events;
        Some(Next::Events(events))
    }

    /// The running task waits for an event. Returns the events, if some have arrived already.
    pub fn wait(&mut self, id: DomainId, mask: u64, deadline: u64) -> Next {
        let task = self.task(id);
        let events = task.pending & mask;
        if events != 0 {
            task.pending &= !events;
            if task.serving.is_some() {
                self.look_at(id);
            }
            return Next::Events(events);
        }
        if deadline == POLL {
            return Next::TimedOut;
        }
        self.block(id, State::Waiting, mask, deadline);
        Next::Blocked
    }

    /// Sets event bits of a domain. Returns those that it has been waiting for and now gets.
    #[inline(always)]
    pub fn signal(&mut self, target: DomainId, bits: u64) -> Option<u64> {
        let task = self.task(target);
        task.pending |= bits;
        let events = task.pending & task.mask;
        if events == 0 {
            return None;
        }
        if matches!(task.state, State::Waiting | State::Receiving) {
            task.pending &= !events;
            self.wake(target);
            return Some(events);
        }
        if task.serving.is_some() {
            self.look_at_all_later();
        }
        None
    }

    /// A task goes no further for now.
    #[inline(always)]
    fn block(&mut self, id: DomainId, state: State, mask: u64, deadline: u64) {
        self.task(id).state = state;
        self.remember(id, mask, deadline);
        self.discharge_patients(id);
        self.withdraw_those_of(id);
        self.reconsider();
    }

    /// A task that waits can go on.
    #[inline(always)]
    pub(super) fn wake(&mut self, id: DomainId) {
        let task = self.task(id);
        task.state = State::Runnable;
        self.turns[id.index()] = self.quantum;
        self.admit_those_of(id);
    }

    /// What a task waits for.
    #[inline(always)]
    fn remember(&mut self, id: DomainId, mask: u64, deadline: u64) {
        let task = self.task(id);
        (task.mask, task.deadline) = (mask, deadline);
        if deadline < self.next_deadline {
            self.next_deadline = deadline;
            self.settled = false;
        }
    }

    /// A handler that waits is done, for now, with those that have faulted: they do not wait for what it does.
    #[inline(always)]
    pub(super) fn discharge_patients(&mut self, handler: DomainId) {
        if self.get(handler).has_patients {
            self.discharge_all(handler);
        }
    }

    #[cold]
    fn discharge_all(&mut self, handler: DomainId) {
        self.task(handler).has_patients = false;
        for id in DomainId::all().filter(|id| *id != handler) {
            if self.get(id).state == State::Faulted(Some(handler)) {
                self.task(id).state = State::Faulted(None);
            }
        }
        self.look_at_all_later();
    }

    /// `server` takes the message of `client`.
    #[inline(always)]
    fn serve(&mut self, server: DomainId, client: DomainId) {
        self.task(client).state = State::Served(server);
        self.task(server).serving = Some(client);
    }

    /// Puts a caller into the queue of a server: after those of its rank, before those of lower ones.
    fn queue_caller(&mut self, server: DomainId, caller: DomainId) {
        let rank = self.get(caller).rank;
        let mut previous = None;
        let mut at = self.get(server).callers;
        while let Some(other) = at
            && self.get(other).rank >= rank
        {
            previous = at;
            at = self.get(other).next_caller;
        }
        self.task(caller).next_caller = at;
        match previous {
            None => self.task(server).callers = Some(caller),
            Some(previous) => self.task(previous).next_caller = Some(caller),
        }
    }

    pub(super) fn unqueue_caller(&mut self, server: DomainId, caller: DomainId) {
        let after = self.task(caller).next_caller.take();
        if self.get(server).callers == Some(caller) {
            self.task(server).callers = after;
            return;
        }
        let previous = DomainId::all().find(|other| self.get(*other).next_caller == Some(caller));
        if let Some(previous) = previous {
            self.task(previous).next_caller = after;
        }
    }

    /// Somebody of this rank waits for `id`. Where that one waits for others in turn, it does so with this rank,
    /// or those between could keep it there for ever.
    fn raise(&mut self, id: DomainId, rank: u8) {
        let mut at = id;
        for _ in 0..TABLE_ENTRIES {
            at = match self.get(at).state {
                State::Calling(server) => {
                    if self.get(at).rank < rank {
                        self.unqueue_caller(server, at);
                        self.task(at).rank = rank;
                        self.queue_caller(server, at);
                    }
                    server
                }
                State::Served(server) => server,
                _ => return,
            };
        }
    }
}
