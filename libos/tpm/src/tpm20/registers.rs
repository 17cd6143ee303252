//! Registers: which banks there are, and what is in them.

use super::{
    algorithm, capability, capability_value, code, command, get_capability, key::without_password, response,
};
use crate::{
    Command, Error,
    header::TAG_20_SESSIONS,
    wire::{Reader, Writer},
};

/// The longest text of a [`PcrEvent`].
pub const MAX_EVENT_BYTES: usize = 1024;

/// The usual name of a hash algorithm (part 2, section 6.3).
#[must_use]
pub const fn hash_name(algorithm: u16) -> Option<&'static str> {
    match algorithm {
        0x04 => Some("sha1"),
        0x0b => Some("sha256"),
        0x0c => Some("sha384"),
        0x0d => Some("sha512"),
        0x12 => Some("sm3_256"),
        0x27 => Some("sha3_256"),
        0x28 => Some("sha3_384"),
        0x29 => Some("sha3_512"),
        _ => None,
    }
}

/// A bank of registers: those that one hash algorithm extends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bank {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Bank {
    /// The banks that this crate can read.
    pub const ALL: [Self; 2] = [Self::Sha1, Self::Sha256];

    /// Its hash algorithm's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// Bytes of one register.
    #[must_use]
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The bank of this hash algorithm, if this crate can read it.
    #[must_use]
    pub fn of_algorithm(algorithm: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|bank| bank.algorithm() == algorithm)
    }

    const fn algorithm(self) -> u16 {
        match self {
            Self::Sha1 => algorithm::SHA1,
            Self::Sha256 => algorithm::SHA256,
        }
    }
}

/// Reads which banks have registers allocated.
#[derive(Clone, Copy, Debug)]
pub struct GetBanks;

/// The banks that a TPM states, still in the response's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Banks<'a> {
    bytes: &'a [u8],
    count: u32,
    /// The TPM has more of them than it listed.
    pub has_more: bool,
}

/// A hash algorithm, and the registers allocated in its bank (`TPMS_PCR_SELECTION`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection<'a> {
    /// The algorithm's identifier; see [`hash_name`] and [`Bank::of_algorithm`].
    pub algorithm: u16,
    bits: &'a [u8],
}

impl<'a> Banks<'a> {
    /// The banks, in the TPM's order. One without any registers may be among them.
    pub fn iter(&self) -> impl Iterator<Item = Selection<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        (0..self.count).map_while(move |_| Selection::read(&mut reader).ok())
    }

    /// The registers of one bank.
    #[must_use]
    pub fn find(&self, bank: Bank) -> Option<Selection<'a>> {
        self.iter().find(|selection| selection.algorithm == bank.algorithm())
    }
}

impl<'a> Selection<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let algorithm = reader.u16()?;
        let count = reader.u8()?;
        Ok(Self { algorithm, bits: reader.bytes(usize::from(count))? })
    }

    /// The registers that are allocated, by number.
    pub fn registers(&self) -> impl Iterator<Item = u16> + use<'a> {
        let bits = self.bits;
        let has = move |register: &u16| {
            bits.get(usize::from(register / 8)).is_some_and(|byte| byte >> (register % 8) & 1 != 0)
        };
        (0..8 * bits.len() as u16).filter(has)
    }

    /// Whether this register is allocated.
    #[must_use]
    pub fn has(&self, register: u16) -> bool {
        self.registers().any(|allocated| allocated == register)
    }
}

impl Command for GetBanks {
    type Response<'a> = Banks<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        const MORE_THAN_ANY_TPM_HAS: u32 = 16;
        get_capability(buffer, capability::PCRS, 0, MORE_THAN_ANY_TPM_HAS)
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<Banks<'a>, Error> {
        let (mut reader, has_more) = capability_value(bytes, capability::PCRS)?;
        let count = reader.u32()?;
        let start = reader;
        for _ in 0..count {
            Selection::read(&mut reader)?;
        }
        Ok(Banks { bytes: reader.since(start), count, has_more })
    }
}

/// Reads one register of one bank.
#[derive(Clone, Copy, Debug)]
pub struct PcrRead {
    /// The bank.
    pub bank: Bank,
    /// Which register. A PC has 0 to 23.
    pub register: u8,
}

impl Command for PcrRead {
    /// Its digest, of [`Bank::digest_bytes`].
    type Response<'a> = &'a [u8];

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        // TPMs for PCs want at least three bytes of bits, and others as many as they have registers for.
        let zeros = self.register / 8;
        let writer = command(buffer, code::PCR_READ).u32(1).u16(self.bank.algorithm()).u8(zeros.max(2) + 1);
        let writer = (0..zeros).fold(writer, |writer, _| writer.u8(0)).u8(1 << (self.register % 8));
        (zeros..2).fold(writer, |writer, _| writer.u8(0)).finish()
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        let mut reader = response(bytes)?;
        let _update_counter = reader.u32()?;
        reader.expect_u32("number of selections", 1)?;
        reader.expect_u16("bank", self.bank.algorithm())?;
        let selected = reader.u8()?;
        let selected = reader.bytes(selected.into())?;
        // A register that the TPM does not have is left out of the answer.
        reader.expect_u32("number of registers", 1)?;
        let is_asked = |(number, bits): (usize, &u8)| {
            let asked = number == usize::from(self.register / 8);
            *bits == if asked { 1 << (self.register % 8) } else { 0 }
        };
        // The answer to another question would be taken for this one's.
        if !selected.iter().enumerate().all(is_asked) || selected.len() <= usize::from(self.register / 8) {
            let first = selected.iter().take(4).rev().fold(0, |value, bits| value << 8 | u32::from(*bits));
            return Err(Error::Unexpected { field: "selection", value: first });
        }
        let digest = reader.sized16()?;
        let field = Error::Unexpected { field: "digest length", value: digest.len() as u32 };
        if digest.len() == self.bank.digest_bytes() { Ok(digest) } else { Err(field) }
    }
}

/// Extends a register with the digests of a text, which the TPM makes itself: one for each bank.
#[derive(Clone, Copy, Debug)]
pub struct PcrEvent<'t> {
    /// Which register.
    pub register: u32,
    /// The text, of at most [`MAX_EVENT_BYTES`].
    pub text: &'t [u8],
}

/// The digests that a TPM has made of one text, still in the response's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashedText<'a> {
    bytes: &'a [u8],
    count: u32,
}

impl<'a> HashedText<'a> {
    /// The number of each hash, and the digest.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        (0..self.count).map_while(move |_| hashed(&mut reader).ok())
    }

    /// The digest of one hash.
    #[must_use]
    pub fn find(&self, algorithm: u16) -> Option<&'a [u8]> {
        self.iter().find(|(known, _)| *known == algorithm).map(|(_, digest)| digest)
    }
}

impl Command for PcrEvent<'_> {
    type Response<'a> = HashedText<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let writer = Writer::command(buffer, TAG_20_SESSIONS, code::PCR_EVENT).u32(self.register);
        without_password(writer).u16(self.text.len() as u16).bytes(self.text).finish()
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<HashedText<'a>, Error> {
        let mut reader = Reader::response(bytes, &[TAG_20_SESSIONS])?;
        let mut digests = Reader::new(reader.sized32()?);
        let count = digests.u32()?;
        let start = digests;
        for _ in 0..count {
            hashed(&mut digests)?;
        }
        digests.end()?;
        Ok(HashedText { bytes: digests.since(start), count })
    }
}

/// A `TPMT_HA` (part 2, section 10.3.2): the number of a hash, and a digest as long as that hash makes them.
fn hashed<'a>(reader: &mut Reader<'a>) -> Result<(u16, &'a [u8]), Error> {
    let algorithm = reader.u16()?;
    let bytes = match algorithm {
        0x04 => 20,
        0x0b | 0x12 | 0x27 => 32,
        0x0c | 0x28 => 48,
        0x0d | 0x29 => 64,
        other => return Err(Error::Unexpected { field: "hash of a register", value: other.into() }),
    };
    Ok((algorithm, reader.bytes(bytes)?))
}
