//! Why the TPM did not do it.

use core::fmt;

use cloison_drivers::tpm::InterfaceError;
use cloison_tpm::{Error, ReturnCode};
use cloison_tpm_gate::tpm::Refusal;

/// Why the TPM did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChipError {
    /// The exchange failed.
    Interface(InterfaceError),
    /// The TPM refused what every TPM in order does.
    Refused(ReturnCode),
    /// The TPM's answer is no answer.
    Garbage,
}

impl ChipError {
    /// What a client is told.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::Interface(InterfaceError::Absent) => Refusal::NoTpm,
            Self::Interface(InterfaceError::TimedOut(_)) => Refusal::TimedOut,
            // No command without a header gets this far.
            Self::Interface(InterfaceError::CommandLength { .. }) => Refusal::TooLong,
            Self::Interface(InterfaceError::Failed | InterfaceError::BufferElsewhere { .. })
            | Self::Refused(_) => Refusal::Failed,
            Self::Interface(
                InterfaceError::LostBytes
                | InterfaceError::ResponseLength { .. }
                | InterfaceError::NothingSent,
            )
            | Self::Garbage => Refusal::Garbage,
        }
    }
}

impl From<InterfaceError> for ChipError {
    fn from(error: InterfaceError) -> Self {
        Self::Interface(error)
    }
}

impl From<Error> for ChipError {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(code) => Self::Refused(code),
            _ => Self::Garbage,
        }
    }
}

impl fmt::Display for ChipError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(error) => error.fmt(out),
            Self::Refused(code) => code.fmt(out),
            Self::Garbage => write!(out, "the TPM answered with garbage"),
        }
    }
}

impl core::error::Error for ChipError {}
