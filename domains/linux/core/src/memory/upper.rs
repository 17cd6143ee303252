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
    /// Another one whenever a root that has been compared with these has to be once more.
    version: u64,
}

impl Upper {
    pub(super) const fn new() -> Self {
        Self { used: [0; SLOTS / 64], entries: [Entry(0); SLOTS], version: 1 }
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
    /// Does [`Self::settle_upper`] for a root that has come into use. If it is pinned and nothing has changed since the last
    /// time, there is nothing to do: what it lets through there, nobody changes unseen.
    pub(super) fn settle_upper_once(&mut self, machine: &mut impl Machine) {
        let version = self.upper.version;
        let is_known = self.roots.replace_settled(version) == version;
        if !(is_known && self.keeps && self.pinned_roots.has(self.kernel.into())) {
            self.settle_upper(machine);
        }
    }

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
        if !self.upper.is_used(slot) || self.upper.entries[slot] != entry {
            self.upper.version += 1;
        }
        self.upper.used[slot / 64] |= 1 << (slot % 64);
        self.upper.entries[slot] = entry;
    }

    /// An entry that a root may have for the upper half lets less through now, or something else.
    pub(super) fn upper_changes(&mut self) {
        self.upper.version += 1;
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
