//! Keys: the endorsement key, and the public part of any.

use super::{algorithm, code, command, response};
use crate::{
    Command, Error, KeyKind, PublicKey,
    header::TAG_20_SESSIONS,
    wire::{Reader, Writer},
};

/// `TPM_RS_PW`: the session that carries a password.
pub(super) const PASSWORD_SESSION: u32 = 0x4000_0009;
/// `TPM_RH_ENDORSEMENT`.
pub(super) const ENDORSEMENT_HIERARCHY: u32 = 0x4000_000b;

/// Derives the RSA endorsement key from the TPM's endorsement seed and loads it: the one whose certificate most TPMs have. The same
/// seed gives the same key each time.
#[derive(Clone, Copy, Debug)]
pub struct CreateEndorsementKey;

/// A key that was just made and is loaded until it is flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadedKey<'a> {
    /// Its handle; give it to [`FlushContext`].
    pub handle: u32,
    /// Its public part, or what is wrong with it: whichever it is, the key is loaded.
    pub key: Result<PublicKey<'a>, Error>,
}

impl Command for CreateEndorsementKey {
    type Response<'a> = LoadedKey<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        create_primary(buffer, |writer| {
            let length = TEMPLATE.len() + MODULUS_BYTES;
            writer.u16(length as u16).bytes(&TEMPLATE).bytes(&[0; MODULUS_BYTES])
        })
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<LoadedKey<'a>, Error> {
        parse_primary(bytes)
    }
}

/// Writes the command that derives a key from the endorsement seed, by a template that `template` writes as a
/// `TPM2B_PUBLIC`.
pub(super) fn create_primary(
    buffer: &mut [u8],
    template: impl FnOnce(Writer<'_>) -> Writer<'_>,
) -> Result<&[u8], Error> {
    let writer = Writer::command(buffer, TAG_20_SESSIONS, code::CREATE_PRIMARY).u32(ENDORSEMENT_HIERARCHY);
    let writer = without_password(writer);
    // TPM2B_SENSITIVE_CREATE: no password for the key, no data.
    let writer = writer.u16(4).u16(0).u16(0);
    // No data from outside, no registers to record at creation.
    template(writer).u16(0).u32(0).finish()
}

/// One session with an empty password: its length, handle, no nonce, no attributes, no proof.
pub(super) fn without_password(writer: Writer<'_>) -> Writer<'_> {
    writer.u32(9).u32(PASSWORD_SESSION).u16(0).u8(0).u16(0)
}

/// Reads the answer to it.
pub(super) fn parse_primary(bytes: &[u8]) -> Result<LoadedKey<'_>, Error> {
    let mut reader = Reader::response(bytes, &[TAG_20_SESSIONS])?;
    let handle = reader.u32()?;
    let mut parameters = || reader.u32().and_then(|_bytes| reader.sized16());
    let key = parameters().and_then(read_public);
    Ok(LoadedKey { handle, key })
}

/// The public part of the endorsement key before its modulus: L-1 of the TCG *EK Credential Profile*, section B.3.3.
#[rustfmt::skip]
pub(super) const TEMPLATE: [u8; 58] = [
    // RSA; SHA-256 makes its name.
    0x00, 0x01, 0x00, 0x0b,
    // fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy; restricted; decrypt.
    0x00, 0x03, 0x00, 0xb2,
    // The policy `PolicySecret(endorsement hierarchy)`.
    0x00, 0x20,
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
    // AES-128-CFB; no scheme; 2048 bits; the default exponent.
    0x00, 0x06, 0x00, 0x80, 0x00, 0x43, 0x00, 0x10, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
    // The length of a modulus.
    0x01, 0x00,
];
/// Bytes of the modulus.
pub(super) const MODULUS_BYTES: usize = 256;

/// Reads the public part of a loaded or kept key.
#[derive(Clone, Copy, Debug)]
pub struct ReadPublic {
    /// Its handle.
    pub handle: u32,
}

impl Command for ReadPublic {
    type Response<'a> = PublicKey<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        command(buffer, code::READ_PUBLIC).u32(self.handle).finish()
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<PublicKey<'a>, Error> {
        read_public(response(bytes)?.sized16()?)
    }
}

/// Reads a `TPMT_PUBLIC` (part 2, section 12.2.4).
fn read_public(structure: &[u8]) -> Result<PublicKey<'_>, Error> {
    let mut reader = Reader::new(structure);
    let algorithm = reader.u16()?;
    let (_name_algorithm, _attributes, _policy) = (reader.u16()?, reader.u32()?, reader.sized16()?);
    let kind = match algorithm {
        algorithm::RSA => read_rsa(&mut reader)?,
        algorithm::ECC => read_ecc(&mut reader)?,
        other => KeyKind::Other { algorithm: other.into() },
    };
    Ok(PublicKey { kind, structure })
}

/// Reads `TPMS_RSA_PARMS` and the modulus.
fn read_rsa<'a>(reader: &mut Reader<'a>) -> Result<KeyKind<'a>, Error> {
    skip_symmetric(reader)?;
    skip_scheme(reader)?;
    let bits = u32::from(reader.u16()?);
    let exponent = PublicKey::exponent_from(reader.u32()?);
    Ok(KeyKind::Rsa { bits, exponent, modulus: reader.sized16()? })
}

/// Reads `TPMS_ECC_PARMS` and the point.
fn read_ecc<'a>(reader: &mut Reader<'a>) -> Result<KeyKind<'a>, Error> {
    skip_symmetric(reader)?;
    skip_scheme(reader)?;
    let curve = reader.u16()?;
    // The key derivation has the form of a scheme.
    skip_scheme(reader)?;
    Ok(KeyKind::Ecc { curve, x: reader.sized16()?, y: reader.sized16()? })
}

/// A cipher with its bits and mode, or none.
fn skip_symmetric(reader: &mut Reader<'_>) -> Result<(), Error> {
    if reader.u16()? != algorithm::NULL {
        let (_bits, _mode) = (reader.u16()?, reader.u16()?);
    }
    Ok(())
}

/// A scheme with what belongs to it, or none.
fn skip_scheme(reader: &mut Reader<'_>) -> Result<(), Error> {
    let details = match reader.u16()? {
        algorithm::NULL | algorithm::RSAES => 0,
        algorithm::ECDAA => 4,
        _hash_follows => 2,
    };
    reader.bytes(details).map(drop)
}
