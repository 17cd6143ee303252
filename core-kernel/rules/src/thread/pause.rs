//! Holding a thread where it is, and letting it go on.
//!
//! One that runs, or waits for messages or events, is held at once: to all others it is as busy as one that computes, so who
//! calls it waits in its queue. One that waits for somebody's answer stays in that queue, or served, with what it lends; it is
//! held when the answer comes. What is left for the short ways to know is one bit of a server whose client is held.

use cloison_abi::CallError;

use super::{HELD_CLIENT, Held, Next, State, Threads};
use crate::ThreadId;

impl Threads {
    /// Holds a thread that lives.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it does not live, or is held already.
    pub fn pause(&mut self, id: ThreadId) -> Result<(), CallError> {
        let thread = self.thread(id);
        let held = match thread.state {
            State::Runnable => Some(Held::Running),
            State::Receiving => Some(Held::Receiving),
            State::Waiting => Some(Held::Waiting),
            State::Calling(_) | State::Served(_) | State::Asking if !thread.is_paused => None,
            _ => return Err(CallError::BadState),
        };
        thread.is_paused = true;
        if let Some(held) = held {
            thread.state = State::Paused(held);
        }
        self.note_whether_held(id);
        self.look_at_all_later();
        Ok(())
    }

    /// Lets a thread that is held go on. Returns what it finds, if it has waited for messages or events.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it is not held.
    pub fn resume(&mut self, id: ThreadId) -> Result<Next, CallError> {
        let thread = self.thread(id);
        if !thread.is_paused {
            return Err(CallError::BadState);
        }
        thread.is_paused = false;
        let State::Paused(held) = thread.state else {
            self.note_whether_held(id);
            return Ok(Next::Blocked);
        };
        thread.state = State::Runnable;
        let (mask, deadline) = (thread.mask, thread.deadline);
        // As if it began to wait now: what has come meanwhile is there, and a deadline that has passed is due.
        let next = match held {
            Held::Running => Next::Blocked,
            Held::Receiving => self.next_for(id, mask, deadline),
            Held::Waiting => self.wait(id, mask, deadline),
        };
        if matches!(next, Next::Events(_) | Next::TimedOut) {
            self.wake(id);
        }
        self.look_at_all_later();
        Ok(next)
    }

    /// What a thread that is held goes on with.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it is not held, or will be when it has its answer.
    pub fn held(&self, id: ThreadId) -> Result<Held, CallError> {
        match self.get(id).state {
            State::Paused(held) => Ok(held),
            _ => Err(CallError::BadState),
        }
    }

    /// Events that had arrived for a thread when it was captured have arrived for it again.
    pub fn restore_events(&mut self, id: ThreadId, events: u64) {
        self.thread(id).pending |= events;
    }

    /// What a thread has waited for another thread to do is done: it goes on, or is held from here on.
    #[inline(always)]
    pub(super) fn release(&mut self, id: ThreadId) {
        self.thread(id).state = State::Runnable;
        if self.get(id).is_paused {
            self.hold_released(id);
        }
    }

    #[cold]
    fn hold_released(&mut self, id: ThreadId) {
        self.thread(id).state = State::Paused(Held::Running);
        self.look_at_all_later();
    }

    /// Lets the server of a thread know whether this one goes on when it has its answer.
    pub(super) fn note_whether_held(&mut self, id: ThreadId) {
        if let State::Served(server) = self.get(id).state {
            let bit = if self.get(id).is_paused { HELD_CLIENT } else { 0 };
            let thread = self.thread(server);
            thread.in_the_way = thread.in_the_way & !HELD_CLIENT | bit;
        }
    }
}
