//! A signal that is given together with the wait that comes after it.

use cloison_abi::CallNumber;

use crate::{Instant, Message, Received, Slot, raw::enter, reply_wait, signal};

/// A signal that is still to be given: with the next wait, in the same call, or else when this is dropped. So it is not
/// lost, whatever its domain does first; who is about to do something long, or to call a gate, drops it before.
#[derive(Debug)]
#[must_use = "to keep a signal makes sense for a domain that is about to wait"]
pub struct KeptSignal(Slot);

impl KeptSignal {
    /// Keeps the signal by this event.
    pub const fn new(event: Slot) -> Self {
        Self(event)
    }

    /// Gives the signal, answers the client being served, if any, and waits, as [`reply_wait`] does.
    #[inline]
    pub fn reply_wait(self, reply: Message, events: u64, deadline: Instant) -> Received {
        let Self(Slot(event)) = self;
        // It is given now, by another way than by dropping it.
        core::mem::forget(self);
        let [a, b, c, d] = reply.words;
        let arguments = [a, b, c, d, events, deadline.0];
        let outcome = enter(CallNumber::SignalReplyWait, event, reply.label, arguments);
        // If the event leads nowhere any more, nothing has been done. Nobody is there who needs it.
        outcome.received().unwrap_or_else(|| reply_wait(reply, events, deadline))
    }
}

impl Drop for KeptSignal {
    #[inline]
    fn drop(&mut self) {
        // A peer that is gone needs no signal.
        let _ = signal(self.0);
    }
}
