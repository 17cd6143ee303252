//! What a TPM 1.2 says of how long its commands take.

use core::time::Duration;

/// The durations of a TPM 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations12 {
    /// For commands that only read or extend.
    pub short: Duration,
    /// For commands that use a key.
    pub medium: Duration,
    /// For commands that make a key.
    pub long: Duration,
}

impl Durations12 {
    /// What holds until the TPM has been asked: generous, because a TPM that is given up too early is lost,
    /// and one that is gone is noticed by its registers, not by its silence.
    pub const DEFAULT: Self = Self {
        short: Duration::from_secs(2),
        medium: Duration::from_secs(20),
        long: Duration::from_secs(120),
    };

    /// The longest time that is believed. A TPM that states a longer one must not keep its client waiting for weeks.
    pub const MAX: Duration = Duration::from_secs(600);

    /// The durations from the TPM's capability, in microseconds. Some devices give milliseconds instead, and
    /// some nothing at all: a short duration below 10 ms is taken for milliseconds, 0 for the default. None
    /// is longer than [`Self::MAX`].
    #[must_use]
    pub fn from_stated([short, medium, long]: [u32; 3]) -> Self {
        const LEAST_PLAUSIBLE_US: u32 = 10_000;
        let unit =
            if short < LEAST_PLAUSIBLE_US { Duration::from_millis(1) } else { Duration::from_micros(1) };
        let scale = |stated: u32, default: Duration| match stated {
            0 => default,
            _ => (unit * stated).min(Self::MAX),
        };
        Self {
            short: scale(short, Self::DEFAULT.short),
            medium: scale(medium, Self::DEFAULT.medium),
            long: scale(long, Self::DEFAULT.long),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tpm_states_is_scaled_and_bounded() {
        let Durations12 { short, medium, long } = Durations12::from_stated([20_000, 0, 60_000_000]);
        assert_eq!((short, medium), (Duration::from_millis(20), Durations12::DEFAULT.medium));
        assert_eq!(long, Duration::from_secs(60));
        let Durations12 { short, long, .. } = Durations12::from_stated([20, 1, u32::MAX]);
        assert_eq!((short, long), (Duration::from_millis(20), Durations12::MAX), "milliseconds");
    }
}
