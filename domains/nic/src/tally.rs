//! What went wrong, by cause. The log hears of the first time, the tenth, the hundredth and so on: whoever looks
//! sees what is wrong, and nobody can flood the log.

use core::fmt::Display;

/// How often something has happened.
#[derive(Default)]
pub(crate) struct Tally(u64);

impl Tally {
    /// It has happened once more.
    pub(crate) fn count(&mut self, what: impl Display) {
        self.0 += 1;
        if is_round(self.0) {
            cloison_rt::log!("{what} ({} so far)", self.0);
        }
    }
}

/// Whether it is a one with zeros behind it.
fn is_round(count: u64) -> bool {
    10_u64.checked_pow(count.ilog10()) == Some(count)
}
