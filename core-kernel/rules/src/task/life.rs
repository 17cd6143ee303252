//! Life and death of tasks.

use cloison_abi::CallError;

use super::{DomainSet, State, Task, Tasks};
use crate::{DomainId, budget::Budget, capability::DomainRef};

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

    /// Takes a task out of whatever it does. The client that it serves gets an error; with
    /// [`State::Stopped`], so do those that wait to be served, since nobody will serve them. Returns who gets
    /// an error.
    pub fn halt(&mut self, id: DomainId, state: State) -> DomainSet {
        match self.get(id).state {
            State::Ready => {
                let priority = self.get(id).priority;
                self.ready.remove(id, priority);
            }
            State::Running => self.give_up_cpu(),
            State::Calling(server) => self.unqueue_caller(server, id),
            State::Served(server) => self.task(server).serving = None,
            State::Free | State::Stopped | State::Faulted | State::Receiving | State::Waiting => {}
        }
        // Who has been running on its time goes on with its own.
        for other in DomainId::all().filter(|other| *other != id) {
            if self.get(other).account == Some(id) {
                self.task(other).account = Some(other);
                self.settled = false;
            }
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
