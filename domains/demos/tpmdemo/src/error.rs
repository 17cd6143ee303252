//! Why the demo ends early.

use core::fmt;

use cloison_tpm::Error;
use cloison_tpm_gate::{TpmError, tpm::Refusal};

use crate::Failure;

/// Why the demo ends early.
pub enum DemoError {
    /// No response came.
    Service(TpmError),
    /// The TPM answers as neither version does.
    Version(Error),
}

impl DemoError {
    /// The service was restarted: a second try may work.
    #[must_use]
    pub fn is_restart(&self) -> bool {
        matches!(self, Self::Service(error) if error.is_restart())
    }
}

impl From<TpmError> for DemoError {
    fn from(error: TpmError) -> Self {
        Self::Service(error)
    }
}

impl From<Failure<TpmError>> for DemoError {
    fn from(failure: Failure<TpmError>) -> Self {
        match failure {
            Failure::Transmit(error) => Self::Service(error),
            Failure::Version(error) => Self::Version(error),
        }
    }
}

impl fmt::Display for DemoError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(TpmError::Service(cloison_tpm_gate::Failure::Refused(Refusal::NoTpm))) => {
                write!(out, "there is no TPM in this machine, or it does not answer")
            }
            Self::Service(error) => error.fmt(out),
            Self::Version(error) => write!(out, "the TPM's version cannot be told: {error}"),
        }
    }
}
