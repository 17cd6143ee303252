//! Why an exchange with a TPM failed.

use core::fmt;

/// What the TPM was to do when its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Give the locality.
    Locality,
    /// Get ready for a command.
    Ready,
    /// Take the command.
    Send,
    /// Carry it out.
    Execute,
    /// Give the response.
    Receive,
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterfaceError {
    /// Nothing answers: the registers read as all ones.
    Absent,
    /// The TPM took too long.
    TimedOut(Step),
    /// The TPM counts the bytes of a message differently.
    LostBytes,
    /// The response's header states an impossible length.
    ResponseLength {
        /// The length.
        stated: u32,
    },
    /// The command is too short or too long for the driver.
    CommandLength {
        /// Its length.
        given: usize,
    },
    /// The TPM reports that it has failed for good.
    Failed,
    /// The TPM's buffer lies outside of its registers, where this domain has no memory.
    BufferElsewhere {
        /// Its physical address.
        address: u64,
        /// Its length.
        bytes: u64,
    },
    /// There is no exchange to go on with.
    NothingSent,
}

impl fmt::Display for InterfaceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(out, "no TPM answers"),
            Self::TimedOut(Step::Locality) => write!(out, "the TPM did not give the locality in time"),
            Self::TimedOut(Step::Ready) => write!(out, "the TPM did not get ready in time"),
            Self::TimedOut(Step::Send) => write!(out, "the TPM did not take the command in time"),
            Self::TimedOut(Step::Execute) => write!(out, "the TPM did not carry out the command in time"),
            Self::TimedOut(Step::Receive) => write!(out, "the TPM did not give its response in time"),
            Self::LostBytes => write!(out, "the TPM counts the bytes of a message differently"),
            Self::ResponseLength { stated } => write!(out, "the TPM states a response of {stated} bytes"),
            Self::CommandLength { given } => write!(out, "a command of {given} bytes cannot be sent"),
            Self::Failed => write!(out, "the TPM reports that it has failed"),
            Self::BufferElsewhere { address, bytes } => {
                write!(out, "the TPM's buffer of {bytes} bytes at {address:#x} is out of reach")
            }
            Self::NothingSent => write!(out, "nothing was sent to the TPM"),
        }
    }
}

impl core::error::Error for InterfaceError {}
