//! Commands of TPM 1.2 (TCG *TPM Main*, parts 2 and 3, level 2 revision 116).

use sha1::{Digest, Sha1};

mod durations;
mod quote;
mod session;

pub use crate::numbers::ordinal;
pub use durations::Durations12;
pub use quote::{
    Composite, CreateSigningKey, LoadKey, QUOTE_INFO_BYTES, Quote, Quoted, STORAGE_ROOT_KEY, SigningKey,
    UnloadKey, quote_info,
};
pub use session::{Secret, Session, StartKeySession, StartSession, Started, secret_of};

use crate::{
    Command, Error, KeyKind, PublicKey,
    numbers::{TAG_12_COMMAND, TAG_12_RESPONSE},
    wire::{Reader, Writer},
};

/// Bytes of a SHA-1 digest, and so of a register.
pub const DIGEST_BYTES: usize = 20;

/// Capability areas of `TPM_GetCapability` (part 2, section 21.1).
mod area {
    pub(super) const PROPERTY: u32 = 0x05;
    pub(super) const KEY_HANDLE: u32 = 0x07;
    pub(super) const VERSION_INFO: u32 = 0x1a;
}

/// Sub-capabilities of [`area::PROPERTY`] (part 2, section 21.2).
mod property {
    pub(super) const PCR_COUNT: u32 = 0x101;
    pub(super) const MANUFACTURER: u32 = 0x103;
    pub(super) const TIMEOUTS: u32 = 0x115;
    pub(super) const DURATIONS: u32 = 0x120;
    pub(super) const INPUT_BUFFER: u32 = 0x124;
}

/// `TPM_ALG_RSA`.
const ALGORITHM_RSA: u32 = 1;
/// `TPM_ES_RSAESOAEP_SHA1_MGF1`, the encryption scheme of every endorsement key.
const SCHEME_OAEP: u16 = 3;
/// `TPM_ES_NONE`: a key that signs does not encrypt.
const SCHEME_NO_ENCRYPTION: u16 = 1;
/// `TPM_SS_NONE`: an endorsement key cannot sign.
const SCHEME_NO_SIGNATURE: u16 = 1;

fn command(buffer: &mut [u8], ordinal: u32) -> Writer<'_> {
    Writer::command(buffer, TAG_12_COMMAND, ordinal)
}

fn response(bytes: &[u8]) -> Result<Reader<'_>, Error> {
    Reader::response(bytes, &[TAG_12_RESPONSE])
}

/// Starts the TPM with fresh registers. Firmware normally does it.
#[derive(Clone, Copy, Debug)]
pub struct Startup;

impl Command for Startup {
    type Response<'a> = ();

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        const CLEAR: u16 = 1;
        command(buffer, ordinal::STARTUP).u16(CLEAR).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<(), Error> {
        response(bytes).map(drop)
    }
}

/// Lets the TPM finish its self-test, so that commands that need it are not refused.
#[derive(Clone, Copy, Debug)]
pub struct ContinueSelfTest;

impl Command for ContinueSelfTest {
    type Response<'a> = ();

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        command(buffer, ordinal::CONTINUE_SELF_TEST).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<(), Error> {
        response(bytes).map(drop)
    }
}

/// Reads a capability: the common part of the commands below.
fn get_capability(buffer: &mut [u8], area: u32, sub_capability: Option<u32>) -> Result<&[u8], Error> {
    let writer = command(buffer, ordinal::GET_CAPABILITY).u32(area);
    match sub_capability {
        Some(property) => writer.u32(4).u32(property).finish(),
        None => writer.u32(0).finish(),
    }
}

/// The value of a capability.
fn capability(bytes: &[u8]) -> Result<Reader<'_>, Error> {
    response(bytes)?.sized32().map(Reader::new)
}

/// Reads the version.
#[derive(Clone, Copy, Debug)]
pub struct GetVersion;

/// The version of a TPM, as it states it (`TPM_CAP_VERSION_INFO`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Major and minor version of the specification: 1.2.
    pub specification: (u8, u8),
    /// Major and minor revision of the device, its maker's choice.
    pub revision: (u8, u8),
    /// Level of the specification.
    pub level: u16,
    /// Errata level.
    pub errata: u8,
    /// The maker, four letters.
    pub vendor: [u8; 4],
}

impl Command for GetVersion {
    type Response<'a> = Version;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        get_capability(buffer, area::VERSION_INFO, None)
    }

    fn parse(&self, bytes: &[u8]) -> Result<Version, Error> {
        const TAG_VERSION_INFO: u16 = 0x30;
        let mut reader = capability(bytes)?;
        reader.expect_u16("version tag", TAG_VERSION_INFO)?;
        let [major, minor, revision_major, revision_minor] = reader.array()?;
        let (level, errata, vendor) = (reader.u16()?, reader.u8()?, reader.array()?);
        Ok(Version {
            specification: (major, minor),
            revision: (revision_major, revision_minor),
            level,
            errata,
            vendor,
        })
    }
}

/// Reads how many registers there are.
#[derive(Clone, Copy, Debug)]
pub struct GetPcrCount;

impl Command for GetPcrCount {
    type Response<'a> = u32;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        get_capability(buffer, area::PROPERTY, Some(property::PCR_COUNT))
    }

    fn parse(&self, bytes: &[u8]) -> Result<u32, Error> {
        capability(bytes)?.u32()
    }
}

/// Reads the maker's name: four letters.
#[derive(Clone, Copy, Debug)]
pub struct GetManufacturer;

impl Command for GetManufacturer {
    type Response<'a> = [u8; 4];

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        get_capability(buffer, area::PROPERTY, Some(property::MANUFACTURER))
    }

    fn parse(&self, bytes: &[u8]) -> Result<[u8; 4], Error> {
        capability(bytes)?.array()
    }
}

/// Reads the interface's timeouts A to D, in microseconds as the TPM gives them.
#[derive(Clone, Copy, Debug)]
pub struct GetTimeouts;

impl Command for GetTimeouts {
    type Response<'a> = [u32; 4];

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        get_capability(buffer, area::PROPERTY, Some(property::TIMEOUTS))
    }

    fn parse(&self, bytes: &[u8]) -> Result<[u32; 4], Error> {
        let mut reader = capability(bytes)?;
        Ok([reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?])
    }
}

/// Reads how long commands may take.
#[derive(Clone, Copy, Debug)]
pub struct GetDurations;

impl Command for GetDurations {
    type Response<'a> = Durations12;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        get_capability(buffer, area::PROPERTY, Some(property::DURATIONS))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Durations12, Error> {
        let mut reader = capability(bytes)?;
        Ok(Durations12::from_stated([reader.u32()?, reader.u32()?, reader.u32()?]))
    }
}

/// Reads the length of the longest command, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct GetMaxCommandBytes;

impl Command for GetMaxCommandBytes {
    type Response<'a> = u32;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        get_capability(buffer, area::PROPERTY, Some(property::INPUT_BUFFER))
    }

    fn parse(&self, bytes: &[u8]) -> Result<u32, Error> {
        capability(bytes)?.u32()
    }
}

/// Lists the keys that are loaded.
#[derive(Clone, Copy, Debug)]
pub struct GetKeyHandles;

impl Command for GetKeyHandles {
    type Response<'a> = Handles<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        get_capability(buffer, area::KEY_HANDLE, None)
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<Handles<'a>, Error> {
        let mut reader = capability(bytes)?;
        let count = reader.u16()?;
        Handles::read(&mut reader, usize::from(count), false)
    }
}

/// A list of handles, still in the response's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handles<'a> {
    bytes: &'a [u8],
    /// The TPM has more of them than it listed. Only a TPM 2.0 says so.
    pub has_more: bool,
}

impl<'a> Handles<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>, count: usize, has_more: bool) -> Result<Self, Error> {
        Ok(Self { bytes: reader.bytes(count.saturating_mul(4))?, has_more })
    }

    /// The handles, in the TPM's order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes))
    }
}

/// Reads one register.
#[derive(Clone, Copy, Debug)]
pub struct PcrRead {
    /// Which one.
    pub register: u32,
}

impl Command for PcrRead {
    type Response<'a> = [u8; DIGEST_BYTES];

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        command(buffer, ordinal::PCR_READ).u32(self.register).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<[u8; DIGEST_BYTES], Error> {
        response(bytes)?.array()
    }
}

/// Extends one register by a digest. The answer is its new value.
#[derive(Clone, Copy, Debug)]
pub struct Extend {
    /// Which one.
    pub register: u32,
    /// The digest that extends it.
    pub digest: [u8; DIGEST_BYTES],
}

impl Command for Extend {
    type Response<'a> = [u8; DIGEST_BYTES];

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        command(buffer, ordinal::EXTEND).u32(self.register).bytes(&self.digest).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<[u8; DIGEST_BYTES], Error> {
        response(bytes)?.array()
    }
}

/// Asks for random bytes. The TPM may give fewer.
#[derive(Clone, Copy, Debug)]
pub struct GetRandom {
    /// How many.
    pub count: u32,
}

impl Command for GetRandom {
    type Response<'a> = &'a [u8];

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        command(buffer, ordinal::GET_RANDOM).u32(self.count).finish()
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        response(bytes)?.sized32()
    }
}

/// Reads the public part of the endorsement key. Works as long as the TPM has no owner.
#[derive(Clone, Copy, Debug)]
pub struct ReadPubek {
    /// Goes into the checksum over the answer, which is checked.
    pub nonce: [u8; DIGEST_BYTES],
}

impl Command for ReadPubek {
    type Response<'a> = PublicKey<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        command(buffer, ordinal::READ_PUBEK).bytes(&self.nonce).finish()
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<PublicKey<'a>, Error> {
        read_checked_key(bytes, &self.nonce)
    }
}

/// Makes the endorsement key, once in a TPM's life. A TPM's maker does this; here it is for emulators.
#[derive(Clone, Copy, Debug)]
pub struct CreateEndorsementKeyPair {
    /// Goes into the checksum over the answer, which is checked.
    pub nonce: [u8; DIGEST_BYTES],
}

impl Command for CreateEndorsementKeyPair {
    type Response<'a> = PublicKey<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        command(buffer, ordinal::CREATE_ENDORSEMENT_KEY_PAIR)
            .bytes(&self.nonce)
            .u32(ALGORITHM_RSA)
            .u16(SCHEME_OAEP)
            .u16(SCHEME_NO_SIGNATURE)
            // TPM_RSA_KEY_PARMS: 2048 bits, two primes, the default exponent.
            .u32(12)
            .u32(2048)
            .u32(2)
            .u32(0)
            .finish()
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<PublicKey<'a>, Error> {
        read_checked_key(bytes, &self.nonce)
    }
}

/// Reads a `TPM_PUBKEY` and the checksum over it and the nonce.
fn read_checked_key<'a>(bytes: &'a [u8], nonce: &[u8; DIGEST_BYTES]) -> Result<PublicKey<'a>, Error> {
    let mut reader = response(bytes)?;
    let key = read_public_key(&mut reader)?;
    let checksum: [u8; DIGEST_BYTES] = reader.array()?;
    let expected: [u8; DIGEST_BYTES] =
        Sha1::new().chain_update(key.structure).chain_update(nonce).finalize().into();
    if checksum == expected { Ok(key) } else { Err(Error::WrongChecksum) }
}

/// Reads a `TPM_PUBKEY` (part 2, section 10.5).
fn read_public_key<'a>(reader: &mut Reader<'a>) -> Result<PublicKey<'a>, Error> {
    let start = *reader;
    let algorithm = reader.u32()?;
    let (_encryption_scheme, _signature_scheme) = (reader.u16()?, reader.u16()?);
    let (parameters, key) = (reader.sized32()?, reader.sized32()?);
    let kind = match algorithm {
        ALGORITHM_RSA => read_rsa(parameters, key)?,
        algorithm => KeyKind::Other { algorithm },
    };
    Ok(PublicKey { kind, structure: reader.since(start) })
}

/// Reads `TPM_RSA_KEY_PARMS`, which belong to a modulus.
fn read_rsa<'a>(parameters: &[u8], modulus: &'a [u8]) -> Result<KeyKind<'a>, Error> {
    let mut parameters = Reader::new(parameters);
    let (bits, _primes) = (parameters.u32()?, parameters.u32()?);
    Ok(KeyKind::Rsa { bits, exponent: read_exponent(parameters.sized32()?)?, modulus })
}

/// An exponent as a number; no bytes at all mean the default.
fn read_exponent(bytes: &[u8]) -> Result<u32, Error> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    if bytes.len() > 4 {
        return Err(Error::Unexpected { field: "exponent's length", value: length });
    }
    let stated = bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
    Ok(PublicKey::exponent_from(stated))
}
