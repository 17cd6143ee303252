//! What a TPM says about itself, in lines for people.
//!
//! TPMs of different makers differ: in their keys, in how much they list at a time, in what they refuse and to
//! whom. Whatever a TPM answers is shown or named, and the next question asked. Only when no answer comes is it
//! over.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod client;
mod error;
mod key;
mod session;
#[cfg(test)]
mod tests;
mod text;
mod tpm12;
mod tpm20;

use core::fmt;

pub use client::TpmClient;
use cloison_tpm::{Error, Family};
pub use error::DemoError;
use session::Session;
pub use session::Transmit;

/// Where a line goes.
pub type Log = fn(fmt::Arguments<'_>);

/// Registers of a TPM that does not say how many it has: those of a PC.
const USUAL_REGISTERS: u32 = 24;
/// Registers that are asked for at the most, whatever the TPM says.
const MOST_REGISTERS: u32 = 32;

/// Why nothing more is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// No response came.
    Transmit(E),
    /// The TPM answers as neither version does.
    Version(Error),
}

impl<E> From<E> for Failure<E> {
    fn from(error: E) -> Self {
        Self::Transmit(error)
    }
}

/// Shows everything: version, registers, keys.
///
/// # Errors
/// Why nothing more is shown.
pub fn show<T: Transmit>(tpm: &mut T, log: Log) -> Result<(), Failure<T::Error>> {
    let mut session = Session::new(tpm, log);
    match session.family()?.map_err(Failure::Version)? {
        Family::Tpm12 => tpm12::show(&mut session)?,
        Family::Tpm20 => tpm20::show(&mut session)?,
    }
    Ok(())
}
