//! What is shown before the guest faults for it: a fault costs more than to show a page in vain.

use cloison_abi::guest::UPPER_HALF;
use cloison_abi::limits::PAGE_BYTES;

use super::entry::{Entry, entry_address, index};
use super::walk::{Access, walk};
use super::{Fault, Paging};
use crate::machine::Machine;

/// A fault of the lower half that the guest was told of.
#[derive(Clone, Copy)]
pub(super) struct Missed {
    address: u64,
    access: Access,
}

impl Paging {
    /// Notes what the guest was told of.
    pub(super) fn miss(&mut self, address: u64, access: Access) {
        if address < UPPER_HALF {
            self.missed = Some(Missed { address, access });
        }
    }

    /// An entry has been stored. If it is what the guest has missed, the page is shown before the guest faults once more.
    /// It will be used, so it is marked so; only the guest says that it was written to.
    pub(super) fn anticipate(&mut self, machine: &mut impl Machine, at: u64) {
        let Some(Missed { address, access }) = self.missed else { return };
        if at % PAGE_BYTES != entry_address(0, index(address, 1)) {
            return;
        }
        let Ok(path) = walk(machine, self.kernel, address) else { return };
        let is_it = entry_address(path.tables[0], index(address, 1)) == at;
        let is_open = path.allows(access) && (path.dirty() || !access.write);
        if is_it && is_open && !self.tables.has(path.frame()) {
            self.missed = None;
            self.settle(machine);
            self.fill(machine, address, access, path, 1);
        }
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
