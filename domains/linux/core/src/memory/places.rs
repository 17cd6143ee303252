//! Where the guest's tables are used: what may be shown because of an entry in one of them.

use super::entry::pages_below;
use crate::machine::Space;
use cloison_abi::limits::PAGE_BYTES;

/// Room for places, half of which is used: a power of two.
const SLOTS: usize = 8192;

/// A table of some level, used in a space from an address on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The space; 0 if the address is of the upper half.
    pub space: Space,
    /// The table's level, 1 to 3.
    pub level: u8,
    /// The first address that goes through the table.
    pub start: u64,
}

/// No more places can be noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Place {
    /// Where a table of a level is used by a walk to an address.
    #[must_use]
    pub const fn of(space: Space, level: u8, address: u64) -> Self {
        let bytes = pages_below(level + 1) * PAGE_BYTES;
        Self { space, level, start: address / bytes * bytes }
    }

    /// The first address, and how many pages, that go through an entry of the table.
    #[must_use]
    pub const fn below(self, entry: u64) -> (u64, u64) {
        let pages = pages_below(self.level);
        (self.start + entry * pages * PAGE_BYTES, pages)
    }
}

/// A place and its table in 64 bits: frame 20, space 5, level 2, bits 21 to 47 of the address; the highest bit says that
/// there is one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Packed(u64);

impl Packed {
    const NONE: Self = Self(0);
    const FRAMES: u32 = 1 << 20;

    fn new(frame: u32, place: Place) -> Self {
        let address = place.start >> 21 & ((1 << 27) - 1);
        Self(
            1 << 63
                | u64::from(frame) << 34
                | u64::from(place.space.0) << 29
                | u64::from(place.level) << 27
                | address,
        )
    }

    fn frame(self) -> u32 {
        (self.0 >> 34) as u32 & (Self::FRAMES - 1)
    }

    fn place(self) -> Place {
        // The highest bit of an address is continued to the left.
        let start = ((self.0 << 37) as i64 >> 16) as u64 & !((1 << 21) - 1);
        Place { space: Space((self.0 >> 29) as u8 & 31), level: (self.0 >> 27) as u8 & 3, start }
    }

    /// Where the search for a table begins.
    fn home(frame: u32) -> usize {
        (frame.wrapping_mul(0x9e37_79b1) >> 19) as usize % SLOTS
    }
}

/// All that is known: a table can be used in several places.
pub struct Places {
    slots: [Packed; SLOTS],
    used: usize,
}

impl Places {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: [Packed::NONE; SLOTS], used: 0 }
    }

    /// Notes that a table is used in a place.
    ///
    /// # Errors
    /// [`Full`]: all that is known has to be forgotten first, and what is shown because of it.
    pub fn note(&mut self, frame: u32, place: Place) -> Result<(), Full> {
        if frame >= Packed::FRAMES {
            return Err(Full);
        }
        let packed = Packed::new(frame, place);
        let mut slot = Packed::home(frame);
        while self.slots[slot] != Packed::NONE {
            if self.slots[slot] == packed {
                return Ok(());
            }
            slot = (slot + 1) % SLOTS;
        }
        if self.used >= SLOTS / 2 {
            return Err(Full);
        }
        self.used += 1;
        self.slots[slot] = packed;
        Ok(())
    }

    /// The places of a table.
    pub fn of(&self, frame: u32) -> impl Iterator<Item = Place> {
        let home = Packed::home(frame);
        (0..SLOTS)
            .map(move |step| self.slots[(home + step) % SLOTS])
            .take_while(|packed| *packed != Packed::NONE)
            .filter(move |packed| packed.frame() == frame)
            .map(Packed::place)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        if self.used > 0 {
            self.slots.fill(Packed::NONE);
            self.used = 0;
        }
    }
}

impl Default for Places {
    fn default() -> Self {
        Self::new()
    }
}
