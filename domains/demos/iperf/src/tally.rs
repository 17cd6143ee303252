//! What went wrong, by kind. The log hears of the first time, the tenth, the hundredth and so on, so that
//! strangers cannot flood it.

use core::mem::{Discriminant, discriminant};

use alloc::vec::Vec;

use crate::Error;

/// How often each kind of error has come.
#[derive(Debug, Default)]
pub struct Tally(Vec<(Discriminant<Error>, u64)>);

impl Tally {
    /// It has come once more. Returns how often so far, if the log is to hear of it.
    pub fn count(&mut self, error: &Error) -> Option<u64> {
        let kind = discriminant(error);
        let place = self.0.iter().position(|(known, _)| *known == kind).unwrap_or_else(|| {
            self.0.push((kind, 0));
            self.0.len() - 1
        });
        let count = &mut self.0[place].1;
        *count += 1;
        is_round(*count).then_some(*count)
    }
}

/// Whether it is a one with zeros behind it.
fn is_round(count: u64) -> bool {
    10_u64.checked_pow(count.ilog10()) == Some(count)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn each_kind_is_told_at_round_numbers() {
        let mut tally = Tally::default();
        let told: Vec<u64> = (0..12_000).filter_map(|_| tally.count(&Error::Garbage("any"))).collect();
        assert_eq!(told, [1, 10, 100, 1000, 10_000]);
        assert_eq!(tally.count(&Error::Ended), Some(1));
    }
}
