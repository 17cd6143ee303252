//! Waiting for the monitor, and what becomes of a call that is withdrawn.

use super::{State, Threads};
use crate::ThreadId;

impl Threads {
    /// The running thread waits for the monitor to decide about the call that it makes. No time is lent: the monitor
    /// decides on its own account.
    pub fn ask(&mut self, id: ThreadId, limit: u64) {
        self.thread(id).state = State::Asking;
        self.limits[id.index()] = limit;
        self.dispatch.expect(limit);
        self.look_at_all_later();
    }

    /// A thread that asks has waited for the monitor long enough, or has its answer. It is in the middle of its turn, and
    /// what it waited for last before it made the call, it waits for still.
    pub fn answered(&mut self, id: ThreadId) {
        self.release(id);
        self.limits[id.index()] = 0;
        self.look_at_all_later();
    }

    /// The server for which a thread waits, whether or not that has taken its message.
    #[must_use]
    pub fn server_of(&self, id: ThreadId) -> Option<ThreadId> {
        match self.get(id).state {
            State::Calling(server) | State::Served(server) => Some(server),
            _ => None,
        }
    }

    /// The call that a thread makes is at an end, wherever it has got to: it waits for its server no more, and lends it
    /// nothing. A server that has taken its message goes on for itself, and its reply goes nowhere.
    pub fn withdraw_call(&mut self, id: ThreadId) {
        match self.get(id).state {
            State::Calling(server) => self.unqueue_caller(server, id),
            State::Served(server) => _ = self.take_served(server),
            _ => return,
        }
        self.release(id);
        self.look_at_all_later();
    }
}
