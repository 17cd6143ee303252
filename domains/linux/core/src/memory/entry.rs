//! Entries of page tables, as the guest writes them.

use cloison_abi::limits::PAGE_BYTES;

/// Entries of one table.
pub const TABLE_ENTRIES: u64 = 512;
/// Levels of tables; the root is of the highest.
pub const LEVELS: u8 = 4;

/// An entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entry(pub u64);

impl Entry {
    /// There is something.
    pub const PRESENT: u64 = 1 << 0;
    /// It can be written to.
    pub const WRITE: u64 = 1 << 1;
    /// User programs can reach it.
    pub const USER: u64 = 1 << 2;
    /// It was used.
    pub const ACCESSED: u64 = 1 << 5;
    /// It was written to (level 1).
    pub const DIRTY: u64 = 1 << 6;
    /// It is a page, not a table (levels 2 and 3); a guest is told that there are none.
    pub const LARGE: u64 = 1 << 7;
    /// It cannot be executed.
    pub const NO_EXECUTE: u64 = 1 << 63;
    /// The bits that are the frame's address.
    const FRAME: u64 = 0x000f_ffff_ffff_f000;

    /// An entry for a frame.
    #[must_use]
    pub const fn new(frame: u64, bits: u64) -> Self {
        Self((frame * PAGE_BYTES) & Self::FRAME | bits)
    }

    /// Whether it has all of some bits.
    #[must_use]
    pub const fn has(self, bits: u64) -> bool {
        self.0 & bits == bits
    }

    /// The frame that it names.
    #[must_use]
    pub const fn frame(self) -> u64 {
        (self.0 & Self::FRAME) / PAGE_BYTES
    }

    /// Whether all that `self` lets through, `after` lets through as well: then nothing that is shown because of `self`
    /// has to go when `after` takes its place.
    #[must_use]
    pub const fn is_within(self, after: Self) -> bool {
        const GRANTS: u64 = Entry::WRITE | Entry::USER | Entry::ACCESSED | Entry::DIRTY;
        if !self.has(Self::PRESENT) {
            return true;
        }
        let lost = self.0 & !after.0 & (GRANTS | Self::PRESENT);
        let barred = !self.0 & after.0 & (Self::NO_EXECUTE | Self::LARGE);
        lost == 0 && barred == 0 && self.frame() == after.frame()
    }

    /// Whether two entries let the same through.
    #[must_use]
    pub const fn is_like(self, other: Self) -> bool {
        const MEANT: u64 =
            Entry::PRESENT | Entry::WRITE | Entry::USER | Entry::LARGE | Entry::NO_EXECUTE | Entry::FRAME;
        (self.0 ^ other.0) & MEANT == 0 || !(self.has(Self::PRESENT) || other.has(Self::PRESENT))
    }
}

/// Which entry of a table of some level an address goes through.
#[must_use]
pub const fn index(address: u64, level: u8) -> u64 {
    (address >> (12 + 9 * (level as u32 - 1))) % TABLE_ENTRIES
}

/// Pages that one entry of a table of some level stands for.
#[must_use]
pub const fn pages_below(level: u8) -> u64 {
    1 << (9 * (level as u32 - 1))
}

/// The address of an entry in the guest's memory.
#[must_use]
pub const fn entry_address(table: u32, index: u64) -> u64 {
    table as u64 * PAGE_BYTES + (index % TABLE_ENTRIES) * 8
}

/// Whether an address is one: bits 47 to 63 are alike.
#[must_use]
pub const fn is_canonical(address: u64) -> bool {
    matches!((address as i64) >> 47, 0 | -1)
}
