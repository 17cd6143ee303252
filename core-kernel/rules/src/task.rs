//! Who runs, who waits for whom, and who meets whom in a gate call.
//!
//! Every domain has one task. Exactly one task runs, or none. A client that calls lends the server its time:
//! the server runs at the client's priority if that is higher, and the client's account pays, until the
//! reply. The kernel moves the words of a message; what happens to the tasks is decided here.

mod gates;
mod life;
mod time;

use cloison_abi::{CallError, call::NO_DEADLINE, limits::BACKGROUND_PRIORITY};

use crate::{DomainId, TABLE_ENTRIES, budget::Budget, capability::DomainRef, ready::ReadyQueues};

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no such domain.
    Free,
    /// It has not started, has ended, or has been stopped.
    Stopped,
    /// It has faulted, and a handler will decide.
    Faulted,
    /// It waits for the CPU, in the ready queue of its priority.
    Ready,
    /// It runs.
    Running,
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
    /// The priority of its own.
    base_priority: u8,
    /// The priority that it has without what clients lend: its own, or that of the background while its
    /// budget is used up.
    own_priority: u8,
    /// The priority at which it runs now.
    priority: u8,
    /// Whose budget pays for what it does now.
    account: Option<DomainId>,
    /// Events that have arrived.
    pending: u64,
    /// Events that it waits for.
    mask: u64,
    /// When it stops waiting.
    deadline: u64,
    /// The badge of the gate through which it calls.
    badge: u32,
    /// The client whose message it has taken.
    serving: Option<DomainId>,
    /// The first of the clients that wait for it, highest priority first.
    callers: Option<DomainId>,
    /// The next client that waits for the same server.
    next_caller: Option<DomainId>,
}

impl Task {
    const FREE: Self = Self {
        state: State::Free,
        generation: 0,
        base_priority: BACKGROUND_PRIORITY,
        own_priority: BACKGROUND_PRIORITY,
        priority: BACKGROUND_PRIORITY,
        account: None,
        pending: 0,
        mask: 0,
        deadline: 0,
        badge: 0,
        serving: None,
        callers: None,
        next_caller: None,
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

/// A set of domains, as bits.
pub type DomainSet = u32;

const _: () = assert!(TABLE_ENTRIES <= 32, "a bit of `DomainSet` for each domain");

/// The tasks of all domains.
#[derive(Clone, Debug)]
pub struct Tasks {
    tasks: [Task; TABLE_ENTRIES],
    budgets: [Budget; TABLE_ENTRIES],
    ready: ReadyQueues,
    current: Option<DomainId>,
    /// Nothing has happened that could change who pays, when the timer has to interrupt, or, if nobody runs,
    /// who could. Calls and replies that only pass the CPU on along with the account that pays leave this as
    /// it is; that is what makes them cheap.
    settled: bool,
    /// No task has an earlier deadline or renewal than this. It may be too early, never too late.
    next_deadline: u64,
    /// Whose budget has been paying since `charged_at`; nobody's while the CPU was idle.
    payer: Option<DomainId>,
    charged_at: u64,
    /// What is left of each domain's turn. A domain that is preempted goes on with its turn later; one that
    /// has waited begins a new one.
    turns: [u64; TABLE_ENTRIES],
    /// Whether the budget of who pays is used up, as of the last [`Tasks::settle`].
    payer_is_spent: bool,
    /// Length of a turn.
    quantum: u64,
}

impl Tasks {
    /// No tasks, all zeros, so that they need no bytes in the kernel's file. [`Tasks::init`] comes before any
    /// runs.
    pub const EMPTY: Self = Self {
        tasks: [const { Task::FREE }; TABLE_ENTRIES],
        budgets: [Budget::NONE; TABLE_ENTRIES],
        ready: ReadyQueues::EMPTY,
        current: None,
        settled: false,
        next_deadline: 0,
        payer: None,
        charged_at: 0,
        turns: [0; TABLE_ENTRIES],
        payer_is_spent: false,
        quantum: 0,
    };

    /// Sets how long a task runs before another one of its priority has its turn.
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

    #[inline]
    fn block(&mut self, id: DomainId, state: State, mask: u64, deadline: u64) {
        let task = self.task(id);
        task.state = state;
        task.mask = mask;
        task.deadline = deadline;
        if deadline < self.next_deadline {
            self.next_deadline = deadline;
            self.settled = false;
        }
    }

    /// The running task goes no further for now.
    #[inline]
    fn give_up_cpu(&mut self) {
        self.current = None;
        self.settled = false;
    }

    /// A task can run again: at once if its priority is higher than that of the one that runs, else in its
    /// turn.
    #[inline(always)]
    fn make_ready(&mut self, id: DomainId) {
        let priority = self.get(id).priority;
        let running = self.current.map(|current| (current, self.get(current).priority));
        match running {
            Some((current, running)) if running < priority => {
                self.settled = false;
                self.preempt(current);
                self.task(id).state = State::Running;
                self.current = Some(id);
            }
            _ => {
                // One of lower priority ends nobody's turn, so all stays as it was decided.
                self.settled &= running.is_some_and(|(_, running)| running > priority);
                self.task(id).state = State::Ready;
                self.ready.push_back(id, priority);
            }
        }
    }

    /// Goes on with a task that was running on somebody else's lent time, unless a higher priority waits.
    #[inline]
    fn continue_with(&mut self, id: DomainId) {
        let (priority, account) = (self.get(id).priority, self.get(id).account);
        if self.ready.waits_above(priority) {
            self.task(id).state = State::Ready;
            self.ready.push_front(id, priority);
            self.give_up_cpu();
        } else {
            self.task(id).state = State::Running;
            self.current = Some(id);
            self.settled &= self.payer == account;
        }
    }

    /// Takes the CPU from the running task if its priority has dropped below that of one that waits.
    #[inline]
    fn give_way(&mut self) {
        if let Some(current) = self.current
            && self.ready.waits_above(self.get(current).priority)
        {
            self.preempt(current);
            self.give_up_cpu();
        }
    }

    fn preempt(&mut self, id: DomainId) {
        let task = self.task(id);
        task.state = State::Ready;
        let priority = task.priority;
        self.ready.push_front(id, priority);
    }

    /// Picks the task to run, if none does. None if every task waits.
    #[inline]
    pub fn pick(&mut self) -> Option<DomainId> {
        if self.current.is_none() {
            self.current = self.ready.pop();
            if let Some(id) = self.current {
                self.task(id).state = State::Running;
            }
        }
        self.current
    }
}

#[cfg(test)]
mod tests;
