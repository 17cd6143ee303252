//! Where the guest's tables are used: what may be shown because of an entry in one of them.

use super::entry::pages_below;
use crate::machine::Space;
use cloison_abi::guest::{GUEST_SPACES, UPPER_HALF};
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

/// A place and its table in 64 bits: from the left 1 bit that says that there is one, 9 of the round, 20 of the frame, 5
/// of the space, 2 of the level, and bits 47 to 21 of the address.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Packed(u64);

impl Packed {
    const NONE: Self = Self(0);
    const FRAMES: u32 = 1 << 20;
    const ROUND_SHIFT: u32 = 54;
    const ROUNDS: u16 = 1 << 9;

    fn new(frame: u32, place: Place, round: u16) -> Self {
        let address = place.start >> 21 & ((1 << 27) - 1);
        let space = u64::from(place.space.0) << 29;
        let round = u64::from(round % Self::ROUNDS) << Self::ROUND_SHIFT;
        let frame = u64::from(frame % Self::FRAMES) << 34;
        Self(1 << 63 | round | frame | space | u64::from(place.level) << 27 | address)
    }

    fn frame(self) -> u32 {
        (self.0 >> 34) as u32 % Self::FRAMES
    }

    fn round(self) -> u16 {
        (self.0 >> Self::ROUND_SHIFT) as u16 % Self::ROUNDS
    }

    fn place(self) -> Place {
        // The highest bit of an address is continued to the left.
        let start = ((self.0 << 37) as i64 >> 16) as u64 & !((1 << 21) - 1);
        Place { space: Space((self.0 >> 29) as u8 % 32), level: (self.0 >> 27) as u8 % 4, start }
    }

    /// Whether it is the same place of the same table, of whichever round.
    fn is_same(self, other: Self) -> bool {
        const ROUND: u64 = (Packed::ROUNDS as u64 - 1) << Packed::ROUND_SHIFT;
        (self.0 ^ other.0) & !ROUND == 0
    }

    /// Where the search for a table begins.
    fn home(frame: u32) -> usize {
        (frame.wrapping_mul(0x9e37_79b1) >> 19) as usize % SLOTS
    }
}

/// All that is known: a table can be used in several places.
///
/// What is known of a half is forgotten by beginning its next *round*: what was noted before counts no more. At the end
/// of all rounds it counts again, which costs a call in vain; the space may be gone by then.
pub struct Places {
    slots: [Packed; SLOTS],
    used: usize,
    /// The rounds of the spaces' lower halves, and of the upper half.
    rounds: [u16; GUEST_SPACES + 1],
}

impl Places {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: [Packed::NONE; SLOTS], used: 0, rounds: [0; GUEST_SPACES + 1] }
    }

    /// Notes that a table is used in a place.
    ///
    /// # Errors
    /// [`Full`]: all that is known has to be forgotten first, and what is shown because of it.
    pub fn note(&mut self, frame: u32, place: Place) -> Result<(), Full> {
        let packed = Packed::new(frame, place, self.round(place));
        let mut slot = self.find(packed);
        if self.slots[slot] == Packed::NONE {
            if self.used >= SLOTS / 2 {
                self.sweep();
                slot = self.find(packed);
            }
            if self.used >= SLOTS / 2 {
                return Err(Full);
            }
            self.used += 1;
        }
        self.slots[slot] = packed;
        Ok(())
    }

    /// The places of a table.
    pub fn of(&self, frame: u32) -> impl Iterator<Item = Place> {
        let frame = frame % Packed::FRAMES;
        let home = Packed::home(frame);
        (0..SLOTS)
            .map(move |step| self.slots[(home + step) % SLOTS])
            .take_while(|packed| *packed != Packed::NONE)
            .filter(move |packed| packed.frame() == frame && self.counts(*packed))
            .map(Packed::place)
    }

    /// Forgets the places of a lower half.
    pub fn forget(&mut self, space: Space) {
        self.rounds[usize::from(space.0)] = (self.rounds[usize::from(space.0)] + 1) % Packed::ROUNDS;
    }

    /// Forgets the places of the upper half.
    pub fn forget_upper(&mut self) {
        self.rounds[GUEST_SPACES] = (self.rounds[GUEST_SPACES] + 1) % Packed::ROUNDS;
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.slots.fill(Packed::NONE);
        self.used = 0;
    }

    fn round(&self, place: Place) -> u16 {
        let half = if place.start < UPPER_HALF { usize::from(place.space.0) } else { GUEST_SPACES };
        self.rounds[half]
    }

    fn counts(&self, packed: Packed) -> bool {
        packed.round() == self.round(packed.place())
    }

    /// Where a place of a table is noted, or would be. Half of the slots are empty, so there is an end.
    fn find(&self, packed: Packed) -> usize {
        let mut slot = Packed::home(packed.frame());
        while self.slots[slot] != Packed::NONE && !self.slots[slot].is_same(packed) {
            slot = (slot + 1) % SLOTS;
        }
        slot
    }

    /// Takes out what does not count.
    fn sweep(&mut self) {
        for slot in 0..SLOTS {
            while self.slots[slot] != Packed::NONE && !self.counts(self.slots[slot]) {
                self.remove(slot);
            }
        }
    }

    /// Empties a slot, and moves what was put behind it because it was taken.
    fn remove(&mut self, mut hole: usize) {
        let mut slot = (hole + 1) % SLOTS;
        while self.slots[slot] != Packed::NONE {
            let way = |from: usize| (SLOTS + slot - from) % SLOTS;
            if way(Packed::home(self.slots[slot].frame())) >= way(hole) {
                self.slots[hole] = self.slots[slot];
                hole = slot;
            }
            slot = (slot + 1) % SLOTS;
        }
        self.slots[hole] = Packed::NONE;
        self.used -= 1;
    }
}

impl Default for Places {
    fn default() -> Self {
        Self::new()
    }
}
