//! What is shown before the guest faults for it: a fault costs more than to show a page in vain.

use cloison_abi::guest::UPPER_HALF;

use super::entry::Entry;
use super::fault::AROUND;
use super::walk::{Access, walk};
use super::{Fault, Paging};
use crate::machine::{Machine, Memory};
use crate::stub;

/// A fault of the lower half that the guest was told of.
#[derive(Clone, Copy)]
pub(super) struct Missed {
    address: u64,
    access: Access,
    /// The root that counted.
    root: u32,
    /// How many entries had been stored.
    stores: u64,
}

impl Paging {
    /// Notes what the guest was told of.
    pub(super) fn miss(&mut self, memory: &impl Memory, address: u64, access: Access) {
        if address < UPPER_HALF {
            let (root, stores) = (self.root(), self.stores(memory));
            self.missed = Some(Missed { address, access, root, stores });
        }
    }

    /// Whether something is to be shown when the guest returns from its fault.
    pub(crate) fn has_missed(&self) -> bool {
        self.missed.is_some()
    }

    /// The guest returns from a fault: if there is now what it has missed, that is shown before it faults once more. It will be
    /// used, so it is marked so; only the guest says that it was written to. If it has stored more entries than that one, they
    /// are of pages beside it.
    pub(crate) fn show_missed(&mut self, machine: &mut impl Machine) {
        let Some(Missed { address, access, root, stores }) = self.missed.take() else { return };
        if root != self.root() {
            return;
        }
        let Ok(path) = walk(machine, root, address) else { return };
        let is_open = path.allows(access) && (path.dirty() || !access.write);
        if is_open && !self.tables.has(path.frame()) {
            let around = if self.stores(machine).wrapping_sub(stores) > 1 { AROUND } else { 1 };
            self.settle(machine);
            self.fill(machine, address, access, path, around);
        }
    }

    /// Entries stored so far, here and by the stub.
    fn stores(&self, memory: &impl Memory) -> u64 {
        let by_stub = memory.load(stub::word(memory, stub::STORES)).unwrap_or(0);
        self.counters.updates.wrapping_add(by_stub)
    }

    /// Counts entries that the stub has stored.
    pub(crate) fn count_stored(&mut self, times: u64) {
        self.counters.updates = self.counters.updates.wrapping_add(times);
    }

    /// The guest has changed the entry of an address, to use it next: what it has used before is shown again at once.
    /// Returns whether it is.
    pub(super) fn show_again(&mut self, machine: &mut impl Machine, address: u64) -> bool {
        let Ok(path) = walk(machine, self.kernel, address) else { return false };
        let is_used = path.entries.iter().all(|entry| entry.has(Entry::ACCESSED));
        self.settle(machine);
        is_used
            && (address >= UPPER_HALF || path.user())
            && self.fill(machine, address, Access::default(), path, 1) == Fault::Resume
    }
}
