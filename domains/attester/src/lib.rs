//! How a quote is made, and how what is started is measured, apart from how the TPM is reached, so that it runs in tests on
//! the host.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod endorse;
mod records;
#[cfg(test)]
mod tests;

pub use endorse::{keys, tell};
pub use records::{NotRecorded, Records};

use core::fmt;

use cloison_measure::{Bank, Log, endorsement::MAX_CERTIFICATE_BYTES, evidence::REGISTERS};
use cloison_tpm::{
    Command, Error, MAX_MESSAGE_BYTES,
    tpm20::{
        AttestationKey, CreateAttestationKey, FlushContext, MAX_NONCE_BYTES, PolicyLocality, Quote, Quoted,
        StartPolicySession,
    },
};

/// The longest of the commands: the one with the template of a key of RSA, and the one with a credential for it.
pub(crate) const MAX_COMMAND_BYTES: usize = 512;

/// The way to a TPM.
pub trait Transmit {
    /// Why there is no response.
    type Error;

    /// Sends a command and waits for the response, which goes into `response`. Returns the part that it fills.
    ///
    /// # Errors
    /// Why there is no response. A TPM that refuses does so in its response, which is no error here.
    fn transmit<'b>(&mut self, command: &[u8], response: &'b mut [u8]) -> Result<&'b [u8], Self::Error>;
}

/// Why there is no quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble<E> {
    /// No response came.
    Transmit(E),
    /// The TPM refuses, or answers with something else.
    Tpm(Error),
}

impl<E: fmt::Display> fmt::Display for Trouble<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transmit(error) => error.fmt(out),
            Self::Tpm(error) => error.fmt(out),
        }
    }
}

/// Whether a boot with this log was measured into registers of which a quote can be made: those of a TPM 2.0.
#[must_use]
pub fn has_quotes(log: &[u8]) -> bool {
    Log::read(log).is_ok_and(|log| log.has(Bank::Sha256))
}

/// Room for the TPM's responses.
#[derive(Debug)]
pub struct Room {
    key: [u8; MAX_MESSAGE_BYTES],
    quote: [u8; MAX_MESSAGE_BYTES],
    certificate: [u8; MAX_CERTIFICATE_BYTES],
}

impl Room {
    /// With nothing in it.
    pub const EMPTY: Self = Self {
        key: [0; MAX_MESSAGE_BYTES],
        quote: [0; MAX_MESSAGE_BYTES],
        certificate: [0; MAX_CERTIFICATE_BYTES],
    };
}

/// A quote, and the public part of the key that signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made<'b> {
    /// The key.
    pub key: &'b [u8],
    /// The quote.
    pub quoted: Quoted<'b>,
}

/// Has the TPM make the attestation key and sign its registers with this nonce. Nothing of that stays in the TPM, which
/// has room for few keys and sessions, and serves others as well.
///
/// # Errors
/// Why there is no quote.
pub fn make<'b, T: Transmit>(
    tpm: &mut T,
    nonce: &[u8; MAX_NONCE_BYTES],
    room: &'b mut Room,
) -> Result<Made<'b>, Trouble<T::Error>> {
    let loaded = run(tpm, &CreateAttestationKey, &mut room.key)?;
    let quoted = quote(tpm, loaded.handle, nonce, &mut room.quote);
    let flushed = flush(tpm, loaded.handle);
    let (quoted, key) = (quoted?, loaded.key.map_err(Trouble::Tpm)?);
    flushed?;
    // Else it would be for nobody: a verifier refuses every other key.
    AttestationKey::read(key.structure).map_err(Trouble::Tpm)?;
    Ok(Made { key: key.structure, quoted })
}

fn quote<'b, T: Transmit>(
    tpm: &mut T,
    key: u32,
    nonce: &[u8; MAX_NONCE_BYTES],
    room: &'b mut [u8],
) -> Result<Quoted<'b>, Trouble<T::Error>> {
    let mut small = [0; MAX_COMMAND_BYTES];
    let session = run(tpm, &StartPolicySession, &mut small)?;
    let allowed = run(tpm, &PolicyLocality { session }, &mut small);
    let quoted = allowed.and_then(|()| run(tpm, &Quote { key, session, nonce, registers: REGISTERS }, room));
    if quoted.is_err() {
        // The quote would have ended it. What went wrong is said already.
        let _ = flush(tpm, session);
    }
    quoted
}

fn flush<T: Transmit>(tpm: &mut T, handle: u32) -> Result<(), Trouble<T::Error>> {
    run(tpm, &FlushContext { handle }, &mut [0; MAX_COMMAND_BYTES])
}

fn run<'b, C: Command, T: Transmit>(
    tpm: &mut T,
    command: &C,
    response: &'b mut [u8],
) -> Result<C::Response<'b>, Trouble<T::Error>> {
    let mut buffer = [0; MAX_COMMAND_BYTES];
    let bytes = command.write(&mut buffer).map_err(Trouble::Tpm)?;
    let response = tpm.transmit(bytes, response).map_err(Trouble::Transmit)?;
    command.parse(response).map_err(Trouble::Tpm)
}
