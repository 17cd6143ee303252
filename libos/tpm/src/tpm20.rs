//! Commands of TPM 2.0 (TCG *TPM Library*, parts 2 and 3, revision 1.38 and later).

use crate::{
    Command, Error, KeyKind, PublicKey,
    header::{TAG_20_NO_SESSIONS, TAG_20_SESSIONS},
    tpm12::Handles,
    wire::{Reader, Writer},
};

/// The command codes used here (part 2, section 6.5.2).
pub mod code {
    /// `TPM2_CreatePrimary`.
    pub const CREATE_PRIMARY: u32 = 0x131;
    /// `TPM2_IncrementalSelfTest`.
    pub const INCREMENTAL_SELF_TEST: u32 = 0x142;
    /// `TPM2_SelfTest`.
    pub const SELF_TEST: u32 = 0x143;
    /// `TPM2_Startup`.
    pub const STARTUP: u32 = 0x144;
    /// `TPM2_FlushContext`.
    pub const FLUSH_CONTEXT: u32 = 0x165;
    /// `TPM2_ReadPublic`.
    pub const READ_PUBLIC: u32 = 0x173;
    /// `TPM2_GetCapability`.
    pub const GET_CAPABILITY: u32 = 0x17a;
    /// `TPM2_GetRandom`.
    pub const GET_RANDOM: u32 = 0x17b;
    /// `TPM2_PCR_Read`.
    pub const PCR_READ: u32 = 0x17e;
}

/// Properties of a TPM (part 2, section 6.13).
pub mod property {
    /// `"2.0\0"`.
    pub const FAMILY_INDICATOR: u32 = 0x100;
    /// Revision of the specification, times 100.
    pub const REVISION: u32 = 0x102;
    /// The maker, four letters.
    pub const MANUFACTURER: u32 = 0x105;
    /// The first of four properties that make a text.
    pub const VENDOR_STRING_1: u32 = 0x106;
    /// Upper half of the firmware's version.
    pub const FIRMWARE_VERSION_1: u32 = 0x10b;
    /// Lower half of the firmware's version.
    pub const FIRMWARE_VERSION_2: u32 = 0x10c;
    /// How many registers each bank has.
    pub const PCR_COUNT: u32 = 0x112;
    /// Longest command, in bytes.
    pub const MAX_COMMAND_BYTES: u32 = 0x11e;
}

/// The first handle of loaded objects.
pub const FIRST_TRANSIENT: u32 = 0x8000_0000;
/// The first handle of objects that the TPM keeps.
pub const FIRST_PERSISTENT: u32 = 0x8100_0000;
/// Where makers keep the endorsement key, if they keep it (TCG *Provisioning Guidance*, section 7.8).
pub const ENDORSEMENT_KEY_HANDLE: u32 = 0x8101_0001;

/// Capabilities of `TPM2_GetCapability` (part 2, section 6.12).
mod capability {
    pub(super) const HANDLES: u32 = 1;
    pub(super) const PCRS: u32 = 5;
    pub(super) const PROPERTIES: u32 = 6;
}

/// Identifiers of algorithms (part 2, section 6.3).
mod algorithm {
    pub(super) const RSA: u16 = 0x01;
    pub(super) const SHA1: u16 = 0x04;
    pub(super) const AES: u16 = 0x06;
    pub(super) const SHA256: u16 = 0x0b;
    pub(super) const NULL: u16 = 0x10;
    /// The only scheme that states no hash.
    pub(super) const RSAES: u16 = 0x15;
    /// The only scheme that states a count besides.
    pub(super) const ECDAA: u16 = 0x1a;
    pub(super) const ECC: u16 = 0x23;
    pub(super) const CFB: u16 = 0x43;
}

/// What people call a hash algorithm (part 2, section 6.3).
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

/// `TPM_RS_PW`: the session that carries a password.
const PASSWORD_SESSION: u32 = 0x4000_0009;
/// `TPM_RH_ENDORSEMENT`.
const ENDORSEMENT_HIERARCHY: u32 = 0x4000_000b;

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

fn command(buffer: &mut [u8], code: u32) -> Writer<'_> {
    Writer::command(buffer, TAG_20_NO_SESSIONS, code)
}

fn response(bytes: &[u8]) -> Result<Reader<'_>, Error> {
    Reader::response(bytes, &[TAG_20_NO_SESSIONS])
}

/// Starts the TPM with fresh registers. Firmware normally does it.
#[derive(Clone, Copy, Debug)]
pub struct Startup;

impl Command for Startup {
    type Response<'a> = ();

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        const CLEAR: u16 = 0;
        command(buffer, code::STARTUP).u16(CLEAR).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<(), Error> {
        response(bytes).map(drop)
    }
}

/// Lets the TPM test what it has not tested yet.
#[derive(Clone, Copy, Debug)]
pub struct SelfTest;

impl Command for SelfTest {
    type Response<'a> = ();

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        const ONLY_UNTESTED: u8 = 0;
        command(buffer, code::SELF_TEST).u8(ONLY_UNTESTED).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<(), Error> {
        response(bytes).map(drop)
    }
}

fn get_capability(buffer: &mut [u8], capability: u32, first: u32, count: u32) -> Result<&[u8], Error> {
    command(buffer, code::GET_CAPABILITY).u32(capability).u32(first).u32(count).finish()
}

/// The value of a capability, and whether the TPM has more than it says: it may say less than it was asked for.
fn capability_value(bytes: &[u8], capability: u32) -> Result<(Reader<'_>, bool), Error> {
    let mut reader = response(bytes)?;
    let has_more = reader.u8()? != 0;
    reader.expect_u32("capability", capability)?;
    Ok((reader, has_more))
}

/// Reads a run of properties.
#[derive(Clone, Copy, Debug)]
pub struct GetProperties {
    /// The first one; see [`property`].
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// Properties and their values, still in the response's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties<'a> {
    bytes: &'a [u8],
    /// The TPM has more of them than it listed.
    pub has_more: bool,
}

impl<'a> Properties<'a> {
    /// Each property and its value, in the TPM's order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        self.bytes.as_chunks::<8>().0.iter().map(|[a, b, c, d, e, f, g, h]| {
            (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]))
        })
    }

    /// The value of one.
    #[must_use]
    pub fn find(&self, property: u32) -> Option<u32> {
        self.iter().find(|(known, _)| *known == property).map(|(_, value)| value)
    }
}

impl Command for GetProperties {
    type Response<'a> = Properties<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        get_capability(buffer, capability::PROPERTIES, self.first, self.count)
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<Properties<'a>, Error> {
        let (mut reader, has_more) = capability_value(bytes, capability::PROPERTIES)?;
        let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        Ok(Properties { bytes: reader.bytes(count.saturating_mul(8))?, has_more })
    }
}

/// Lists handles.
#[derive(Clone, Copy, Debug)]
pub struct GetHandles {
    /// The first one that may be listed: [`FIRST_TRANSIENT`], [`FIRST_PERSISTENT`], or one after these.
    pub first: u32,
}

impl Command for GetHandles {
    type Response<'a> = Handles<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        const MORE_THAN_ANY_TPM_HOLDS: u32 = 254;
        get_capability(buffer, capability::HANDLES, self.first, MORE_THAN_ANY_TPM_HOLDS)
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<Handles<'a>, Error> {
        let (mut reader, has_more) = capability_value(bytes, capability::HANDLES)?;
        let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        Handles::read(&mut reader, count, has_more)
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
        reader.bytes(selected.into())?;
        // A register that the TPM does not have is left out of the answer.
        reader.expect_u32("number of registers", 1)?;
        let digest = reader.sized16()?;
        let field = Error::Unexpected { field: "digest length", value: digest.len() as u32 };
        if digest.len() == self.bank.digest_bytes() { Ok(digest) } else { Err(field) }
    }
}

/// Asks for random bytes. The TPM may give fewer.
#[derive(Clone, Copy, Debug)]
pub struct GetRandom {
    /// How many.
    pub count: u16,
}

impl Command for GetRandom {
    type Response<'a> = &'a [u8];

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        command(buffer, code::GET_RANDOM).u16(self.count).finish()
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        response(bytes)?.sized16()
    }
}

/// Derives the endorsement key from the TPM's endorsement seed and loads it. The same seed gives the same key
/// each time.
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
        let writer =
            Writer::command(buffer, TAG_20_SESSIONS, code::CREATE_PRIMARY).u32(ENDORSEMENT_HIERARCHY);
        // One session with an empty password: handle, no nonce, no attributes, no proof.
        let writer = writer.u32(9).u32(PASSWORD_SESSION).u16(0).u8(0).u16(0);
        // TPM2B_SENSITIVE_CREATE: no password for the key, no data.
        let writer = writer.u16(4).u16(0).u16(0);
        let writer = template::write(writer);
        // No data from outside, no registers to record at creation.
        writer.u16(0).u32(0).finish()
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<LoadedKey<'a>, Error> {
        let mut reader = Reader::response(bytes, &[TAG_20_SESSIONS])?;
        let handle = reader.u32()?;
        let mut parameters = || reader.u32().and_then(|_bytes| reader.sized16());
        let key = parameters().and_then(read_public);
        Ok(LoadedKey { handle, key })
    }
}

/// The template for an RSA 2048 endorsement key: L-1 of the TCG *EK Credential Profile*, section B.3.3.
mod template {
    use super::{Writer, algorithm};

    /// fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt.
    const ATTRIBUTES: u32 = 0x0003_00b2;
    /// The digest of the policy `PolicySecret(endorsement hierarchy)`.
    const POLICY: [u8; 32] = [
        0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
        0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
    ];
    const MODULUS_BYTES: u16 = 256;
    /// Type, name algorithm, attributes, policy, AES-128-CFB, no scheme, bits, exponent, unique field.
    const BYTES: u16 = 2 + 2 + 4 + 2 + 32 + 6 + 2 + 2 + 4 + 2 + MODULUS_BYTES;

    /// Writes it as a `TPM2B_PUBLIC`.
    pub(super) fn write(writer: Writer<'_>) -> Writer<'_> {
        let writer = writer.u16(BYTES).u16(algorithm::RSA).u16(algorithm::SHA256).u32(ATTRIBUTES);
        let writer = writer.u16(32).bytes(&POLICY);
        let writer = writer.u16(algorithm::AES).u16(128).u16(algorithm::CFB);
        let writer = writer.u16(algorithm::NULL).u16(MODULUS_BYTES * 8).u32(0);
        writer.u16(MODULUS_BYTES).bytes(&[0; MODULUS_BYTES as usize])
    }
}

/// Unloads an object.
#[derive(Clone, Copy, Debug)]
pub struct FlushContext {
    /// Its handle.
    pub handle: u32,
}

impl Command for FlushContext {
    type Response<'a> = ();

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        command(buffer, code::FLUSH_CONTEXT).u32(self.handle).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<(), Error> {
        response(bytes).map(drop)
    }
}

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
