//! Whose TPM a key is in: an endorsement key, and what it decrypts only beside a key with the right name.

use super::{
    attestation::p256_number,
    key::{
        self, ENDORSEMENT_HIERARCHY, LoadedKey, MODULUS_BYTES, PASSWORD_SESSION, create_primary,
        parse_primary, without_password,
    },
};
use crate::{
    Command, Error,
    header::TAG_20_SESSIONS,
    numbers::code,
    wire::{Reader, Writer},
};

/// Derives the endorsement key of P-256 from the TPM's endorsement seed and loads it: the one whose certificate a TPM's maker
/// gives. The same seed gives the same key each time.
#[derive(Clone, Copy, Debug)]
pub struct CreateCurveEndorsementKey;

/// The public part of the endorsement key before its point: L-2 of the TCG *EK Credential Profile*, section B.3.4.
#[rustfmt::skip]
const TEMPLATE: [u8; 56] = [
    // ECC; SHA-256 makes its name.
    0x00, 0x23, 0x00, 0x0b,
    // fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy; restricted; decrypt.
    0x00, 0x03, 0x00, 0xb2,
    // The policy `PolicySecret(endorsement hierarchy)`.
    0x00, 0x20,
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
    // AES-128-CFB; no scheme; P-256; no derivation.
    0x00, 0x06, 0x00, 0x80, 0x00, 0x43, 0x00, 0x10, 0x00, 0x03, 0x00, 0x10,
    // Two coordinates of zeros stand for none.
    0x00, 0x20,
];
/// Bytes of it that a made key has as well.
const FIXED: usize = TEMPLATE.len() - 2;

impl Command for CreateCurveEndorsementKey {
    type Response<'a> = LoadedKey<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let none = [0; 32];
        create_primary(buffer, |writer| {
            let writer = writer.u16(TEMPLATE.len() as u16 + 32 + 34).bytes(&TEMPLATE).bytes(&none);
            writer.u16(32).bytes(&none)
        })
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<LoadedKey<'a>, Error> {
        parse_primary(bytes)
    }
}

/// The public part of an endorsement key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndorsementKey<'a> {
    /// Of RSA, with the exponent 65537.
    Rsa {
        /// The modulus, most significant byte first.
        modulus: &'a [u8; MODULUS_BYTES],
    },
    /// Of P-256.
    Curve {
        /// The coordinates of its point.
        point: [&'a [u8; 32]; 2],
    },
}

impl<'a> EndorsementKey<'a> {
    /// Reads the public part of a key, which has to be one that [`CreateCurveEndorsementKey`] or
    /// [`CreateEndorsementKey`](super::CreateEndorsementKey) makes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(public: &'a [u8]) -> Result<Self, Error> {
        if let Some(modulus) = public.strip_prefix(&key::TEMPLATE) {
            let modulus = modulus.try_into().map_err(|_| Error::Unexpected {
                field: "length of the modulus",
                value: modulus.len() as u32,
            })?;
            return Ok(Self::Rsa { modulus });
        }
        let mut reader = Reader::new(public);
        if reader.bytes(FIXED)? != &TEMPLATE[..FIXED] {
            return Err(Error::Unexpected { field: "template of the key", value: 0 });
        }
        let key = Self::Curve { point: [p256_number(&mut reader)?, p256_number(&mut reader)?] };
        reader.end()?;
        Ok(key)
    }
}

/// Fulfils, in a policy session, that the endorsement hierarchy's password is known, which is empty.
#[derive(Clone, Copy, Debug)]
pub struct PolicySecret {
    /// The session.
    pub session: u32,
}

impl Command for PolicySecret {
    type Response<'a> = ();

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let writer = Writer::command(buffer, TAG_20_SESSIONS, code::POLICY_SECRET);
        let writer = without_password(writer.u32(ENDORSEMENT_HIERARCHY).u32(self.session));
        // No nonce of the TPM, no command, no reference, no end.
        writer.u16(0).u16(0).u16(0).u32(0).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<(), Error> {
        Reader::response(bytes, &[TAG_20_SESSIONS]).map(drop)
    }
}

/// Has the TPM tell the secret in a credential. The session ends with it.
#[derive(Clone, Copy, Debug)]
pub struct ActivateCredential<'c> {
    /// The key whose name is bound to the secret.
    pub key: u32,
    /// The endorsement key.
    pub endorsement: u32,
    /// A session in which the policy of the endorsement key has been fulfilled.
    pub session: u32,
    /// What is encrypted, and the point that it is encrypted with, each with its length in front.
    pub credential: &'c [u8],
}

impl Command for ActivateCredential<'_> {
    /// The secret.
    type Response<'a> = &'a [u8];

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let writer = Writer::command(buffer, TAG_20_SESSIONS, code::ACTIVATE_CREDENTIAL);
        let writer = writer.u32(self.key).u32(self.endorsement);
        // Two sessions: an empty password for the one key, the policy for the other.
        let writer = writer.u32(18).u32(PASSWORD_SESSION).u16(0).u8(0).u16(0);
        writer.u32(self.session).u16(0).u8(0).u16(0).bytes(self.credential).finish()
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        let mut reader = Reader::response(bytes, &[TAG_20_SESSIONS])?;
        let mut parameters = Reader::new(reader.sized32()?);
        let secret = parameters.sized16()?;
        parameters.end()?;
        Ok(secret)
    }
}
