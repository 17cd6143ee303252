//! Why the TPM did not do it.

use core::fmt;

use cloison_drivers::tis::TisError;
use cloison_tpm::{Error, ReturnCode};
use stpm_api::tpm::Refusal;

/// Why the TPM did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChipError {
    /// The exchange failed.
    Tis(TisError),
    /// The TPM refused what every TPM in order does.
    Refused(ReturnCode),
    /// The TPM's answer is no answer.
    Garbage,
}

impl ChipError {
    /// What a client is told.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::Tis(TisError::Absent) => Refusal::NoTpm,
            Self::Tis(TisError::TimedOut(_)) => Refusal::TimedOut,
            Self::Tis(TisError::CommandLength { .. }) => Refusal::Malformed,
            Self::Tis(TisError::LostBytes | TisError::ResponseLength { .. } | TisError::NothingSent)
            | Self::Garbage => Refusal::Garbage,
            Self::Refused(_) => Refusal::Failed,
        }
    }
}

impl From<TisError> for ChipError {
    fn from(error: TisError) -> Self {
        Self::Tis(error)
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
            Self::Tis(error) => error.fmt(out),
            Self::Refused(code) => code.fmt(out),
            Self::Garbage => write!(out, "the TPM answered with garbage"),
        }
    }
}

impl core::error::Error for ChipError {}
