//! Numbers that are given out and come back: slots, event bits.

/// A set of numbers below 128, of which the free ones are given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    free: u128,
    all: u128,
}

impl Numbers {
    /// The numbers from `first` on, below `end`, which is 128 at most.
    #[must_use]
    pub const fn new(first: u8, end: u8) -> Self {
        let all = below(end) & !below(first);
        Self { free: all, all }
    }

    /// Gives out the lowest number that is free.
    pub fn take(&mut self) -> Option<u8> {
        let lowest = self.free.trailing_zeros() as u8;
        self.free &= self.free.wrapping_sub(1);
        (lowest < 128).then_some(lowest)
    }

    /// Takes a number back. One that was not given out changes nothing.
    pub fn give_back(&mut self, number: u8) {
        self.free |= bit(number) & self.all;
    }

    /// Whether a number is given out.
    #[must_use]
    pub fn is_taken(&self, number: u8) -> bool {
        self.all & !self.free & bit(number) != 0
    }
}

/// All numbers below `end`.
const fn below(end: u8) -> u128 {
    if end < 128 { (1 << end) - 1 } else { u128::MAX }
}

fn bit(number: u8) -> u128 {
    1_u128.checked_shl(number.into()).unwrap_or(0)
}
