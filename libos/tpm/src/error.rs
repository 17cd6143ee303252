//! What can be wrong with a command or a response.

use core::fmt;

use crate::ReturnCode;

/// Why a command could not be written or a response could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The command does not fit into the caller's buffer.
    BufferTooSmall {
        /// Length of that buffer, in bytes.
        given: usize,
    },
    /// The bytes end in the middle of a field.
    Truncated {
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// The length in the response's header is not the number of bytes that came.
    WrongLength {
        /// The length that the header states.
        stated: u32,
        /// The bytes that came.
        given: usize,
    },
    /// The response's tag is not one that answers this command.
    WrongTag {
        /// The tag.
        tag: u16,
    },
    /// A field holds a value that it cannot have here.
    Unexpected {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u32,
    },
    /// The checksum over the endorsement key does not match: something between TPM and reader changed it.
    WrongChecksum,
    /// The proof that ends a response does not match: something between TPM and reader changed it, or the secret is another one.
    WrongProof,
    /// The TPM refused the command.
    Refused(ReturnCode),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooSmall { given } => write!(out, "the command does not fit into {given} bytes"),
            Self::Truncated { needed, left } => {
                write!(out, "the response ends early: a field needs {needed} bytes, {left} are left")
            }
            Self::WrongLength { stated, given } => {
                write!(out, "the response states a length of {stated} bytes, but {given} came")
            }
            Self::WrongTag { tag } => {
                write!(out, "the response has tag {tag:#06x}, which answers no such command")
            }
            Self::Unexpected { field, value } => write!(out, "the response's {field} cannot be {value:#x}"),
            Self::WrongChecksum => write!(out, "the endorsement key does not match its checksum"),
            Self::WrongProof => write!(out, "the response does not match the proof at its end"),
            Self::Refused(code) => write!(out, "the TPM refused: {code}"),
        }
    }
}

impl core::error::Error for Error {}
