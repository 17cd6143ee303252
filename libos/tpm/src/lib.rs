//! TPM 1.2 and 2.0 commands and responses, as plain structs.
//!
//! A command is a struct that implements [`Command`]: it writes itself into the caller's buffer and reads the
//! answer to it. Nothing here talks to a device, allocates, or keeps state; every length that a TPM states is
//! checked against the bytes that are there.
//!
//! ```
//! use cloison_tpm::{Command, tpm12::PcrRead};
//!
//! let mut buffer = [0; 64];
//! let bytes = PcrRead { register: 0 }.write(&mut buffer)?;
//! assert_eq!(bytes, [0x00, 0xc1, 0, 0, 0, 14, 0, 0, 0, 0x15, 0, 0, 0, 0]);
//! # Ok::<(), cloison_tpm::Error>(())
//! ```
//!
//! * [`tpm12`], [`tpm20`]: the commands of each version.
//! * [`header`]: what a command must look like before a device may see it.
//! * [`effect`]: what a command does to a TPM, as far as its other users notice it.
//! * [`family`]: which of the two a TPM is.
//! * [`code`]: what a TPM says when it refuses.
//! * [`tis`]: the registers through which commands and responses go.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod code;
pub mod duration;
pub mod effect;
mod error;
pub mod family;
pub mod header;
mod numbers;
mod public_key;
pub mod tis;
pub mod tpm12;
pub mod tpm20;
mod wire;

pub use code::ReturnCode;
pub use error::Error;
pub use family::Family;
pub use public_key::{KeyKind, PublicKey};

/// The longest command or response that this crate and the services on top of it carry, in bytes. TPM 1.2 and
/// 2.0 devices for PCs state 4096 or less.
pub const MAX_MESSAGE_BYTES: usize = 4096;

/// Where a PC has a TPM's registers: the specifications fix the physical address.
pub const TPM_ADDRESS: u64 = 0xfed4_0000;
/// Bytes of registers: five localities of a page each.
pub const TPM_BYTES: u64 = 5 * tis::LOCALITY_BYTES;

/// A command that can be written out, and whose answer can be read.
pub trait Command {
    /// The TPM's answer. It borrows from the response's bytes.
    type Response<'a>;

    /// Writes the command into `buffer` and returns the part that it fills.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`].
    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error>;

    /// Reads the response to this command.
    ///
    /// # Errors
    /// [`Error::Refused`] if the TPM refused the command, else what is wrong with the bytes.
    fn parse<'a>(&self, response: &'a [u8]) -> Result<Self::Response<'a>, Error>;
}
