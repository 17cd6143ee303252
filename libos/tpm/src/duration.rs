//! How long a command may take.
//!
//! A TPM 1.2 states three durations and the specification puts each command into one class. A TPM 2.0 states
//! none; the PC Client Platform TPM Profile (PTP) gives them in its section on command durations.

use core::time::Duration;

use crate::{Family, header::CommandHeader, tpm12::ordinal, tpm20::code};

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

    /// The longest that is believed: a TPM that states nonsense must not keep its client waiting for weeks.
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

/// How long the command with this header may take.
#[must_use]
pub fn longest(command: &CommandHeader, stated: &Durations12) -> Duration {
    match command.family() {
        Family::Tpm20 => longest_20(command.ordinal),
        Family::Tpm12 => longest_12(command.ordinal, stated),
    }
}

/// How long a self-test may take.
#[must_use]
pub fn self_test(family: Family, stated: &Durations12) -> Duration {
    match family {
        Family::Tpm20 => longest_20(code::SELF_TEST),
        Family::Tpm12 => longest_12(ordinal::CONTINUE_SELF_TEST, stated),
    }
}

/// What is not known to be quick gets the longest duration: too long costs a wait, too short a command.
fn longest_12(ordinal: u32, stated: &Durations12) -> Duration {
    match ordinal {
        ordinal::EXTEND
        | ordinal::PCR_READ
        | ordinal::GET_RANDOM
        | ordinal::GET_CAPABILITY
        | ordinal::READ_PUBEK
        | ordinal::STARTUP => stated.short,
        _ => stated.long,
    }
}

/// The profile's 20 ms to 750 ms for quick commands hold for a chip; an emulator on a busy machine needs
/// more.
fn longest_20(code: u32) -> Duration {
    match code {
        code::PCR_READ
        | code::GET_CAPABILITY
        | code::FLUSH_CONTEXT
        | code::READ_PUBLIC
        | code::STARTUP
        | code::GET_RANDOM => Duration::from_secs(2),
        code::SELF_TEST => Duration::from_secs(10),
        code::CREATE_PRIMARY => Duration::from_secs(180),
        _ => Duration::from_secs(300),
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
