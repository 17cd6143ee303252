//! Who runs, who waits for whom, who meets whom in a gate call, and who pays.
//!
//! Every domain has one task and one *claim*: its priority, and the account that pays for time at it. What is
//! scheduled are the claims. Each leads to the task that runs by it: that of its own domain, or, while that
//! waits for a server, the task of the server. So time at a priority is always paid by the domain whose
//! priority it is, and what a domain lends ends when it stops to wait. Exactly one task runs, or none.
//!
//! The kernel moves the words of a message; what happens to the tasks is decided here.

mod claims;
mod gates;
mod life;
mod time;

use cloison_abi::{CallError, call::NO_DEADLINE, limits::BACKGROUND_PRIORITY};

use crate::{DomainId, DomainRef, TABLE_ENTRIES, budget::Budget, ready::Ready};

pub use crate::DomainSet;

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no such domain.
    Free,
    /// It has not started, has ended, or has been stopped.
    Stopped,
    /// It has faulted, and a handler will decide. While the handler is named here, the domain's claim leads to
    /// it: until the handler waits again.
    Faulted(Option<DomainId>),
    /// It runs when a claim that leads to it has its turn.
    Runnable,
    /// It waits for a server to take its message.
    Calling(DomainId),
    /// It waits for the server that has taken its message to reply.
    Served(DomainId),
    /// A server that waits for a message or an event.
    Receiving,
    /// It waits for an event.
    Waiting,
}

/// The task of one domain. Its size is a power of two, which makes finding it in the table one instruction
/// cheaper.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Task {
    /// What it does.
    pub state: State,
    /// How many domains have had this index before.
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
    serving: Option<DomainId>,
    /// The first of the clients that wait for it, highest rank first.
    callers: Option<DomainId>,
    /// The next client that waits for the same server.
    next_caller: Option<DomainId>,
    /// Whether a domain has faulted and waits for it, its handler, to decide.
    has_patients: bool,
}

/// A deadline that has passed while its task served a client.
const PASSED: u64 = 0;

impl Task {
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
        has_patients: false,
    };
}

impl Task {
    /// Events that have arrived and that it has not taken yet.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pending
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
    Message(DomainId, u32),
    /// It did not want to wait.
    TimedOut,
    /// It waits.
    Blocked,
}

/// The tasks of all domains.
#[derive(Clone, Debug)]
pub struct Tasks {
    tasks: [Task; TABLE_ENTRIES],
    budgets: [Budget; TABLE_ENTRIES],
    /// The claims that want the CPU, the one that has it among them.
    ready: Ready,
    /// The claim that has the CPU.
    claim: Option<DomainId>,
    /// One more than the priority of that claim; 0 if there is none.
    level: u8,
    /// The task that runs by it.
    current: Option<DomainId>,
    /// Nothing has happened that could change which claim has the CPU, or when the timer has to interrupt. Calls
    /// and replies that only lead a claim on to another task leave this as it is; that is what makes them cheap.
    settled: bool,
    /// `claim` and `current` are those whose turn it is. A claim that comes with a higher priority than all others
    /// is put there at once.
    picked: bool,
    /// Which claims want the CPU has to be looked at again, before one is picked.
    stale: bool,
    /// No task has an earlier deadline or renewal than this. It may be too early, never too late.
    next_deadline: u64,
    /// Whose budget has been paying since `charged_at`; nobody's while the CPU was idle.
    payer: Option<DomainId>,
    payer_is_limited: bool,
    charged_at: u64,
    /// What is left of each claim's turn. One that is preempted goes on with its turn later; one whose domain
    /// has waited for an event begins a new one.
    turns: [u64; TABLE_ENTRIES],
    /// Length of a turn.
    quantum: u64,
}

impl Tasks {
    /// No tasks, all zeros, so that they need no bytes in the kernel's file. [`Tasks::init`] comes before any
    /// runs.
    pub const EMPTY: Self = Self {
        tasks: [const { Task::FREE }; TABLE_ENTRIES],
        budgets: [Budget::NONE; TABLE_ENTRIES],
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
        turns: [0; TABLE_ENTRIES],
        quantum: 0,
    };

    /// Sets how long a claim has the CPU before another one of its priority has its turn.
    pub fn init(&mut self, quantum: u64) {
        self.quantum = quantum;
        self.next_deadline = NO_DEADLINE;
    }

    /// The task of a domain.
    #[must_use]
    #[inline(always)]
    pub fn get(&self, id: DomainId) -> &Task {
        &self.tasks[id.index()]
    }

    #[inline(always)]
    fn task(&mut self, id: DomainId) -> &mut Task {
        &mut self.tasks[id.index()]
    }

    fn budget(&mut self, id: DomainId) -> &mut Budget {
        &mut self.budgets[id.index()]
    }

    /// The domain that runs, or should.
    #[must_use]
    #[inline(always)]
    pub fn current(&self) -> Option<DomainId> {
        self.current
    }

    /// The domain behind a reference.
    ///
    /// # Errors
    /// [`CallError::PeerFailed`] if it has been destroyed.
    #[inline(always)]
    pub fn resolve(&self, domain: DomainRef) -> Result<DomainId, CallError> {
        // A free entry has a generation that no reference has yet.
        let same = self.get(domain.id).generation == domain.generation;
        if same { Ok(domain.id) } else { Err(CallError::PeerFailed) }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
