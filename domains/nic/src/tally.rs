//! What went wrong, by cause. The log hears of the first time, the tenth, the hundredth and so on: its reader
//! sees what is wrong, and nobody can flood it.

use core::fmt::Display;

use crate::Log;

/// How often something has happened.
#[derive(Debug, Default)]
pub(crate) struct Tally(u64);

impl Tally {
    /// It has happened once more.
    pub(crate) fn count(&mut self, log: Log, what: impl Display) {
        self.0 += 1;
        if is_round(self.0) {
            log(format_args!("{what} ({} so far)", self.0));
        }
    }
}

/// Whether it is a one with zeros behind it.
fn is_round(count: u64) -> bool {
    10_u64.checked_pow(count.ilog10()) == Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_numbers_are_told() {
        let told: std::vec::Vec<u64> = (1..=12_000).filter(|count| is_round(*count)).collect();
        assert_eq!(told, [1, 10, 100, 1000, 10_000]);
    }
}
