//! Gates and events: who meets whom.

use cloison_abi::{CallError, call::POLL};

use super::{Called, Next, State, Task, Tasks};
use crate::DomainId;

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
        self.task(caller).badge = badge;
        match self.get(server).state {
            State::Receiving => {
                self.serve_if_paid(server, caller);
                self.task(server).state = State::Running;
                self.current = Some(server);
                self.settled = false;
                Ok(Called::Taken)
            }
            State::Free | State::Stopped => Err(CallError::PeerFailed),
            _ => {
                self.queue_caller(server, caller);
                self.task(caller).state = State::Calling(server);
                self.give_up_cpu();
                Ok(Called::Queued)
            }
        }
    }

    /// What [`Tasks::call`] does when nothing stands in the way: the server waits for a message, so it takes
    /// this one and runs on the client's account. Returns whether it was so; else nothing has been done.
    #[inline(always)]
    pub fn call_at_once(&mut self, caller: DomainId, server: DomainId) -> bool {
        if self.get(server).state != State::Receiving || self.payer_is_spent {
            return false;
        }
        let account = self.get(caller).account;
        self.serve(server, caller, account);
        self.task(server).state = State::Running;
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
        let Task { priority, account, .. } = *self.get(client);
        let nothing_else = task.pending & mask == 0
            && task.callers.is_none()
            && deadline >= self.next_deadline
            && !self.ready.waits_above(priority)
            && self.payer == account;
        if !nothing_else {
            return None;
        }
        let task = self.task(server);
        task.serving = None;
        task.priority = task.own_priority;
        task.account = Some(server);
        task.state = State::Receiving;
        task.mask = mask;
        task.deadline = deadline;
        self.task(client).state = State::Running;
        self.current = Some(client);
        Some(client)
    }

    /// The running task, a server, is done with its client and waits for what comes next. Returns the client
    /// to which its reply goes, and what comes next.
    pub fn reply_wait(&mut self, server: DomainId, mask: u64, deadline: u64) -> (Option<DomainId>, Next) {
        let task = self.task(server);
        let client = task.serving.take();
        task.priority = task.own_priority;
        task.account = Some(server);
        let next = self.next_for(server, mask, deadline);
        match (client, next) {
            (Some(client), Next::Blocked) => self.continue_with(client),
            (Some(client), _) => {
                self.make_ready(client);
                self.give_way();
            }
            (None, Next::Blocked) => self.give_up_cpu(),
            (None, _) => self.give_way(),
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
            // Another account may pay from here on.
            self.settled = false;
            let after = self.task(caller).next_caller.take();
            self.task(server).callers = after;
            self.serve_if_paid(server, caller);
            return Next::Message(caller, self.get(caller).badge);
        }
        if deadline == POLL {
            return Next::TimedOut;
        }
        self.block(server, State::Receiving, mask, deadline);
        Next::Blocked
    }

    /// What [`Tasks::wait`] does for a task that does not want to wait: it looks, and nothing else changes.
    #[inline(always)]
    pub fn poll(&mut self, id: DomainId, mask: u64) -> Next {
        let task = self.task(id);
        let events = task.pending & mask;
        task.pending &= !events;
        if events == 0 { Next::TimedOut } else { Next::Events(events) }
    }

    /// The running task waits for an event. Returns the events, if some have arrived already.
    pub fn wait(&mut self, id: DomainId, mask: u64, deadline: u64) -> Next {
        let task = self.task(id);
        let events = task.pending & mask;
        if events != 0 {
            task.pending &= !events;
            return Next::Events(events);
        }
        if deadline == POLL {
            return Next::TimedOut;
        }
        self.block(id, State::Waiting, mask, deadline);
        self.give_up_cpu();
        Next::Blocked
    }

    /// Sets event bits of a domain. Returns those that it has been waiting for and now gets.
    #[inline(always)]
    pub fn signal(&mut self, target: DomainId, bits: u64) -> Option<u64> {
        let task = self.task(target);
        task.pending |= bits;
        let events = task.pending & task.mask;
        let wakes = matches!(task.state, State::Waiting | State::Receiving) && events != 0;
        if !wakes {
            return None;
        }
        task.pending &= !events;
        self.turns[target.index()] = self.quantum;
        self.make_ready(target);
        Some(events)
    }

    /// `server` takes the message of `client`, with its priority, and on its account, unless that has no time
    /// to lend: then on its own.
    fn serve_if_paid(&mut self, server: DomainId, client: DomainId) {
        let lent = self.get(client).account.filter(|account| !self.is_spent(*account));
        self.serve(server, client, lent.or(Some(server)));
    }

    /// `server` takes the message of `client`, with its priority, on an account.
    #[inline(always)]
    fn serve(&mut self, server: DomainId, client: DomainId, account: Option<DomainId>) {
        let lender = self.task(client);
        lender.state = State::Served(server);
        let priority = lender.priority;
        let task = self.task(server);
        task.serving = Some(client);
        task.account = account;
        task.priority = task.priority.max(priority);
    }

    /// Puts a caller into the queue of a server: after those of its priority, before those of lower ones.
    fn queue_caller(&mut self, server: DomainId, caller: DomainId) {
        let priority = self.get(caller).priority;
        let mut previous = None;
        let mut at = self.get(server).callers;
        while let Some(other) = at
            && self.get(other).priority >= priority
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
}
