//! What a machine's registers have to be: the output of `cargo image pcrs --format json`.

use std::{collections::BTreeMap, fmt};

use cloison_abi::measure::{PCR_BUILDER, PCR_KERNEL, PCR_PLAN, PCR_PROGRAMS};
use cloison_measure::evidence::REGISTERS;
use serde_json::Value;

use crate::hex::unhex;

/// The bank that is compared.
const BANK: &str = "sha256";
/// The registers without which a reference says nothing of a system: loader, kernel, builder, plan, programs.
const NEEDED: [u32; 5] = [4, PCR_KERNEL, PCR_BUILDER, PCR_PLAN, PCR_PROGRAMS];
/// The longest name of an event that is kept.
const MAX_NAME: usize = 1024;

/// A digest.
pub(crate) type Digest = [u8; 32];

/// What the image builder has foretold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub(crate) registers: BTreeMap<u32, Digest>,
    pub(crate) events: Vec<Foretold>,
}

/// An event that has been foretold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foretold {
    pub(crate) pcr: u32,
    pub(crate) name: String,
    pub(crate) digest: Digest,
}

/// Why a reference cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadReference {
    /// It is no JSON, or not that of `cargo image pcrs`.
    Form(String),
    /// It does not say what this register has to be.
    Lacks(u32),
    /// It names a register that no quote has.
    Unquoted(u32),
    /// It has this register as a reset leaves it, all zeros or all ones: what nobody has measured would pass.
    NeverExtended(u32),
}

impl fmt::Display for BadReference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(what) => {
                write!(out, "the reference is not what `cargo image pcrs --format json` prints: {what}")
            }
            Self::Lacks(pcr) => {
                write!(out, "the reference says nothing of PCR {pcr}, so anything would pass")
            }
            Self::Unquoted(pcr) => write!(out, "the reference names PCR {pcr}, which is not quoted"),
            Self::NeverExtended(pcr) => {
                write!(
                    out,
                    "the reference has PCR {pcr} as a reset leaves it, so what nobody has measured would pass"
                )
            }
        }
    }
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    ///
    /// [`BadReference`].
    pub fn read(text: &str) -> Result<Self, BadReference> {
        let form = |what: &str| BadReference::Form(what.to_owned());
        let json: Value = serde_json::from_str(text).map_err(|error| form(&error.to_string()))?;
        let registers =
            json["banks"][BANK].as_object().ok_or_else(|| form("it has no registers of SHA-256"))?;
        let register = |(pcr, value): (&String, &Value)| Some((pcr.parse().ok()?, unhex(value.as_str()?)?));
        let registers = registers.iter().map(register).collect::<Option<BTreeMap<u32, Digest>>>();
        let registers = registers.ok_or_else(|| form("a register is no number with a digest"))?;
        let events = json["events"].as_array().ok_or_else(|| form("it has no events"))?;
        let events = events.iter().map(Foretold::read).collect::<Option<Vec<_>>>();
        let events = events.ok_or_else(|| form("an event has no register, name or digest"))?;
        if let Some(pcr) = NEEDED.into_iter().find(|pcr| !registers.contains_key(pcr)) {
            return Err(BadReference::Lacks(pcr));
        }
        if let Some(pcr) = registers.keys().find(|pcr| !is_quoted(**pcr)) {
            return Err(BadReference::Unquoted(*pcr));
        }
        if let Some((pcr, _)) = registers.iter().find(|(_, value)| is_of_reset(value)) {
            return Err(BadReference::NeverExtended(*pcr));
        }
        Ok(Self { registers, events })
    }

    /// The events of a register, in order.
    pub(crate) fn events_of(&self, pcr: u32) -> impl Iterator<Item = &Foretold> {
        self.events.iter().filter(move |event| event.pcr == pcr)
    }
}

impl Foretold {
    fn read(event: &Value) -> Option<Self> {
        let pcr = u32::try_from(event["pcr"].as_u64()?).ok()?;
        let name = event["name"].as_str()?.chars().take(MAX_NAME).collect();
        Some(Self { pcr, name, digest: unhex(event[BANK].as_str()?)? })
    }
}

/// Whether every quote has this register.
fn is_quoted(pcr: u32) -> bool {
    REGISTERS.checked_shr(pcr).unwrap_or(0) & 1 != 0
}

/// Whether a register has this value when nothing has been measured into it: zeros, or ones of those that a late launch
/// resets.
fn is_of_reset(value: &Digest) -> bool {
    [0, 0xff].into_iter().any(|byte| value.iter().all(|found| *found == byte))
}
