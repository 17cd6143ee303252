//! What a command must look like before a device may see it.

use core::fmt;

pub use crate::numbers::{
    HEADER_BYTES, TAG_12_COMMAND, TAG_12_COMMAND_AUTH1, TAG_12_COMMAND_AUTH2, TAG_12_RESPONSE,
    TAG_20_NO_SESSIONS, TAG_20_SESSIONS,
};
use crate::{
    Family,
    numbers::{code, ordinal},
    wire::Reader,
};

/// Ordinal bits that no specification uses: bits 24 to 28 (TPM 1.2 main, part 2, section 17; TPM 2.0, part 2,
/// `TPMA_CC` keeps even more of them reserved).
const RESERVED_ORDINAL_BITS: u32 = 0x1f00_0000;
/// Ordinal bits that number the command; 0 is none.
const ORDINAL_INDEX_BITS: u32 = 0x0000_ffff;
/// TPM 1.2 bytes that each authorisation adds at the least: handle, nonce, flag, proof.
const AUTHORISATION_BYTES: usize = 45;

/// The header of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandHeader {
    /// Says the version and whether authorisations follow.
    pub tag: u16,
    /// Length of the whole command, in bytes.
    pub length: usize,
    /// The command: *ordinal* in TPM 1.2, *command code* in 2.0.
    pub ordinal: u32,
}

impl CommandHeader {
    /// The version that the command is of.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self.tag {
            TAG_20_NO_SESSIONS | TAG_20_SESSIONS => Family::Tpm20,
            _ => Family::Tpm12,
        }
    }

    /// Whether the command starts the TPM.
    #[must_use]
    pub const fn is_startup(&self) -> bool {
        match self.family() {
            Family::Tpm12 => self.ordinal == ordinal::STARTUP,
            Family::Tpm20 => self.ordinal == code::STARTUP,
        }
    }

    /// Whether the command has the TPM test itself.
    #[must_use]
    pub const fn is_self_test(&self) -> bool {
        match self.family() {
            Family::Tpm12 => matches!(self.ordinal, ordinal::SELF_TEST_FULL | ordinal::CONTINUE_SELF_TEST),
            Family::Tpm20 => matches!(self.ordinal, code::SELF_TEST | code::INCREMENTAL_SELF_TEST),
        }
    }
}

/// Why a command must not reach a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandFault {
    /// Shorter than what its tag needs.
    TooShort {
        /// Bytes given.
        given: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// Longer than the device takes.
    TooLong {
        /// Bytes given.
        given: usize,
        /// The most there may be.
        limit: usize,
    },
    /// The length in the header is not the number of bytes given.
    WrongLength {
        /// The length in the header.
        stated: u32,
        /// Bytes given.
        given: usize,
    },
    /// The tag is no command's.
    WrongTag {
        /// The tag.
        tag: u16,
    },
    /// The ordinal has reserved bits set, or is 0.
    WrongOrdinal {
        /// The ordinal.
        ordinal: u32,
    },
}

/// Checks the header of a command for a device that takes at most `limit` bytes.
///
/// Both versions' tags pass: which version the device has is the caller's to find out, and trying a command
/// of the other version on it is how that is done (see [`crate::family`]).
///
/// # Errors
/// Why the command must not reach the device.
pub fn check_command(command: &[u8], limit: usize) -> Result<CommandHeader, CommandFault> {
    let given = command.len();
    if given > limit {
        return Err(CommandFault::TooLong { given, limit });
    }
    let too_short = |needed| CommandFault::TooShort { given, needed };
    let mut reader = Reader::new(command);
    let mut fields = || Ok((reader.u16()?, reader.u32()?, reader.u32()?));
    let (tag, stated, ordinal) = fields().map_err(|_: crate::Error| too_short(HEADER_BYTES))?;
    if usize::try_from(stated) != Ok(given) {
        return Err(CommandFault::WrongLength { stated, given });
    }
    let needed = least_bytes(tag).ok_or(CommandFault::WrongTag { tag })?;
    if given < needed {
        return Err(too_short(needed));
    }
    if ordinal & RESERVED_ORDINAL_BITS != 0 || ordinal & ORDINAL_INDEX_BITS == 0 {
        return Err(CommandFault::WrongOrdinal { ordinal });
    }
    Ok(CommandHeader { tag, length: given, ordinal })
}

/// The length that a command with this tag has at the least.
fn least_bytes(tag: u16) -> Option<usize> {
    match tag {
        TAG_12_COMMAND | TAG_20_NO_SESSIONS => Some(HEADER_BYTES),
        TAG_12_COMMAND_AUTH1 => Some(HEADER_BYTES + AUTHORISATION_BYTES),
        TAG_12_COMMAND_AUTH2 => Some(HEADER_BYTES + 2 * AUTHORISATION_BYTES),
        // A length, and one session: handle, empty nonce, attributes, empty proof.
        TAG_20_SESSIONS => Some(HEADER_BYTES + 4 + 9),
        _ => None,
    }
}

impl fmt::Display for CommandFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { given, needed } => {
                write!(out, "the command has {given} bytes and needs {needed}")
            }
            Self::TooLong { given, limit } => {
                write!(out, "the command has {given} bytes, the limit is {limit}")
            }
            Self::WrongLength { stated, given } => {
                write!(out, "the command states a length of {stated} bytes and has {given}")
            }
            Self::WrongTag { tag } => write!(out, "no command has tag {tag:#06x}"),
            Self::WrongOrdinal { ordinal } => write!(out, "no command has ordinal {ordinal:#x}"),
        }
    }
}
