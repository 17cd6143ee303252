//! Why the demo ends early.

use core::fmt;

use cloison_tpm::Error;
use stpm_api::{Failure, TpmError, tpm::Refusal};

/// Why the demo ends early.
pub(crate) enum DemoError {
    /// No response came.
    Service(TpmError),
    /// The response is not what it should be, or a refusal.
    Response(Error),
}

impl DemoError {
    /// The service was restarted: a second try may work.
    pub(crate) fn is_restart(&self) -> bool {
        matches!(self, Self::Service(error) if error.is_restart())
    }
}

impl From<TpmError> for DemoError {
    fn from(error: TpmError) -> Self {
        Self::Service(error)
    }
}

impl From<Error> for DemoError {
    fn from(error: Error) -> Self {
        Self::Response(error)
    }
}

impl fmt::Display for DemoError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(TpmError::Service(Failure::Refused(Refusal::NoTpm))) => {
                write!(out, "there is no TPM in this machine, or it does not answer")
            }
            Self::Service(error) => error.fmt(out),
            Self::Response(error) => error.fmt(out),
        }
    }
}
