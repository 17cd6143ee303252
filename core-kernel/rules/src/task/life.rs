//! Life and death of tasks.

use cloison_abi::{CallError, limits::LOWEST_PRIORITY};

use super::{DomainSet, State, Task, Tasks};
use crate::{DomainId, DomainRef, budget::Budget};

impl Tasks {
    /// A new domain at a free index, stopped.
    ///
    /// # Errors
    /// [`CallError::TableFull`].
    pub fn create(&mut self) -> Result<DomainRef, CallError> {
        let free = DomainId::all().find(|id| self.get(*id).state == State::Free);
        let id = free.ok_or(CallError::TableFull)?;
        let generation = self.get(id).generation;
        *self.budget(id) = Budget::NONE;
        self.turns[id.index()] = self.quantum;
        *self.task(id) = Task { state: State::Stopped, generation, ..Task::FREE };
        Ok(DomainRef { id, generation })
    }

    /// Sets priority and budget of a task.
    pub fn configure(&mut self, id: DomainId, priority: u8, budget: Budget) {
        *self.budget(id) = budget;
        self.set_priority(id, priority);
        self.task(id).base_priority = priority;
        self.payer_is_limited = self.payer.is_some_and(|payer| self.budgets[payer.index()].is_limited());
    }

    /// Takes its priority from a task that has no limit, and leaves it the lowest one, with a budget.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it has a limit: this one could be more.
    pub fn retire(&mut self, id: DomainId, budget: Budget) -> Result<(), CallError> {
        if self.budget(id).is_limited() {
            return Err(CallError::BadState);
        }
        // The time until here had no limit, and is not taken off this one.
        if self.payer == Some(id) {
            self.payer = None;
        }
        self.configure(id, LOWEST_PRIORITY, budget);
        Ok(())
    }

    /// Starts a stopped or faulted task.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it is neither.
    pub fn start(&mut self, id: DomainId) -> Result<(), CallError> {
        let task = self.task(id);
        if !matches!(task.state, State::Stopped | State::Faulted(_)) {
            return Err(CallError::BadState);
        }
        (task.pending, task.mask) = (0, 0);
        // One that lends its claim to its handler has begun its turn already.
        let (priority, turn) = (task.priority, self.turns[id.index()]);
        let had_begun = self.ready.contains(id, priority);
        self.wake(id);
        if had_begun {
            self.turns[id.index()] = turn;
        }
        self.reconsider();
        Ok(())
    }

    /// Takes a task out of whatever it does; what it lent ends. The client that it serves gets an error; with
    /// [`State::Stopped`], so do those that wait to be served, since nobody will serve them. Returns who gets
    /// an error.
    pub fn halt(&mut self, id: DomainId, state: State) -> DomainSet {
        match self.get(id).state {
            State::Calling(server) => self.unqueue_caller(server, id),
            State::Served(server) => self.task(server).serving = None,
            _ => {}
        }
        self.task(id).state = match state {
            State::Faulted(handler) => State::Faulted(handler.filter(|handler| self.attends(*handler))),
            other => other,
        };
        self.discharge_patients(id);
        let failed = self.fail_clients(id, matches!(state, State::Faulted(_)));
        self.look_at_all_later();
        failed
    }

    /// Whether a handler does something, so that a domain that has faulted can wait for it as for a server. (Who
    /// tells it has to do so before.)
    fn attends(&mut self, handler: DomainId) -> bool {
        let task = self.task(handler);
        let attends = matches!(task.state, State::Runnable | State::Calling(_) | State::Served(_));
        task.has_patients |= attends;
        attends
    }

    fn fail_clients(&mut self, server: DomainId, keep_queue: bool) -> DomainSet {
        let mut failed = 0;
        if let Some(client) = self.task(server).serving.take() {
            failed |= client.bit();
            self.task(client).state = State::Runnable;
        }
        while !keep_queue && let Some(caller) = self.get(server).callers {
            let after = self.task(caller).next_caller.take();
            self.task(server).callers = after;
            failed |= caller.bit();
            self.task(caller).state = State::Runnable;
        }
        failed
    }

    /// Ends a domain: its index is free, and references to it are worth nothing. It has to be stopped.
    pub fn destroy(&mut self, id: DomainId) {
        let generation = self.get(id).generation.wrapping_add(1);
        // Its claim may still be there from its life: nobody has looked since.
        self.withdraw(id);
        *self.task(id) = Task { generation, ..Task::FREE };
    }
}
