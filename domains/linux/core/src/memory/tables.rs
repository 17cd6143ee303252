//! Which frames of the guest are page tables.

use crate::saved::carried;

/// Pages of the largest guest: 1 GiB.
pub const MAX_PAGES: u32 = 1 << 18;

const WORDS: usize = MAX_PAGES as usize / 64;

/// A set of frames. Frames of a larger guest are in no set; writes to tables there are then reflected to the guest.
pub struct Tables {
    bits: [u64; WORDS],
}

carried!(Tables { bits });

impl Tables {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { bits: [0; WORDS] }
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.bits.fill(0);
    }

    /// Adds a frame. Returns whether it was not there.
    pub fn learn(&mut self, frame: u32) -> bool {
        let Some(word) = self.bits.get_mut(frame as usize / 64) else { return false };
        let bit = 1 << (frame % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes a frame out. Returns whether it was there.
    pub fn forget(&mut self, frame: u32) -> bool {
        let Some(word) = self.bits.get_mut(frame as usize / 64) else { return false };
        let bit = 1 << (frame % 64);
        let there = *word & bit != 0;
        *word &= !bit;
        there
    }

    /// Whether a frame is there.
    #[must_use]
    pub fn has(&self, frame: u64) -> bool {
        let word = usize::try_from(frame / 64).ok().and_then(|word| self.bits.get(word));
        word.is_some_and(|word| word >> (frame % 64) & 1 != 0)
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self::new()
    }
}
