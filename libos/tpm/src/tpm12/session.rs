//! Sessions: how somebody shows that they know the secret of a key, and a TPM that it has done what it says (part 1, section 18).

use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};

use super::{DIGEST_BYTES, ordinal};
use crate::{
    Command, Error,
    numbers::{HEADER_BYTES, TAG_12_COMMAND, TAG_12_COMMAND_AUTH1, TAG_12_RESPONSE_AUTH1},
    wire::{Reader, Writer},
};

/// Bytes of a secret, and of a nonce.
pub type Secret = [u8; DIGEST_BYTES];

/// The secret that a tool makes of a password.
#[must_use]
pub fn secret_of(password: &[u8]) -> Secret {
    Sha1::digest(password).into()
}

/// Bytes of a handle before a command's other parameters: they are in no proof.
const HANDLE_BYTES: usize = 4;
/// `TPM_ET_KEYHANDLE`.
const ENTITY_KEY: u16 = 1;
/// The last byte of what a proof is made of: the session ends with its command.
const ENDS: u8 = 0;

/// Begins a session for one command on anything (`TPM_OIAP`).
#[derive(Clone, Copy, Debug)]
pub struct StartSession;

/// A session that a TPM has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    handle: u32,
    even: Secret,
    /// What the secret of a key is mixed with, if the session is for one key.
    mixed: Option<(Secret, Secret)>,
}

impl Command for StartSession {
    type Response<'a> = Started;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        Writer::command(buffer, TAG_12_COMMAND, ordinal::OIAP).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<Started, Error> {
        let mut reader = super::response(bytes)?;
        Ok(Started { handle: reader.u32()?, even: reader.array()?, mixed: None })
    }
}

/// Begins a session for one command on one key, in which a secret can be handed over (`TPM_OSAP`).
#[derive(Clone, Copy, Debug)]
pub struct StartKeySession {
    /// The key.
    pub key: u32,
    /// A number that is used for nothing else.
    pub odd: Secret,
}

impl Command for StartKeySession {
    type Response<'a> = Started;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let writer = Writer::command(buffer, TAG_12_COMMAND, ordinal::OSAP);
        writer.u16(ENTITY_KEY).u32(self.key).bytes(&self.odd).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<Started, Error> {
        let mut reader = super::response(bytes)?;
        let (handle, even) = (reader.u32()?, reader.array()?);
        Ok(Started { handle, even, mixed: Some((reader.array()?, self.odd)) })
    }
}

/// A session with the secret of what it is for.
#[derive(Clone, Copy)]
pub struct Session {
    handle: u32,
    even: Secret,
    odd: Secret,
    secret: Secret,
}

/// Without the secret.
impl core::fmt::Debug for Session {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "Session({:#x})", self.handle)
    }
}

impl Session {
    /// A session that a TPM has begun, with the secret of the key. `odd` is a number that is used for nothing else.
    #[must_use]
    pub fn new(started: &Started, secret: &Secret, odd: Secret) -> Self {
        let secret = match &started.mixed {
            Some((even, odd)) => proof(secret, &[even, odd]).finalize().into_bytes().into(),
            None => *secret,
        };
        Self { handle: started.handle, even: started.even, odd, secret }
    }

    /// A secret as it is handed over, which a TPM alone can read (part 1, section 19: *ADIP*).
    pub(super) fn hide(&self, secret: &Secret) -> Secret {
        let pad = Sha1::new().chain_update(self.secret).chain_update(self.even).finalize();
        core::array::from_fn(|at| secret[at] ^ pad[at])
    }

    /// Writes a command: what it is on, its parameters, and the proof.
    pub(super) fn write<'b>(
        &self,
        buffer: &'b mut [u8],
        (ordinal, handle): (u32, u32),
        parameters: impl FnOnce(Writer<'b>) -> Writer<'b>,
    ) -> Result<&'b [u8], Error> {
        let writer = Writer::command(buffer, TAG_12_COMMAND_AUTH1, ordinal).u32(handle);
        let writer = parameters(writer);
        let hashed = writer.written().get(HEADER_BYTES + HANDLE_BYTES..).unwrap_or_default();
        let digest = Sha1::new().chain_update(ordinal.to_be_bytes()).chain_update(hashed).finalize();
        let proof = proof(&self.secret, &[&digest, &self.even, &self.odd, &[ENDS]]);
        let writer = writer.u32(self.handle).bytes(&self.odd).u8(ENDS);
        writer.bytes(&proof.finalize().into_bytes()).finish()
    }

    /// Reads the answer: of its parameters the first are handles, so many bytes, and in no proof.
    pub(super) fn parse<'a>(
        &self,
        bytes: &'a [u8],
        ordinal: u32,
        handle_bytes: usize,
    ) -> Result<Reader<'a>, Error> {
        const PROOF_BYTES: usize = DIGEST_BYTES + 1 + DIGEST_BYTES;
        let all = Reader::response(bytes, &[TAG_12_RESPONSE_AUTH1])?.rest();
        let cut = Error::Truncated { needed: handle_bytes + PROOF_BYTES, left: all.len() };
        let end = all.len().checked_sub(PROOF_BYTES).filter(|end| *end >= handle_bytes).ok_or(cut)?;
        let (parameters, mut shown) = (&all[..end], Reader::new(&all[end..]));
        let (even, ends, given): (Secret, u8, Secret) = (shown.array()?, shown.u8()?, shown.array()?);
        let digest = Sha1::new().chain_update([0; 4]).chain_update(ordinal.to_be_bytes());
        let digest = digest.chain_update(&parameters[handle_bytes..]).finalize();
        let proof = proof(&self.secret, &[&digest, &even, &self.odd, &[ends]]);
        proof.verify_slice(&given).map_err(|_| Error::WrongProof)?;
        Ok(Reader::new(parameters))
    }
}

fn proof(secret: &Secret, parts: &[&[u8]]) -> Hmac<Sha1> {
    // A key that is shorter than a block has zeros behind it.
    let mut block = [0; 64];
    block[..secret.len()].copy_from_slice(secret);
    parts.iter().fold(Hmac::<Sha1>::new(&block.into()), |mac, part| mac.chain_update(part))
}
