//! How long a command may take.
//!
//! A TPM 1.2 states three durations and the specification puts each command into one class. A TPM 2.0 states
//! none; the PC Client Platform TPM Profile (PTP) gives them in its section on command durations.

use core::time::Duration;

pub use crate::tpm12::Durations12;
use crate::{
    Family,
    header::CommandHeader,
    numbers::{code, ordinal},
};

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

/// A command that is not known to be quick gets the longest duration: too long costs a wait, too short a command.
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
