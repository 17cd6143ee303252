//! Who runs, who waits for whom, who meets whom in a gate call, and who pays.
//!
//! Every thread has one *claim*: its priority, and the account that pays for time at it. What is scheduled are the
//! claims. Each leads to the thread that runs by it: to its own, or, while that waits for a server, to the server.
//! So time at a priority is always paid by the thread whose priority it is, and what a thread lends ends when it
//! stops to wait. Exactly one thread runs on a CPU, or none.
//!
//! A thread belongs to a domain, but nothing here depends on which: slots, memory and lives are the domain's.
//!
//! The kernel moves the words of a message; what happens to the threads is decided here.

mod ask;
mod claims;
mod gates;
mod life;
mod pause;
mod time;

use cloison_abi::{CallError, call::NO_DEADLINE, limits::BACKGROUND_PRIORITY};

use crate::{TABLE_ENTRIES, ThreadId, ThreadRef, budget::Budget, dispatch::Dispatch};

pub use crate::ThreadSet;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no such thread.
    Free,
    /// It has not started, has ended, or has been stopped.
    Stopped,
    /// It has faulted, and a handler will decide. While the handler is named here, the thread's claim leads to
    /// it: until the handler waits again.
    Faulted(Option<ThreadId>),
    /// It runs when a claim that leads to it has its turn.
    Runnable,
    /// It waits for a server to take its message.
    Calling(ThreadId),
    /// It waits for the server that has taken its message to reply.
    Served(ThreadId),
    /// It waits for the monitor to decide about the call that it makes.
    Asking,
    /// A server that waits for a message or an event.
    Receiving,
    /// It waits for an event.
    Waiting,
    /// It is held, and goes on with this when it is let go ([`Threads::pause`]).
    Paused(Held),
}

/// What a thread that is held goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// What it did: [`State::Runnable`].
    Running,
    /// [`State::Receiving`].
    Receiving,
    /// [`State::Waiting`].
    Waiting,
}

/// One thread, without its registers. Its size is a power of two, which makes finding it in the table one instruction
/// cheaper.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Thread {
    /// What it does.
    pub state: State,
    /// How many threads have had this index before.
    pub generation: u32,
    /// The priority that it was given.
    base_priority: u8,
    /// The priority of its claim: its own, or that of the background while its budget is used up.
    priority: u8,
    /// Among those who wait for a server: the highest priority that waits with it.
    rank: u8,
    /// Events that have arrived.
    pending: u64,
    /// Events that it waits for, or has waited for last.
    mask: u64,
    /// When it stops waiting, or would have; [`PASSED`] if that was while it served a client.
    deadline: u64,
    /// The badge of the gate through which it calls.
    badge: u32,
    /// The client whose message it has taken.
    serving: Option<ThreadId>,
    /// The first of the clients that wait for it, highest rank first.
    callers: Option<ThreadId>,
    /// The next client that waits for the same server.
    next_caller: Option<ThreadId>,
    /// What has to be looked at before it replies or waits: [`SUPERVISES`], [`HELD_CLIENT`]. One field for both, because each
    /// reply asks for it.
    in_the_way: u8,
    /// Whether it is held: now, or from when the answer comes for which it waits.
    is_paused: bool,
}

/// A deadline that has passed while its thread served a client.
const PASSED: u64 = 0;

/// A thread has faulted and waits for this one, its handler, to decide.
const SUPERVISES: u8 = 1 << 0;
/// The client that this one serves is held, and does not go on when it has its answer.
const HELD_CLIENT: u8 = 1 << 1;

impl Thread {
    const FREE: Self = Self {
        state: State::Free,
        generation: 0,
        base_priority: BACKGROUND_PRIORITY,
        priority: BACKGROUND_PRIORITY,
        rank: 0,
        pending: 0,
        mask: 0,
        deadline: 0,
        badge: 0,
        serving: None,
        callers: None,
        next_caller: None,
        in_the_way: 0,
        is_paused: false,
    };
}

impl Thread {
    /// Events that have arrived and that it has not taken yet.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pending
    }

    /// Whether it is held.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    fn supervises_somebody(&self) -> bool {
        self.in_the_way & SUPERVISES != 0
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// The server takes the message and runs.
    Taken,
    /// The server is busy; the caller waits.
    Queued,
}

/// What a server does after its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It has events.
    Events(u64),
    /// It takes the message of this client, which called with this badge.
    Message(ThreadId, u32),
    /// It did not want to wait.
    TimedOut,
    /// It waits.
    Blocked,
}

/// All threads.
#[derive(Clone, Debug)]
pub struct Threads {
    threads: [Thread; TABLE_ENTRIES],
    budgets: [Budget; TABLE_ENTRIES],
    /// What the CPU decides. (With several, each has one, and a thread belongs to one of them.)
    dispatch: Dispatch,
    /// For how long each claim has had the CPU.
    paid: [u64; TABLE_ENTRIES],
    /// What each will have paid when its turn is over. One that is preempted goes on with its turn later; one whose
    /// thread has waited for an event begins a new one.
    turn_ends: [u64; TABLE_ENTRIES],
    /// Until when the guest of each may run, or until when the monitor may take to decide about its call; 0 if it neither
    /// runs a guest nor asks. (Not in a thread, where calls would pay for it.)
    limits: [u64; TABLE_ENTRIES],
    /// Length of a turn.
    quantum: u64,
}

impl Threads {
    /// No threads, all zeros, so that they need no bytes in the kernel's file. [`Threads::init`] comes before any
    /// runs.
    pub const EMPTY: Self = Self {
        threads: [const { Thread::FREE }; TABLE_ENTRIES],
        budgets: [Budget::NONE; TABLE_ENTRIES],
        dispatch: Dispatch::EMPTY,
        paid: [0; TABLE_ENTRIES],
        turn_ends: [0; TABLE_ENTRIES],
        limits: [0; TABLE_ENTRIES],
        quantum: 0,
    };

    /// Sets how long a claim has the CPU before another one of its priority has its turn.
    pub fn init(&mut self, quantum: u64) {
        self.quantum = quantum;
        self.dispatch.next_deadline = NO_DEADLINE;
    }

    /// The thread of a thread.
    #[must_use]
    #[inline(always)]
    pub fn get(&self, id: ThreadId) -> &Thread {
        &self.threads[id.index()]
    }

    #[inline(always)]
    fn thread(&mut self, id: ThreadId) -> &mut Thread {
        &mut self.threads[id.index()]
    }

    fn budget(&mut self, id: ThreadId) -> &mut Budget {
        &mut self.budgets[id.index()]
    }

    /// The thread that runs, or should.
    #[must_use]
    #[inline(always)]
    pub fn current(&self) -> Option<ThreadId> {
        self.dispatch.current
    }

    /// The thread behind a reference.
    ///
    /// # Errors
    /// [`CallError::PeerFailed`] if it has been destroyed.
    #[inline(always)]
    pub fn resolve(&self, thread: ThreadRef) -> Result<ThreadId, CallError> {
        // A free entry has a generation that no reference has yet.
        let same = self.get(thread.id).generation == thread.generation;
        if same { Ok(thread.id) } else { Err(CallError::PeerFailed) }
    }
}

#[cfg(test)]
mod guest_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod pause_tests;
#[cfg(test)]
mod search;
#[cfg(test)]
mod tests;
