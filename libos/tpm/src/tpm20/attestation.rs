//! Attestation: a key that signs only what the TPM itself states, and its quote of registers (part 3, section 18.4).

use super::{
    algorithm,
    key::{LoadedKey, create_primary, parse_primary},
};
use crate::{
    Command, Error,
    header::{TAG_20_NO_SESSIONS, TAG_20_SESSIONS},
    numbers::code,
    wire::{Reader, Writer},
};

/// The one locality at which the attestation key signs.
pub const ATTESTATION_LOCALITY: u8 = 1;
/// The longest nonce that a quote can hold.
pub const MAX_NONCE_BYTES: usize = 32;

/// `TPM_RH_NULL`: no key, no entity.
const NO_HANDLE: u32 = 0x4000_0007;
/// `TPM_SE_POLICY`.
const POLICY_SESSION: u8 = 1;
/// `TPM_GENERATED_VALUE`, with which all begins that a TPM states.
const GENERATED: u32 = 0xff54_4347;
/// `TPM_ST_ATTEST_QUOTE`.
const QUOTE: u16 = 0x8018;
/// Bytes of a coordinate, and of each half of a signature.
const P256_BYTES: usize = 32;
/// Bytes of a selection: 24 registers.
const SELECTION_BYTES: usize = 3;

/// Derives the attestation key from the TPM's endorsement seed and loads it: P-256, for signing by ECDSA with SHA-256,
/// restricted to what the TPM states, and only at [`ATTESTATION_LOCALITY`]. The same seed gives the same key each time.
#[derive(Clone, Copy, Debug)]
pub struct CreateAttestationKey;

impl Command for CreateAttestationKey {
    type Response<'a> = LoadedKey<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        create_primary(buffer, |writer| writer.u16(TEMPLATE.len() as u16 + 4).bytes(&TEMPLATE).u16(0).u16(0))
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<LoadedKey<'a>, Error> {
        parse_primary(bytes)
    }
}

/// The public part of the attestation key before its point, as a `TPMT_PUBLIC` (part 2, section 12.2.4).
#[rustfmt::skip]
const TEMPLATE: [u8; 52] = [
    // ECC; SHA-256 makes its name.
    0x00, 0x23, 0x00, 0x0b,
    // fixedTPM, fixedParent, sensitiveDataOrigin; restricted; sign. It is used by its policy alone; that it is there, a
    // credential shows without.
    0x00, 0x05, 0x00, 0x32,
    // The policy: SHA-256 of 32 zeros, the command `PolicyLocality` and the localities as bits. That is locality 1.
    0x00, 0x20,
    0xbf, 0x6b, 0x42, 0x9c, 0xb6, 0x4a, 0x2b, 0xdf, 0xb5, 0x7d, 0x82, 0x24, 0xbf, 0x95, 0xdb, 0xf5,
    0x14, 0x59, 0x30, 0x05, 0xc8, 0x41, 0xfb, 0xc7, 0x68, 0x96, 0x4c, 0x78, 0x72, 0xd1, 0x17, 0x47,
    // No cipher; ECDSA with SHA-256; P-256; no derivation.
    0x00, 0x10, 0x00, 0x18, 0x00, 0x0b, 0x00, 0x03, 0x00, 0x10,
];

/// The public part of an attestation key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestationKey<'a> {
    /// The coordinates of its point.
    pub point: [&'a [u8; P256_BYTES]; 2],
}

impl<'a> AttestationKey<'a> {
    /// Reads the public part of a key, which has to be one that [`CreateAttestationKey`] makes: all but the point is as
    /// there.
    ///
    /// # Errors
    /// What is wrong with it. [`Error::Unexpected`] for a key that could sign anything else, or for anybody else.
    pub fn read(public: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(public);
        if reader.bytes(TEMPLATE.len())? != TEMPLATE {
            return Err(Error::Unexpected { field: "template of the key", value: 0 });
        }
        let key = Self { point: [p256_number(&mut reader)?, p256_number(&mut reader)?] };
        reader.end()?;
        Ok(key)
    }
}

/// Starts a session in which a policy is fulfilled. The nonce is for sessions with a secret, of which this is none.
#[derive(Clone, Copy, Debug)]
pub struct StartPolicySession;

impl Command for StartPolicySession {
    /// Its handle.
    type Response<'a> = u32;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let writer = Writer::command(buffer, TAG_20_NO_SESSIONS, code::START_AUTH_SESSION);
        let writer = writer.u32(NO_HANDLE).u32(NO_HANDLE).u16(16).bytes(&[0; 16]).u16(0);
        writer.u8(POLICY_SESSION).u16(algorithm::NULL).u16(algorithm::SHA256).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<u32, Error> {
        let mut reader = super::response(bytes)?;
        let handle = reader.u32()?;
        let _nonce = reader.sized16()?;
        Ok(handle)
    }
}

/// Fulfils, in a policy session, that a key is used at [`ATTESTATION_LOCALITY`].
#[derive(Clone, Copy, Debug)]
pub struct PolicyLocality {
    /// The session.
    pub session: u32,
}

impl Command for PolicyLocality {
    type Response<'a> = ();

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let writer = Writer::command(buffer, TAG_20_NO_SESSIONS, code::POLICY_LOCALITY);
        writer.u32(self.session).u8(1 << ATTESTATION_LOCALITY).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<(), Error> {
        super::response(bytes).map(drop)
    }
}

/// Has the TPM state what its registers of SHA-256 are, and sign that. The session ends with it.
#[derive(Clone, Copy, Debug)]
pub struct Quote<'n> {
    /// The attestation key.
    pub key: u32,
    /// A session in which its policy has been fulfilled.
    pub session: u32,
    /// What shows that the quote is a fresh one.
    pub nonce: &'n [u8; MAX_NONCE_BYTES],
    /// The registers, as bits.
    pub registers: u32,
}

/// A quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted<'a> {
    /// What is stated, for [`Statement::read`].
    pub statement: &'a [u8],
    /// The signature, for [`Signature::read`].
    pub signature: &'a [u8],
}

impl Command for Quote<'_> {
    type Response<'a> = Quoted<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let writer = Writer::command(buffer, TAG_20_SESSIONS, code::QUOTE).u32(self.key);
        // The session: handle, no nonce, no attributes, no proof.
        let writer = writer.u32(9).u32(self.session).u16(0).u8(0).u16(0);
        // The nonce; the scheme is the key's.
        let writer = writer.u16(MAX_NONCE_BYTES as u16).bytes(self.nonce).u16(algorithm::NULL);
        let [a, b, c, _] = self.registers.to_le_bytes();
        writer.u32(1).u16(algorithm::SHA256).u8(SELECTION_BYTES as u8).bytes(&[a, b, c]).finish()
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<Quoted<'a>, Error> {
        let mut reader = Reader::response(bytes, &[TAG_20_SESSIONS])?;
        let mut parameters = Reader::new(reader.sized32()?);
        let statement = parameters.sized16()?;
        Ok(Quoted { statement, signature: parameters.rest() })
    }
}

/// What a TPM states in a quote (`TPMS_ATTEST`, part 2, section 10.12.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The nonce that it was asked with.
    pub nonce: &'a [u8],
    /// Whether the TPM's clock has never gone back.
    pub is_clock_safe: bool,
    /// The registers of SHA-256, as bits.
    pub registers: u32,
    /// SHA-256 of their values, in the order of their numbers.
    pub digest: &'a [u8],
}

impl<'a> Statement<'a> {
    /// Reads what is stated.
    ///
    /// # Errors
    /// What is wrong with it: among others, that it is no quote of registers of SHA-256 alone.
    pub fn read(statement: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(statement);
        reader.expect_u32("mark of what a TPM states", GENERATED)?;
        reader.expect_u16("kind of what a TPM states", QUOTE)?;
        let _signer = reader.sized16()?;
        let nonce = reader.sized16()?;
        let _clock: [u8; 8] = reader.array()?;
        let (_resets, _restarts) = (reader.u32()?, reader.u32()?);
        let is_clock_safe = match reader.u8()? {
            0 => false,
            1 => true,
            other => {
                return Err(Error::Unexpected { field: "whether the clock is safe", value: other.into() });
            }
        };
        let _firmware: [u8; 8] = reader.array()?;
        reader.expect_u32("number of selections", 1)?;
        reader.expect_u16("bank", algorithm::SHA256)?;
        let bytes = reader.u8()?;
        if usize::from(bytes) != SELECTION_BYTES {
            return Err(Error::Unexpected { field: "length of a selection", value: bytes.into() });
        }
        let [a, b, c] = reader.array()?;
        let digest = reader.sized16()?;
        reader.end()?;
        Ok(Self { nonce, is_clock_safe, registers: u32::from_le_bytes([a, b, c, 0]), digest })
    }
}

/// A signature by ECDSA with SHA-256 on P-256 (`TPMT_SIGNATURE`, part 2, section 11.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Its halves, `r` and `s`.
    pub halves: [&'a [u8; P256_BYTES]; 2],
}

impl<'a> Signature<'a> {
    /// Reads a signature.
    ///
    /// # Errors
    /// What is wrong with it: among others, that it is of another kind.
    pub fn read(signature: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(signature);
        reader.expect_u16("kind of signature", algorithm::ECDSA)?;
        reader.expect_u16("hash of the signature", algorithm::SHA256)?;
        let read = Self { halves: [p256_number(&mut reader)?, p256_number(&mut reader)?] };
        reader.end()?;
        Ok(read)
    }
}

/// A number of P-256: all of its bytes, leading zeros too.
pub(super) fn p256_number<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8; P256_BYTES], Error> {
    let bytes = reader.sized16()?;
    let value = bytes.len() as u32;
    bytes.try_into().map_err(|_| Error::Unexpected { field: "length of a number of P-256", value })
}
