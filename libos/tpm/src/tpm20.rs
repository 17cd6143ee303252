//! Commands of TPM 2.0 (TCG *TPM Library*, parts 2 and 3, revision 1.38 and later).

mod attestation;
mod credential;
mod key;
mod nv;
mod registers;

use crate::{
    Command, Error,
    numbers::TAG_20_NO_SESSIONS,
    tpm12::Handles,
    wire::{Reader, Writer},
};

pub use crate::numbers::code;
pub use attestation::{
    ATTESTATION_LOCALITY, AttestationKey, CreateAttestationKey, MAX_NONCE_BYTES, PolicyLocality, Quote,
    Quoted, Signature, StartPolicySession, Statement,
};
pub use credential::{ActivateCredential, CreateCurveEndorsementKey, EndorsementKey, PolicySecret};
pub use key::{CreateEndorsementKey, LoadedKey, ReadPublic};
pub use nv::{CURVE_CERTIFICATE, KeptBytes, MAX_READ_BYTES, RSA_CERTIFICATE, ReadKept};
pub use registers::{
    Bank, Banks, GetBanks, HashedText, MAX_EVENT_BYTES, PcrEvent, PcrRead, Selection, hash_name,
};

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
    pub(super) const SHA256: u16 = 0x0b;
    pub(super) const NULL: u16 = 0x10;
    pub(super) const ECDSA: u16 = 0x18;
    /// The only scheme that states no hash.
    pub(super) const RSAES: u16 = 0x15;
    /// The only scheme that states a count besides.
    pub(super) const ECDAA: u16 = 0x1a;
    pub(super) const ECC: u16 = 0x23;
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
