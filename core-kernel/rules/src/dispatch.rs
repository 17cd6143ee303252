//! What one CPU decides: who wants it, who has it, who pays, when it has to look again.

use crate::{ThreadId, ready::Ready};

/// The decisions of one CPU. Threads, their accounts and their queues are shared; this is what each CPU has for itself.
/// It belongs to the kernel's lock all the same: with a second CPU, that one puts those whom it wakes into the queue of
/// theirs.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The claims that want the CPU, the one that has it among them.
    pub(crate) ready: Ready,
    /// The claim that has the CPU.
    pub(crate) claim: Option<ThreadId>,
    /// One more than the priority of that claim; 0 if there is none.
    pub(crate) level: u8,
    /// The thread that runs by it.
    pub(crate) current: Option<ThreadId>,
    /// Nothing has happened that could change which claim has the CPU, or when the timer has to interrupt. Calls
    /// and replies that only lead a claim on to another thread leave this as it is; that is what makes them cheap.
    pub(crate) settled: bool,
    /// `claim` and `current` are those whose turn it is. A claim that comes with a higher priority than all others
    /// is put there at once.
    pub(crate) picked: bool,
    /// Which claims want the CPU has to be looked at again, before one is picked.
    pub(crate) stale: bool,
    /// No thread has an earlier deadline or renewal than this, and nothing else is expected earlier. It may be too early, never too late.
    pub(crate) next_deadline: u64,
    /// Whose budget has been paying since `charged_at`; nobody's while the CPU was idle.
    pub(crate) payer: Option<ThreadId>,
    pub(crate) payer_is_limited: bool,
    pub(crate) charged_at: u64,
}

impl Dispatch {
    /// Nobody, all zeros.
    pub const EMPTY: Self = Self {
        ready: Ready::EMPTY,
        claim: None,
        level: 0,
        current: None,
        settled: false,
        picked: false,
        stale: false,
        next_deadline: 0,
        payer: None,
        payer_is_limited: false,
        charged_at: 0,
    };

    /// Something has happened that can take the turn from the claim that has it.
    #[inline(always)]
    pub(crate) fn reconsider(&mut self) {
        (self.settled, self.picked) = (false, false);
    }

    /// Something is due at this time. Unless the CPU looks then already, it decides again when to.
    #[inline(always)]
    pub(crate) fn expect(&mut self, deadline: u64) {
        if deadline < self.next_deadline {
            self.next_deadline = deadline;
            self.settled = false;
        }
    }
}
