//! A key that signs, and its quote of registers (part 3, sections 10.4, 10.5 and 16.3).

use sha1::{Digest, Sha1};

use super::{
    ALGORITHM_RSA, DIGEST_BYTES, KeyKind, PublicKey, SCHEME_NO_ENCRYPTION, ordinal, read_exponent,
    session::{Secret, Session},
};
use crate::{
    Command, Error,
    numbers::TAG_12_COMMAND,
    wire::{Reader, Writer},
};

/// The storage root key, below which keys are made.
pub const STORAGE_ROOT_KEY: u32 = 0x4000_0000;
/// What a TPM signs in a quote.
pub const QUOTE_INFO_BYTES: usize = 8 + 2 * DIGEST_BYTES;

/// `TPM_KEY_SIGNING`.
const USAGE_SIGNING: u16 = 0x10;
/// `TPM_SS_RSASSAPKCS1v15_INFO`: what others have signed by the key has a beginning of its own, so it is never a quote.
const SCHEME_SIGNS_INFO: u16 = 4;
/// `TPM_RT_KEY`.
const RESOURCE_KEY: u32 = 1;
/// Bytes of a selection: 24 registers.
const SELECTION_BYTES: usize = 3;
/// A `TPM_STRUCT_VER`.
const VERSION: [u8; 4] = [1, 1, 0, 0];

/// The first part of a key that signs, as a `TPM_KEY` up to its public part: of 2048 bits, never leaves the TPM, has a secret,
/// is bound to no registers.
fn template(writer: Writer<'_>) -> Writer<'_> {
    let writer = writer.bytes(&VERSION).u16(USAGE_SIGNING).u32(0).u8(1);
    let writer = writer.u32(ALGORITHM_RSA).u16(SCHEME_NO_ENCRYPTION).u16(SCHEME_SIGNS_INFO);
    writer.u32(12).u32(2048).u32(2).u32(0).u32(0)
}

/// Has the TPM make a key that signs, below another one. It is not loaded.
#[derive(Clone, Copy, Debug)]
pub struct CreateSigningKey<'s> {
    /// The other one: [`STORAGE_ROOT_KEY`].
    pub parent: u32,
    /// The secret of the new key.
    pub secret: &'s Secret,
    /// A session for the other one.
    pub session: &'s Session,
}

impl Command for CreateSigningKey<'_> {
    /// The key, for [`LoadKey`] and [`SigningKey::read`].
    type Response<'a> = &'a [u8];

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let hidden = self.session.hide(self.secret);
        self.session.write(buffer, (ordinal::CREATE_WRAP_KEY, self.parent), |writer| {
            // The secret for taking the key elsewhere is nobody's, as it cannot be taken.
            template(writer.bytes(&hidden).bytes(&hidden)).u32(0).u32(0)
        })
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        self.session.parse(bytes, ordinal::CREATE_WRAP_KEY, 0).map(Reader::rest)
    }
}

/// Loads a key.
#[derive(Clone, Copy, Debug)]
pub struct LoadKey<'s> {
    /// The key below which it was made.
    pub parent: u32,
    /// What [`CreateSigningKey`] has returned.
    pub key: &'s [u8],
    /// A session for the former.
    pub session: &'s Session,
}

impl Command for LoadKey<'_> {
    /// Its handle.
    type Response<'a> = u32;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        self.session.write(buffer, (ordinal::LOAD_KEY_2, self.parent), |writer| writer.bytes(self.key))
    }

    fn parse(&self, bytes: &[u8]) -> Result<u32, Error> {
        self.session.parse(bytes, ordinal::LOAD_KEY_2, 4)?.u32()
    }
}

/// Unloads a key.
#[derive(Clone, Copy, Debug)]
pub struct UnloadKey {
    /// Its handle.
    pub key: u32,
}

impl Command for UnloadKey {
    type Response<'a> = ();

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let writer = Writer::command(buffer, TAG_12_COMMAND, ordinal::FLUSH_SPECIFIC);
        writer.u32(self.key).u32(RESOURCE_KEY).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<(), Error> {
        super::response(bytes).map(drop)
    }
}

/// The public part of a key that signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningKey<'a> {
    /// The modulus, most significant byte first.
    pub modulus: &'a [u8],
    /// The public exponent.
    pub exponent: u32,
}

impl<'a> SigningKey<'a> {
    /// Reads a key, which has to be one that [`CreateSigningKey`] makes: all but the modulus and what is encrypted is as there.
    ///
    /// # Errors
    /// What is wrong with it. [`Error::Unexpected`] for a key that could leave the TPM, or sign a quote of somebody else's making.
    pub fn read(key: &'a [u8]) -> Result<Self, Error> {
        const BYTES: usize = 39;
        let mut buffer = [0; BYTES + 10];
        let expected = template(Writer::command(&mut buffer, 0, 0));
        let expected = expected.written().get(10..).unwrap_or_default();
        let mut reader = Reader::new(key);
        if reader.bytes(BYTES)? != expected {
            return Err(Error::Unexpected { field: "template of the key", value: 0 });
        }
        let modulus = reader.sized32()?;
        let _encrypted = reader.sized32()?;
        reader.end()?;
        Ok(Self { modulus, exponent: read_exponent(&[])? })
    }

    /// As other keys are shown.
    #[must_use]
    pub fn public(&self) -> PublicKey<'a> {
        let bits = 8 * self.modulus.len() as u32;
        let kind = KeyKind::Rsa { bits, exponent: self.exponent, modulus: self.modulus };
        PublicKey { kind, structure: self.modulus }
    }
}

/// Has the TPM state what its registers are, and sign that.
#[derive(Clone, Copy, Debug)]
pub struct Quote<'s> {
    /// A key that signs.
    pub key: u32,
    /// What shows that the quote is a fresh one.
    pub nonce: &'s [u8; DIGEST_BYTES],
    /// The registers, as bits.
    pub registers: u32,
    /// A session for the key.
    pub session: &'s Session,
}

/// A quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted<'a> {
    /// The registers, for [`Composite::read`].
    pub composite: &'a [u8],
    /// The signature (RSASSA-PKCS1-v1_5 with SHA-1) of what [`quote_info`] makes of them and the nonce.
    pub signature: &'a [u8],
}

impl Command for Quote<'_> {
    type Response<'a> = Quoted<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let [a, b, c, _] = self.registers.to_le_bytes();
        self.session.write(buffer, (ordinal::QUOTE, self.key), |writer| {
            writer.bytes(self.nonce).u16(SELECTION_BYTES as u16).bytes(&[a, b, c])
        })
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<Quoted<'a>, Error> {
        let mut reader = self.session.parse(bytes, ordinal::QUOTE, 0)?;
        let start = reader;
        Composite::take(&mut reader)?;
        let composite = reader.since(start);
        let signature = reader.sized32()?;
        reader.end()?;
        Ok(Quoted { composite, signature })
    }
}

/// Registers and their values (`TPM_PCR_COMPOSITE`, part 2, section 8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Composite<'a> {
    /// Which registers, as bits.
    pub registers: u32,
    values: &'a [u8],
}

impl<'a> Composite<'a> {
    /// Reads registers, to the last byte.
    ///
    /// # Errors
    /// What is wrong with them: among others, that there are more or fewer values than registers.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let composite = Self::take(&mut reader)?;
        reader.end()?;
        Ok(composite)
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let selected = reader.sized16()?;
        if selected.len() != SELECTION_BYTES {
            return Err(Error::Unexpected { field: "length of a selection", value: selected.len() as u32 });
        }
        let registers = selected.iter().rev().fold(0, |bits, byte| bits << 8 | u32::from(*byte));
        let values = reader.sized32()?;
        if values.len() != registers.count_ones() as usize * DIGEST_BYTES {
            return Err(Error::Unexpected { field: "length of the registers", value: values.len() as u32 });
        }
        Ok(Self { registers, values })
    }

    /// Each register and its value, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &'a [u8; DIGEST_BYTES])> + use<'a> {
        let registers = self.registers;
        let numbers = (0..24).filter(move |number| registers >> number & 1 != 0);
        numbers.zip(self.values.as_chunks().0)
    }
}

/// What a TPM signs of registers and a nonce (`TPM_QUOTE_INFO`, part 2, section 11.3).
#[must_use]
pub fn quote_info(composite: &[u8], nonce: &[u8; DIGEST_BYTES]) -> [u8; QUOTE_INFO_BYTES] {
    let mut info = [0; QUOTE_INFO_BYTES];
    info[..4].copy_from_slice(&VERSION);
    info[4..8].copy_from_slice(b"QUOT");
    info[8..8 + DIGEST_BYTES].copy_from_slice(&Sha1::digest(composite));
    info[8 + DIGEST_BYTES..].copy_from_slice(nonce);
    info
}
