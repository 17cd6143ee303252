//! The lives of a domain: how one ends, and how the next one begins as the first did.
//!
//! A domain that has lived is *renewed* before it lives again: what it lent is taken back, its slots are
//! those that the builder filled, its page tables are made from nothing and hold what the builder mapped.
//! What a domain drops, limits, maps, uses up or lends is thus gone with the life in which it did so.

use cloison_abi::{CallError, Fault, Rights, limits::EVENT_PEER_FAILED};
use cloison_rules::{DomainId, DomainSet, Peer, RegionRef, capability::SlotTable, lending, thread::State};

use crate::{
    calls::{map_step, unmap_step, zero_step},
    state::{Domain, Kernel},
};

/// How far a domain is on its way to its next life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is as the builder made it.
    Fresh,
    /// It has lived since.
    Used,
    /// Nothing of it is lent any more; the pages of its page tables are being zeroed.
    Scrubbing,
    /// Its page tables are new; what the builder mapped is being put into them.
    Mapping,
    /// It has faulted and is ending: what it lent is being taken back.
    Ending,
    /// It has ended, and does not live again.
    Ended,
    /// It is being destroyed, and has no page tables any more.
    Destroying,
}

/// Whether a task in this state lives: it runs, or something can make it run on.
fn lives(state: State) -> bool {
    !matches!(state, State::Free | State::Stopped | State::Faulted(_))
}

impl Kernel {
    /// Whether a domain lives.
    #[inline(never)]
    pub fn is_alive(&self, id: DomainId) -> bool {
        lives(self.state(id))
    }

    /// Takes a domain out of whatever it does, and tells everyone who calls it or could, and whom it called
    /// or could.
    pub fn halt(&mut self, id: DomainId, state: State) {
        self.finish_line(id);
        if self.is_alive(id) {
            let domain = self.domain_mut(id);
            domain.lives_ended = domain.lives_ended.wrapping_add(1);
        }
        let Ok(halted) = self.peer(id) else { return };
        let failed = self.threads.halt(halted.thread.id, state);
        self.fail(failed, CallError::PeerFailed);
        self.monitor_halted(halted);
        self.tell_clients(halted);
        self.tell_servers(id);
    }

    /// Keeps the lines of a domain from interrupting.
    pub fn mask_lines(&mut self, id: DomainId) {
        for (_, interrupt) in self.interrupts.of(id) {
            if let Some(line) = interrupt.line() {
                self.machine.io_apic.mask(line);
            }
        }
    }

    fn tell_clients(&mut self, halted: Peer) {
        for other in DomainId::all() {
            if self.slots(other).gates_from(0).any(|(_, gate)| gate.server == halted) {
                self.tell_peer_failed(other);
            }
        }
    }

    pub(crate) fn tell_peer_failed(&mut self, id: DomainId) {
        if let Ok(thread) = self.thread(id) {
            self.signal(thread, 1 << EVENT_PEER_FAILED);
        }
    }

    /// Lets the servers of a domain that has halted drop what they keep for it.
    fn tell_servers(&mut self, id: DomainId) {
        let mut servers: DomainSet = 0;
        for (_, gate) in self.domain(id).planned.gates_from(0) {
            if let Ok(server) = self.domain_of(gate.server) {
                servers |= server.bit();
            }
        }
        for server in DomainId::all().filter(|server| servers & server.bit() != 0) {
            self.domain_mut(server).gone |= id.bit();
            self.tell_peer_failed(server);
        }
    }

    /// A domain stops to live, for now. What it lent has been taken back before.
    pub fn stop_for_now(&mut self, stopped: Peer) {
        self.halt(stopped.domain, State::Stopped);
        self.mask_lines(stopped.domain);
        #[cfg(feature = "self-attack")]
        self.attack_lines(stopped);
        self.reader_stopped(stopped);
        self.abandon_supervised(stopped, false);
    }

    /// A life of a domain is over, for this reason: for good, or until who looks after its lives starts it again.
    pub fn end_life(&mut self, id: DomainId, end: Fault) {
        let domain = self.domain_mut(id);
        domain.fault = end;
        let keeper = domain.handler.filter(|_| domain.comes_back);
        match (keeper, self.peer(id)) {
            (Some(keeper), Ok(ended)) => {
                self.stop_for_now(ended);
                self.notify(keeper);
            }
            _ => self.end_domain(id),
        }
    }

    /// A domain has ended: it is stopped, and what it held in slots and interrupt lines is free again.
    /// What it lent has been taken back before.
    pub fn end_domain(&mut self, id: DomainId) {
        self.halt(id, State::Stopped);
        let Ok(ended) = self.peer(id) else { return };
        self.domain_mut(id).renewal = Renewal::Ended;
        self.detach_guest(id);
        *self.slots_mut(id) = SlotTable::EMPTY;
        self.mask_lines(id);
        self.interrupts.release(id);
        self.reader_stopped(ended);
        self.abandon_supervised(ended, true);
    }

    /// Takes back what a domain has lent: all of it, or `only` this region. The slots of one borrower, or one
    /// step's worth of a mapping. Returns whether nothing was left to be taken.
    pub fn take_back_step(&mut self, lender: DomainId, only: Option<RegionRef>) -> bool {
        DomainId::all()
            .filter(|other| *other != lender)
            .all(|other| !self.take_back_from(lender, other, only))
    }

    /// Returns whether there was something to be taken.
    fn take_back_from(&mut self, lender: DomainId, borrower: DomainId, only: Option<RegionRef>) -> bool {
        let (from, to) = (lender.index(), borrower.index());
        if lending::take_slots(self.slots_mut(borrower), lender, |region| {
            only.is_none_or(|only| region == only)
        }) {
            return true;
        }
        let taken = |region| match only {
            Some(only) => region == only,
            // What it has made by itself is in no plan.
            None => [&self.domains[from].planned, self.slots(lender)]
                .iter()
                .any(|slots| slots.holds(region, Rights::GRANT)),
        };
        let Domain { planned, mappings, .. } = &self.domains[to];
        let mapping = lending::lent_mapping(self.slots(borrower), planned, mappings, taken);
        if let Some(mapping) = mapping {
            unmap_step(self, borrower, mapping);
        }
        mapping.is_some()
    }

    /// Makes a domain that does not live what it was before its first life: one step of it. Returns whether
    /// it is so.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it has ended, is the builder, or is to see memory that is vacant.
    pub fn renew_step(&mut self, id: DomainId) -> Result<bool, CallError> {
        let quota = self.domain(id).quota.ok_or(CallError::BadState)?;
        match self.domain(id).renewal {
            Renewal::Fresh => return Ok(true),
            Renewal::Used | Renewal::Ending => {
                if self.take_back_step(id, None) {
                    self.strip(id)?;
                }
            }
            Renewal::Scrubbing => {
                if zero_step(self, quota)? && self.renew_guest_step(id)? {
                    let frames = self.regions.take_tables(quota)?;
                    self.give_space(id, frames);
                    self.domain_mut(id).renewal = Renewal::Mapping;
                }
            }
            Renewal::Mapping => match self.domain(id).mappings.unfinished(&self.regions) {
                Some(mapping) => {
                    // What is vacant stays planned, and is waited for.
                    self.regions.usable(mapping.region())?;
                    map_step(self, id, mapping)?;
                }
                None => self.domain_mut(id).renewal = Renewal::Fresh,
            },
            Renewal::Ended | Renewal::Destroying => return Err(CallError::BadState),
        }
        Ok(false)
    }

    /// Takes from a domain what its last life has left: its page tables, what it has mapped by itself, what
    /// was lent to it, what its clients left with it. Gives it back what the builder gave it.
    fn strip(&mut self, id: DomainId) -> Result<(), CallError> {
        // In place: a copy on the stack would be a fourth of it.
        self.reach[id.index()].slots.clone_from(&self.domains[id.index()].planned);
        self.forget_verdicts(id);
        let domain = self.domain_mut(id);
        domain.mappings.renew();
        domain.renewal = Renewal::Scrubbing;
        self.end_guest_spaces(id);
        self.take_space(id)
    }
}
