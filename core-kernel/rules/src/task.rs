//! Who runs, who waits for whom, and who meets whom in a gate call.
//!
//! Every domain has one task. Exactly one task runs, or none. A client that calls lends the server its time: the
//! server runs at the client's priority if that is higher, and the client's account pays, until the reply. The
//! kernel moves the words of a message; what happens to the tasks is decided here.

use cloison_abi::{
    CallError,
    call::{NO_DEADLINE, POLL},
    limits::BACKGROUND_PRIORITY,
};

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

/// The task of one domain. Its size is a power of two, which makes finding it in the table one instruction cheaper.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Task {
    /// What it does.
    pub state: State,
    /// How many domains have had this index before.
    pub generation: u32,
    /// The priority of its own.
    base_priority: u8,
    /// The priority that it has without what clients lend: its own, or that of the background while its budget is used up.
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

    /// The client whose message it has taken.
    #[must_use]
    pub fn serving(&self) -> Option<DomainId> {
        self.serving
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
    /// Nothing has happened that could change who pays, when the timer has to interrupt, or, if nobody runs, who could. Calls
    /// and replies that only pass the CPU on along with the account that pays leave this as it is; that is what makes them cheap.
    settled: bool,
    /// No task has an earlier deadline or renewal than this. It may be too early, never too late.
    next_deadline: u64,
    /// Whose budget has been paying since `charged_at`; nobody's while the CPU was idle.
    payer: Option<DomainId>,
    charged_at: u64,
    /// When the running task has had its turn, if another one of its priority waits.
    slice_end: u64,
    /// Length of a turn.
    quantum: u64,
}

impl Tasks {
    /// No tasks, all zeros, so that they need no bytes in the kernel's file. [`Tasks::init`] comes before any runs.
    pub const EMPTY: Self = Self {
        tasks: [const { Task::FREE }; TABLE_ENTRIES],
        budgets: [Budget::NONE; TABLE_ENTRIES],
        ready: ReadyQueues::EMPTY,
        current: None,
        settled: false,
        next_deadline: 0,
        payer: None,
        charged_at: 0,
        slice_end: 0,
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

    // ----------------------------------------------------------------------------------------------------------
    // Gates and events

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
            State::Free | State::Stopped => Err(CallError::PeerFailed),
            _ => {
                self.queue_caller(server, caller);
                self.task(caller).state = State::Calling(server);
                self.give_up_cpu();
                Ok(Called::Queued)
            }
        }
    }

    /// What [`Tasks::call`] does when nothing stands in the way: the server waits for a message, so it takes this one and runs on the
    /// client's account. Returns whether it was so; else nothing has been done.
    #[inline(always)]
    pub fn call_at_once(&mut self, caller: DomainId, server: DomainId) -> bool {
        if self.get(server).state != State::Receiving {
            return false;
        }
        self.serve(server, caller);
        self.task(server).state = State::Running;
        self.current = Some(server);
        true
    }

    /// What [`Tasks::reply_wait`] does when nothing stands in the way: a client waits for the reply, nobody else and nothing that is due
    /// soon has to be looked at, so the client goes on. Returns the client if it was so; else nothing has been done.
    #[inline(always)]
    pub fn reply_at_once(&mut self, server: DomainId, mask: u64, deadline: u64) -> Option<DomainId> {
        let task = self.get(server);
        let client = task.serving?;
        let Task { priority, account, .. } = *self.get(client);
        let nothing_else = task.pending & mask == 0
            && task.callers.is_none()
            && deadline >= self.next_deadline
            && self.ready.highest().is_none_or(|highest| highest <= priority)
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

    /// The running task, a server, is done with its client and waits for what comes next. Returns the client to
    /// which its reply goes, and what comes next.
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
            self.serve(server, caller);
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
    #[inline]
    pub fn signal(&mut self, target: DomainId, bits: u64) -> Option<u64> {
        let task = self.task(target);
        task.pending |= bits;
        let events = task.pending & task.mask;
        let wakes = matches!(task.state, State::Waiting | State::Receiving) && events != 0;
        if !wakes {
            return None;
        }
        task.pending &= !events;
        self.make_ready(target);
        Some(events)
    }

    /// `server` takes the message of `client`, with its priority and on its account.
    #[inline(always)]
    fn serve(&mut self, server: DomainId, client: DomainId) {
        let lender = self.task(client);
        lender.state = State::Served(server);
        let (priority, account) = (lender.priority, lender.account);
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

    fn unqueue_caller(&mut self, server: DomainId, caller: DomainId) {
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

    // ----------------------------------------------------------------------------------------------------------
    // Who runs

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

    /// A task can run again: at once if its priority is higher than that of the one that runs, else in its turn.
    #[inline]
    fn make_ready(&mut self, id: DomainId) {
        self.settled = false;
        let priority = self.get(id).priority;
        match self.current {
            Some(current) if self.get(current).priority < priority => {
                self.preempt(current);
                self.task(id).state = State::Running;
                self.current = Some(id);
            }
            _ => {
                self.task(id).state = State::Ready;
                self.ready.push_back(id, priority);
            }
        }
    }

    /// Goes on with a task that was running on somebody else's lent time, unless a higher priority waits.
    #[inline]
    fn continue_with(&mut self, id: DomainId) {
        let (priority, account) = (self.get(id).priority, self.get(id).account);
        if self.ready.highest().is_some_and(|highest| highest > priority) {
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
            && self.ready.highest().is_some_and(|highest| highest > self.get(current).priority)
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

    // ----------------------------------------------------------------------------------------------------------
    // Time

    /// Whether nothing has happened since [`Tasks::settle`] that asks for it again.
    #[inline(always)]
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Something outside of the tasks asks for [`Tasks::settle`].
    pub fn unsettle(&mut self) {
        self.settled = false;
    }

    /// Decides who runs and who pays. Returns when the timer has to interrupt next.
    pub fn settle(&mut self, now: impl FnOnce() -> u64) -> u64 {
        self.pick();
        if self.payer_changed() {
            self.charge(now());
        }
        self.settled = true;
        self.next_interrupt()
    }

    /// Whether the running task's time is paid by another account than before, so that [`Tasks::charge`] is due.
    #[inline]
    #[must_use]
    pub fn payer_changed(&self) -> bool {
        self.current.and_then(|current| self.get(current).account) != self.payer
    }

    /// Charges the time since the last charge to who has been paying, and lets the running task's account pay from
    /// now on, for a turn that begins now.
    #[inline]
    pub fn charge(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.charged_at);
        self.charged_at = now;
        if let Some(payer) = self.payer {
            self.budget(payer).charge(elapsed, now);
        }
        self.payer = self.current.and_then(|current| self.get(current).account);
        if let Some(payer) = self.payer {
            self.budget(payer).renew(now);
        }
        self.slice_end = now.saturating_add(self.quantum);
    }

    /// When the timer has to interrupt next.
    #[inline]
    #[must_use]
    pub fn next_interrupt(&self) -> u64 {
        let Some(current) = self.current else { return self.next_deadline };
        let exhausted = self.payer.map(|payer| self.budgets[payer.index()].exhausted_at(self.charged_at));
        let exhausted = exhausted.unwrap_or(NO_DEADLINE);
        let shared = self.ready.waits_at(self.get(current).priority);
        let turn = if shared { self.slice_end } else { NO_DEADLINE };
        self.next_deadline.min(exhausted).min(turn)
    }

    /// Does what is due at `now`: renews budgets, ends waits whose deadline has passed, takes the CPU from a task that
    /// has used up its budget or has had its turn. Returns the tasks whose wait timed out.
    pub fn timer(&mut self, now: u64) -> DomainSet {
        self.settled = false;
        let turn_over = now >= self.slice_end;
        let slice_end = self.slice_end;
        self.charge(now);
        let timed_out = self.expire(now);
        if let Some(current) = self.current {
            if let Some(payer) = self.payer.filter(|payer| self.budgets[payer.index()].is_exhausted()) {
                self.out_of_budget(current, payer);
            } else if turn_over && self.ready.waits_at(self.get(current).priority) {
                self.to_the_back(current);
            } else {
                self.slice_end = slice_end;
            }
        }
        timed_out
    }

    /// The budget that pays for the running task is used up. A server on a client's account goes on with its own; a
    /// task on its own account goes on in the background, until its next period.
    fn out_of_budget(&mut self, id: DomainId, payer: DomainId) {
        let renewed_at = self.budget(payer).renewed_at();
        self.next_deadline = self.next_deadline.min(renewed_at);
        let lender = self.task(payer);
        lender.own_priority = BACKGROUND_PRIORITY;
        if matches!(lender.state, State::Served(_) | State::Calling(_)) {
            lender.priority = BACKGROUND_PRIORITY;
        }
        let task = self.task(id);
        task.account = Some(id);
        task.priority = task.own_priority;
        self.to_the_back(id);
    }

    fn to_the_back(&mut self, id: DomainId) {
        self.task(id).state = State::Ready;
        let priority = self.get(id).priority;
        self.ready.push_back(id, priority);
        self.give_up_cpu();
    }

    /// Renews budgets and ends waits that are due, and finds the next point in time at which some will be.
    fn expire(&mut self, now: u64) -> DomainSet {
        if now < self.next_deadline {
            return 0;
        }
        let mut timed_out = 0;
        self.next_deadline = NO_DEADLINE;
        for id in DomainId::all() {
            self.renew(id, now);
            let task = self.get(id);
            if !matches!(task.state, State::Waiting | State::Receiving) {
                continue;
            }
            if task.deadline <= now {
                timed_out |= 1 << id.index();
                self.make_ready(id);
            } else {
                self.next_deadline = self.next_deadline.min(task.deadline);
            }
        }
        timed_out
    }

    /// Gives a task whose budget was used up its priority back, if its next period has begun.
    fn renew(&mut self, id: DomainId, now: u64) {
        if self.get(id).state == State::Free || self.get(id).own_priority == self.get(id).base_priority {
            return;
        }
        self.budget(id).renew(now);
        if self.budget(id).is_exhausted() {
            let renewed_at = self.budget(id).renewed_at();
            self.next_deadline = self.next_deadline.min(renewed_at);
            return;
        }
        let task = self.task(id);
        task.own_priority = task.base_priority;
        let (old, own) = (task.priority, task.own_priority);
        if own <= old {
            return;
        }
        let queued = task.state == State::Ready;
        if queued {
            self.ready.remove(id, old);
        }
        self.task(id).priority = own;
        if queued {
            self.make_ready(id);
        }
    }

    // ----------------------------------------------------------------------------------------------------------
    // Life and death

    /// A new domain at a free index, stopped.
    ///
    /// # Errors
    /// [`CallError::TableFull`].
    pub fn create(&mut self) -> Result<DomainRef, CallError> {
        let free = DomainId::all().find(|id| self.get(*id).state == State::Free);
        let id = free.ok_or(CallError::TableFull)?;
        let generation = self.get(id).generation;
        *self.budget(id) = Budget::NONE;
        *self.task(id) = Task { state: State::Stopped, generation, account: Some(id), ..Task::FREE };
        Ok(DomainRef { id, generation })
    }

    /// Sets priority and budget of a task that does not run.
    pub fn configure(&mut self, id: DomainId, priority: u8, budget: Budget) {
        *self.budget(id) = budget;
        let task = self.task(id);
        (task.base_priority, task.own_priority, task.priority) = (priority, priority, priority);
    }

    /// Starts a stopped or faulted task.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it is neither.
    pub fn start(&mut self, id: DomainId) -> Result<(), CallError> {
        let task = self.task(id);
        if !matches!(task.state, State::Stopped | State::Faulted) {
            return Err(CallError::BadState);
        }
        task.pending = 0;
        task.account = Some(id);
        task.priority = task.own_priority;
        self.make_ready(id);
        Ok(())
    }

    /// Takes a task out of whatever it does. The client that it serves gets an error; with [`State::Stopped`], so do
    /// those that wait to be served, since nobody will serve them. Returns who gets an error.
    pub fn halt(&mut self, id: DomainId, state: State) -> DomainSet {
        match self.get(id).state {
            State::Ready => {
                let priority = self.get(id).priority;
                self.ready.remove(id, priority);
            }
            State::Running => self.give_up_cpu(),
            State::Calling(server) => self.unqueue_caller(server, id),
            State::Served(server) => {
                let task = self.task(server);
                task.serving = None;
                task.account = Some(server);
            }
            State::Free | State::Stopped | State::Faulted | State::Receiving | State::Waiting => {}
        }
        self.task(id).state = state;
        self.fail_clients(id, state == State::Faulted)
    }

    fn fail_clients(&mut self, server: DomainId, keep_queue: bool) -> DomainSet {
        let mut failed = 0;
        if let Some(client) = self.task(server).serving.take() {
            failed |= 1 << client.index();
            self.make_ready(client);
        }
        while !keep_queue && let Some(caller) = self.get(server).callers {
            let after = self.task(caller).next_caller.take();
            self.task(server).callers = after;
            failed |= 1 << caller.index();
            self.make_ready(caller);
        }
        failed
    }

    /// Ends a domain: its index is free, and references to it are worth nothing. It has to be stopped.
    pub fn destroy(&mut self, id: DomainId) {
        let generation = self.get(id).generation.wrapping_add(1);
        *self.task(id) = Task { generation, ..Task::FREE };
    }
}

#[cfg(test)]
mod tests;
