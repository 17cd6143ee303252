//! Life and death of threads.

use cloison_abi::{CallError, limits::LOWEST_PRIORITY};

use super::{SUPERVISES, State, Thread, ThreadSet, Threads};
use crate::{ThreadId, ThreadRef, budget::Budget};

impl Threads {
    /// A new thread at a free index, stopped.
    ///
    /// # Errors
    /// [`CallError::TableFull`].
    pub fn create(&mut self) -> Result<ThreadRef, CallError> {
        let free = ThreadId::all().find(|id| self.get(*id).state == State::Free);
        let id = free.ok_or(CallError::TableFull)?;
        let generation = self.get(id).generation;
        *self.budget(id) = Budget::NONE;
        self.paid[id.index()] = 0;
        self.begin_turn(id);
        *self.thread(id) = Thread { state: State::Stopped, generation, ..Thread::FREE };
        Ok(ThreadRef { id, generation })
    }

    /// Sets priority and budget of a thread.
    pub fn configure(&mut self, id: ThreadId, priority: u8, budget: Budget) {
        *self.budget(id) = budget;
        self.set_priority(id, priority);
        self.thread(id).base_priority = priority;
        self.dispatch.payer_is_limited =
            self.dispatch.payer.is_some_and(|payer| self.budgets[payer.index()].is_limited());
    }

    /// Takes its priority from a thread that has no limit, and leaves it the lowest one, with a budget.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it has a limit: this one could be more.
    pub fn retire(&mut self, id: ThreadId, budget: Budget) -> Result<(), CallError> {
        if self.budget(id).is_limited() {
            return Err(CallError::BadState);
        }
        // The time until here had no limit, and is not taken off this one.
        if self.dispatch.payer == Some(id) {
            self.dispatch.payer = None;
        }
        self.configure(id, LOWEST_PRIORITY, budget);
        Ok(())
    }

    /// Starts a stopped or faulted thread.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it is neither.
    pub fn start(&mut self, id: ThreadId) -> Result<(), CallError> {
        let thread = self.thread(id);
        if !matches!(thread.state, State::Stopped | State::Faulted(_)) {
            return Err(CallError::BadState);
        }
        (thread.pending, thread.mask) = (0, 0);
        // One that lends its claim to its handler has begun its turn already.
        let (priority, turn) = (thread.priority, self.turn_ends[id.index()]);
        let had_begun = self.dispatch.ready.contains(id, priority);
        self.wake(id);
        if had_begun {
            self.turn_ends[id.index()] = turn;
        }
        self.dispatch.reconsider();
        Ok(())
    }

    /// Takes a thread out of whatever it does; what it lent ends. The client that it serves gets an error; with
    /// [`State::Stopped`], so do those that wait to be served, since nobody will serve them. Returns who gets
    /// an error.
    pub fn halt(&mut self, id: ThreadId, state: State) -> ThreadSet {
        self.withdraw_call(id);
        self.leave_guest(id);
        self.thread(id).state = match state {
            State::Faulted(handler) => State::Faulted(handler.filter(|handler| self.attends(*handler))),
            other => other,
        };
        self.thread(id).is_paused = false;
        self.discharge_supervised(id);
        let failed = self.fail_clients(id, matches!(state, State::Faulted(_)));
        self.look_at_all_later();
        failed
    }

    /// Whether a handler does something, so that a thread that has faulted can wait for it as for a server. (Who
    /// tells it has to do so before.)
    fn attends(&mut self, handler: ThreadId) -> bool {
        let thread = self.thread(handler);
        let attends =
            matches!(thread.state, State::Runnable | State::Calling(_) | State::Served(_) | State::Asking);
        if attends {
            thread.in_the_way |= SUPERVISES;
        }
        attends
    }

    fn fail_clients(&mut self, server: ThreadId, keep_queue: bool) -> ThreadSet {
        let mut failed = 0;
        if let Some(client) = self.take_served(server) {
            failed |= client.bit();
            self.release(client);
        }
        while !keep_queue && let Some(caller) = self.get(server).callers {
            let after = self.thread(caller).next_caller.take();
            self.thread(server).callers = after;
            failed |= caller.bit();
            self.release(caller);
        }
        failed
    }

    /// Ends a thread: its index is free, and references to it are worth nothing. It has to be stopped.
    pub fn destroy(&mut self, id: ThreadId) {
        let generation = self.get(id).generation.wrapping_add(1);
        // Its claim may still be there from its life: nobody has looked since.
        self.withdraw(id);
        *self.thread(id) = Thread { generation, ..Thread::FREE };
    }
}
