//! Gates and events: who meets whom.

use cloison_abi::{
    CallError,
    call::{NO_DEADLINE, POLL},
};

use super::{Called, HELD_CLIENT, Next, PASSED, SUPERVISES, State, Threads};
use crate::{TABLE_ENTRIES, ThreadId};

impl Threads {
    /// The running thread calls a server.
    ///
    /// # Errors
    /// [`CallError::SelfCall`]; [`CallError::PeerFailed`] if the server has ended.
    pub fn call(&mut self, caller: ThreadId, server: ThreadId, badge: u32) -> Result<Called, CallError> {
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
        let thread = self.thread(caller);
        (thread.badge, thread.rank, thread.state) = (badge, rank, State::Calling(server));
        self.queue_caller(server, caller);
        self.raise(server, rank);
        if self.leads_to(caller).is_none() {
            self.look_at_all_later();
        }
        self.dispatch.reconsider();
        Ok(Called::Queued)
    }

    /// What [`Threads::call`] does when the server waits for a message: it takes this one, and the claim by which
    /// the caller runs leads to it. Returns whether it was so; else nothing has been done.
    #[inline(always)]
    pub fn call_at_once(&mut self, caller: ThreadId, server: ThreadId) -> bool {
        if self.get(server).state != State::Receiving {
            return false;
        }
        self.serve(server, caller);
        self.thread(server).state = State::Runnable;
        self.dispatch.current = Some(server);
        true
    }

    /// What [`Threads::reply_wait`] does when nothing stands in the way: a client waits for the reply, nobody
    /// else and nothing that is due soon has to be looked at, so the client goes on. Returns the client if it
    /// was so; else nothing has been done.
    #[inline(always)]
    pub fn reply_at_once(&mut self, server: ThreadId, mask: u64, deadline: u64) -> Option<ThreadId> {
        let thread = self.get(server);
        let client = thread.serving?;
        // So the server's own claim is not there, and the claim by which it runs is the client's, or lent to it.
        let nothing_else = thread.pending & (mask | thread.mask) == 0
            && thread.deadline != PASSED
            && thread.callers.is_none()
            && thread.in_the_way == 0
            && deadline >= self.dispatch.next_deadline;
        if !nothing_else {
            return None;
        }
        let thread = self.thread(server);
        thread.serving = None;
        thread.state = State::Receiving;
        thread.mask = mask;
        thread.deadline = deadline;
        self.thread(client).state = State::Runnable;
        self.dispatch.current = Some(client);
        Some(client)
    }

    /// The running thread, a server, is done with its client and waits for what comes next. Returns the client
    /// to which its reply goes, and what comes next.
    pub fn reply_wait(&mut self, server: ThreadId, mask: u64, deadline: u64) -> (Option<ThreadId>, Next) {
        let client = self.take_served(server);
        if let Some(client) = client {
            self.release(client);
        }
        let next = self.next_for(server, mask, deadline);
        if next != Next::Blocked {
            // What it does now may be for itself, where it was for the client, or the other way round.
            self.look_at(server);
            self.dispatch.reconsider();
        }
        (client, next)
    }

    pub(super) fn next_for(&mut self, server: ThreadId, mask: u64, deadline: u64) -> Next {
        let thread = self.thread(server);
        let events = thread.pending & mask;
        if events != 0 {
            thread.pending &= !events;
            return Next::Events(events);
        }
        if let Some(caller) = thread.callers {
            let after = self.thread(caller).next_caller.take();
            self.thread(server).callers = after;
            self.remember(server, mask, if deadline == POLL { NO_DEADLINE } else { deadline });
            self.serve(server, caller);
            self.note_whether_held(caller);
            return Next::Message(caller, self.get(caller).badge);
        }
        if deadline == POLL {
            return Next::TimedOut;
        }
        self.block(server, State::Receiving, mask, deadline);
        Next::Blocked
    }

    /// What [`Threads::wait`] does for a thread that does not want to wait: it looks, and nothing else changes. Returns
    /// the events, 0 if there are none. None if more than that is to be done; then nothing has been done.
    #[inline(always)]
    pub fn poll(&mut self, id: ThreadId, mask: u64) -> Option<u64> {
        let thread = self.thread(id);
        let events = thread.pending & mask;
        if events != 0 {
            if thread.serving.is_some() {
                return None;
            }
            thread.pending &= !events;
        }
        Some(events)
    }

    /// The running thread waits for an event. Returns the events, if some have arrived already.
    pub fn wait(&mut self, id: ThreadId, mask: u64, deadline: u64) -> Next {
        let events = self.take_events(id, mask);
        if events != 0 {
            return Next::Events(events);
        }
        if deadline == POLL {
            return Next::TimedOut;
        }
        self.block(id, State::Waiting, mask, deadline);
        Next::Blocked
    }

    /// Takes the events of a mask that have arrived for the running thread.
    #[inline]
    fn take_events(&mut self, id: ThreadId, mask: u64) -> u64 {
        let thread = self.thread(id);
        let events = thread.pending & mask;
        if events != 0 {
            thread.pending &= !events;
            if thread.serving.is_some() {
                self.look_at(id);
            }
        }
        events
    }

    /// The running thread runs a guest, until then at the latest. Returns whether it can do so at once: nothing is to be
    /// decided, and the guest is not to come out before it has begun. (A deadline that has passed is put off; see
    /// [`cloison_abi::limits::MIN_WAIT_US`].)
    #[inline(always)]
    pub fn enter_guest(&mut self, id: ThreadId, mask: u64, deadline: u64) -> bool {
        self.limits[id.index()] = deadline;
        if deadline == POLL {
            return false;
        }
        self.dispatch.expect(deadline);
        self.get(id).pending & mask == 0 && self.is_settled()
    }

    /// It runs none any more.
    #[inline(always)]
    pub fn leave_guest(&mut self, id: ThreadId) {
        self.limits[id.index()] = 0;
    }

    /// Why the thread that is about to go on in its guest should not: events of the mask, which are taken, or its
    /// deadline has passed.
    pub fn guest_is_due(&mut self, id: ThreadId, mask: u64, now: impl FnOnce() -> u64) -> Option<Next> {
        let events = self.take_events(id, mask);
        let deadline = self.limits[id.index()];
        match events {
            0 if deadline == NO_DEADLINE || deadline > now() => None,
            0 => Some(Next::TimedOut),
            events => Some(Next::Events(events)),
        }
    }

    /// Sets event bits of a thread. Returns those that it has been waiting for and now gets.
    #[inline(always)]
    pub fn signal(&mut self, target: ThreadId, bits: u64) -> Option<u64> {
        let thread = self.thread(target);
        thread.pending |= bits;
        let events = thread.pending & thread.mask;
        if events == 0 {
            return None;
        }
        if matches!(thread.state, State::Waiting | State::Receiving) {
            thread.pending &= !events;
            self.wake(target);
            return Some(events);
        }
        if thread.serving.is_some() {
            self.look_at_all_later();
        }
        None
    }

    /// A thread goes no further for now.
    #[inline(always)]
    fn block(&mut self, id: ThreadId, state: State, mask: u64, deadline: u64) {
        self.thread(id).state = state;
        self.remember(id, mask, deadline);
        self.discharge_supervised(id);
        self.withdraw_those_of(id);
        self.dispatch.reconsider();
    }

    /// A thread that waits can go on.
    #[inline(always)]
    pub(super) fn wake(&mut self, id: ThreadId) {
        let thread = self.thread(id);
        thread.state = State::Runnable;
        self.begin_turn(id);
        self.admit_those_of(id);
    }

    /// What a thread waits for.
    #[inline(always)]
    fn remember(&mut self, id: ThreadId, mask: u64, deadline: u64) {
        let thread = self.thread(id);
        (thread.mask, thread.deadline) = (mask, deadline);
        self.dispatch.expect(deadline);
    }

    /// A handler that waits is done, for now, with those that have faulted: they do not wait for what it does.
    #[inline(always)]
    pub(super) fn discharge_supervised(&mut self, handler: ThreadId) {
        if self.get(handler).supervises_somebody() {
            self.discharge_all(handler);
        }
    }

    #[cold]
    fn discharge_all(&mut self, handler: ThreadId) {
        self.thread(handler).in_the_way &= !SUPERVISES;
        for id in ThreadId::all().filter(|id| *id != handler) {
            if self.get(id).state == State::Faulted(Some(handler)) {
                self.thread(id).state = State::Faulted(None);
            }
        }
        self.look_at_all_later();
    }

    /// `server` takes the message of `client`.
    #[inline(always)]
    fn serve(&mut self, server: ThreadId, client: ThreadId) {
        self.thread(client).state = State::Served(server);
        self.thread(server).serving = Some(client);
    }

    /// A server is done with the client that it serves, if it serves one. Returns that.
    #[inline(always)]
    pub(super) fn take_served(&mut self, server: ThreadId) -> Option<ThreadId> {
        let thread = self.thread(server);
        thread.in_the_way &= !HELD_CLIENT;
        thread.serving.take()
    }

    /// Puts a caller into the queue of a server: after those of its rank, before those of lower ones.
    fn queue_caller(&mut self, server: ThreadId, caller: ThreadId) {
        let rank = self.get(caller).rank;
        let mut previous = None;
        let mut at = self.get(server).callers;
        while let Some(other) = at
            && self.get(other).rank >= rank
        {
            previous = at;
            at = self.get(other).next_caller;
        }
        self.thread(caller).next_caller = at;
        match previous {
            None => self.thread(server).callers = Some(caller),
            Some(previous) => self.thread(previous).next_caller = Some(caller),
        }
    }

    pub(super) fn unqueue_caller(&mut self, server: ThreadId, caller: ThreadId) {
        let after = self.thread(caller).next_caller.take();
        if self.get(server).callers == Some(caller) {
            self.thread(server).callers = after;
            return;
        }
        let previous = ThreadId::all().find(|other| self.get(*other).next_caller == Some(caller));
        if let Some(previous) = previous {
            self.thread(previous).next_caller = after;
        }
    }

    /// Somebody of this rank waits for `id`. Where that one waits for others in turn, it does so with this rank,
    /// or those between could keep it there for ever.
    fn raise(&mut self, id: ThreadId, rank: u8) {
        let mut at = id;
        for _ in 0..TABLE_ENTRIES {
            at = match self.get(at).state {
                State::Calling(server) => {
                    if self.get(at).rank < rank {
                        self.unqueue_caller(server, at);
                        self.thread(at).rank = rank;
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
