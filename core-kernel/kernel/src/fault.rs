//! A domain has done something wrong.

use cloison_abi::{Fault, call::SystemEnd, plan::FaultPolicy};
use cloison_rules::{DomainId, Peer, thread::State};

use crate::{life::Renewal, state::Kernel};

impl Kernel {
    /// Does what the plan says about a domain that has faulted.
    pub fn fault(&mut self, id: DomainId, fault: Fault) {
        if self.domain(id).renewal == Renewal::Ending {
            return self.go_on_ending(id);
        }
        self.finish_line(id);
        self.domain_mut(id).fault = fault;
        let domain = self.domain(id);
        let (name, policy, handler) = (domain.name, domain.on_fault, domain.handler);
        let handler = handler.filter(|handler| self.can_handle(handler.target));
        match (policy, handler) {
            (FaultPolicy::Halt, _) => {
                self.say(format_args!("{name} faulted: {fault}; the system halts"));
                self.halt(id, State::Stopped);
                self.end_system(SystemEnd::Halt);
            }
            (FaultPolicy::Restart | FaultPolicy::Handler, Some(handler)) => {
                let follows =
                    if policy == FaultPolicy::Restart { "is restarted" } else { "waits for its handler" };
                self.say(format_args!("{name} faulted: {fault}; it {follows}"));
                // First the handler learns of it: one that does something is whom the domain waits for.
                self.notify(handler);
                self.halt(id, State::Faulted(Some(handler.target.thread.id)));
            }
            _ => {
                self.say(format_args!("{name} faulted: {fault}; it is stopped"));
                self.go_on_ending(id);
            }
        }
    }

    /// Ends a domain that has faulted, one step of it: first what it lent comes back. Until then the domain
    /// goes on, but only to fault again, where nothing is ever mapped: so all of that is done in its own
    /// time, and interrupts come between the steps.
    fn go_on_ending(&mut self, id: DomainId) {
        if !self.take_back_step(id, None) {
            return self.begin_ending(id);
        }
        self.end_life(id, self.domain(id).fault);
        if self.domain(id).ends_system {
            self.end_system(SystemEnd::Failure);
        }
    }

    /// Whether a fault handler is there to handle anything.
    fn can_handle(&self, handler: Peer) -> bool {
        let state = self.domain_of(handler).map(|id| self.state(id));
        state.is_ok_and(|state| !matches!(state, State::Stopped | State::Faulted(_)))
    }

    /// Lets a domain that can run fault when it does, and go on ending then.
    fn begin_ending(&mut self, id: DomainId) {
        self.domain_mut(id).renewal = Renewal::Ending;
        if let Ok(thread) = self.thread(id) {
            self.context_mut(thread).fault_again();
        }
    }

    /// A domain handles no faults any more, or not for now: those that wait for it to decide are stopped, and
    /// who calls them is told. If it is gone for good, so are they, as if it had not been there when they
    /// faulted.
    pub fn abandon_supervised(&mut self, handler: Peer, for_good: bool) {
        for id in DomainId::all() {
            let waits = matches!(self.state(id), State::Faulted(_));
            if !waits || self.domain(id).handler.is_none_or(|of| of.target != handler) {
                continue;
            }
            // One in the middle of a reset lends nothing, and has no page tables with which to run.
            let has_tables = self.domain(id).space.is_there();
            let thread = self.thread(id);
            if for_good && has_tables && thread.and_then(|thread| self.threads.start(thread)).is_ok() {
                self.begin_ending(id);
                continue;
            }
            self.halt(id, State::Stopped);
            if self.domain(id).ends_system {
                self.end_system(SystemEnd::Failure);
            }
        }
    }
}
