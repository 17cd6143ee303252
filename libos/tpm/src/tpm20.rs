//! Commands of TPM 2.0 (TCG *TPM Library*, parts 2 and 3, revision 1.38 and later).

use crate::{
    Command, Error, RsaPublicKey,
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
    pub(super) const CFB: u16 = 0x43;
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

/// The value of a capability; whether there is more to ask for is of no interest here, because the commands
/// ask for all that there can be.
fn capability_value(bytes: &[u8], capability: u32) -> Result<Reader<'_>, Error> {
    let mut reader = response(bytes)?;
    let _more = reader.u8()?;
    reader.expect_u32("capability", capability)?;
    Ok(reader)
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
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// Each property and its value, in the TPM's order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        self.0.as_chunks::<8>().0.iter().map(|[a, b, c, d, e, f, g, h]| {
            (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]))
        })
    }

    /// The value of one.
    #[must_use]
    pub fn find(&self, property: u32) -> Option<u32> {
        self.iter().find(|(known, _)| *known == property).map(|(_, value)| value)
    }

    /// The text that `N` properties from `first` on hold, four letters in each, padded with zeros.
    #[must_use]
    pub fn text<const N: usize>(&self, first: u32) -> [[u8; 4]; N] {
        core::array::from_fn(|index| self.find(first + index as u32).unwrap_or(0).to_be_bytes())
    }
}

impl Command for GetProperties {
    type Response<'a> = Properties<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        get_capability(buffer, capability::PROPERTIES, self.first, self.count)
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<Properties<'a>, Error> {
        let mut reader = capability_value(bytes, capability::PROPERTIES)?;
        let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        reader.bytes(count.saturating_mul(8)).map(Properties)
    }
}

/// Lists handles.
#[derive(Clone, Copy, Debug)]
pub struct GetHandles {
    /// The first one that may be listed: [`FIRST_TRANSIENT`] or [`FIRST_PERSISTENT`].
    pub first: u32,
}

impl Command for GetHandles {
    type Response<'a> = Handles<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        const MORE_THAN_ANY_TPM_HOLDS: u32 = 254;
        get_capability(buffer, capability::HANDLES, self.first, MORE_THAN_ANY_TPM_HOLDS)
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<Handles<'a>, Error> {
        let mut reader = capability_value(bytes, capability::HANDLES)?;
        let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        Handles::read(&mut reader, count)
    }
}

/// Reads which banks have registers allocated.
#[derive(Clone, Copy, Debug)]
pub struct GetBanks;

/// For each of [`Bank::ALL`], whether the TPM has registers in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Banks([bool; Bank::ALL.len()]);

impl Banks {
    /// Whether the TPM has registers in this bank.
    #[must_use]
    pub fn has(&self, bank: Bank) -> bool {
        self.iter().any(|found| found == bank)
    }

    /// The banks that the TPM has registers in.
    pub fn iter(&self) -> impl Iterator<Item = Bank> + use<> {
        Bank::ALL.into_iter().zip(self.0).filter(|(_, allocated)| *allocated).map(|(bank, _)| bank)
    }
}

impl Command for GetBanks {
    type Response<'a> = Banks;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        const MORE_THAN_ANY_TPM_HAS: u32 = 16;
        get_capability(buffer, capability::PCRS, 0, MORE_THAN_ANY_TPM_HAS)
    }

    fn parse(&self, bytes: &[u8]) -> Result<Banks, Error> {
        let mut reader = capability_value(bytes, capability::PCRS)?;
        let mut banks = Banks::default();
        for _ in 0..reader.u32()? {
            let (algorithm, selected) = read_selection(&mut reader)?;
            let allocated = selected.iter().any(|byte| *byte != 0);
            for (bank, found) in Bank::ALL.into_iter().zip(&mut banks.0) {
                *found |= allocated && bank.algorithm() == algorithm;
            }
        }
        Ok(banks)
    }
}

/// Reads a `TPMS_PCR_SELECTION`: a hash algorithm, and one bit for each register.
fn read_selection<'a>(reader: &mut Reader<'a>) -> Result<(u16, &'a [u8]), Error> {
    let algorithm = reader.u16()?;
    let count = reader.u8()?;
    Ok((algorithm, reader.bytes(usize::from(count))?))
}

/// Reads one register of one bank.
#[derive(Clone, Copy, Debug)]
pub struct PcrRead {
    /// The bank.
    pub bank: Bank,
    /// Which register: 0 to 23.
    pub register: u8,
}

impl Command for PcrRead {
    /// Its digest, of [`Bank::digest_bytes`].
    type Response<'a> = &'a [u8];

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let selected = 1_u32.checked_shl(self.register.into()).unwrap_or(0).to_le_bytes();
        command(buffer, code::PCR_READ).u32(1).u16(self.bank.algorithm()).u8(3).bytes(&selected[..3]).finish()
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
    /// Its public part.
    pub key: RsaPublicKey<'a>,
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
        let _parameter_bytes = reader.u32()?;
        let key = read_public(reader.sized16()?)?;
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

/// Reads the public part of a loaded or kept RSA key.
#[derive(Clone, Copy, Debug)]
pub struct ReadPublic {
    /// Its handle.
    pub handle: u32,
}

impl Command for ReadPublic {
    type Response<'a> = RsaPublicKey<'a>;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        command(buffer, code::READ_PUBLIC).u32(self.handle).finish()
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<RsaPublicKey<'a>, Error> {
        read_public(response(bytes)?.sized16()?)
    }
}

/// Reads a `TPMT_PUBLIC` (part 2, section 12.2.4) that holds an RSA key.
fn read_public(structure: &[u8]) -> Result<RsaPublicKey<'_>, Error> {
    let mut reader = Reader::new(structure);
    reader.expect_u16("key algorithm", algorithm::RSA)?;
    let (_name_algorithm, _attributes, _policy) = (reader.u16()?, reader.u32()?, reader.sized16()?);
    // Symmetric algorithm (with bits and mode) and scheme (with a hash) have no further fields if they are
    // null.
    if reader.u16()? != algorithm::NULL {
        let (_symmetric_bits, _mode) = (reader.u16()?, reader.u16()?);
    }
    if reader.u16()? != algorithm::NULL {
        let _hash = reader.u16()?;
    }
    let bits = u32::from(reader.u16()?);
    let exponent = RsaPublicKey::exponent_from(reader.u32()?);
    let modulus = reader.sized16()?;
    Ok(RsaPublicKey { bits, exponent, modulus, structure })
}
