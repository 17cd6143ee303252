//! What is shown in the upper half, which all roots of a Linux have in common.

use cloison_abi::guest::UPPER_HALF;

use super::Paging;
use super::entry::{Entry, LEVELS, index, pages_below};
use super::fault::hide;
use super::walk::load;
use crate::machine::{Machine, Space};
use cloison_abi::limits::PAGE_BYTES;

/// Entries of a root for the upper half.
const SLOTS: usize = 256;

/// The entries of roots because of which something is shown.
pub struct Upper {
    used: [u64; SLOTS / 64],
    entries: [Entry; SLOTS],
}

impl Upper {
    pub(super) const fn new() -> Self {
        Self { used: [0; SLOTS / 64], entries: [Entry(0); SLOTS] }
    }

    /// The slots in use.
    fn slots(&self) -> impl Iterator<Item = usize> + use<> {
        let used = self.used;
        (0..SLOTS / 64).flat_map(move |word| {
            let mut rest = used[word];
            core::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(word * 64 + bit)
            })
        })
    }

    fn is_used(&self, slot: usize) -> bool {
        self.used[slot / 64] >> (slot % 64) & 1 != 0
    }
}

impl Paging {
    /// Drops what the kernel's root shows otherwise than the root did for which it was shown. Linux has the same entries
    /// in all roots; nothing makes a guest do as Linux does.
    pub(super) fn settle_upper(&mut self, machine: &mut impl Machine) {
        for slot in self.upper.slots() {
            let entry = load(machine, self.kernel, (SLOTS + slot) as u64).unwrap_or(Entry(0));
            if !entry.is_like(self.upper.entries[slot]) {
                self.drop_slot(machine, slot);
            }
        }
    }

    /// Notes that a page of the upper half is about to be shown because of an entry of the root.
    pub(super) fn note_upper(&mut self, machine: &mut impl Machine, address: u64, entry: Entry) {
        let slot = index(address, LEVELS) as usize % SLOTS;
        if self.upper.is_used(slot) && !entry.is_like(self.upper.entries[slot]) {
            self.drop_slot(machine, slot);
        }
        self.upper.used[slot / 64] |= 1 << (slot % 64);
        self.upper.entries[slot] = entry;
    }

    /// Shows nothing in the upper half, but what no table of the guest has a say in.
    pub(super) fn drop_upper(&mut self, machine: &mut impl Machine) {
        for slot in self.upper.slots() {
            self.drop_slot(machine, slot);
        }
        self.places.forget_upper();
        self.counters.drops += 1;
    }

    fn drop_slot(&mut self, machine: &mut impl Machine, slot: usize) {
        let pages = pages_below(LEVELS);
        hide(machine, Space(0), UPPER_HALF + slot as u64 * pages * PAGE_BYTES, pages);
        self.upper.used[slot / 64] &= !(1 << (slot % 64));
    }
}
