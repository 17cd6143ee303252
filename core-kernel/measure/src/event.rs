//! What is measured of a system: a line of text for each part of it.
//!
//! The line names the part and its SHA-256, and what a register is extended with is the digest of the line, in each
//! bank. So a byte of the system is hashed once, however many banks there are; and a log says by itself which part had
//! which digest, where the bare digest of a part would say nothing to its reader.

use core::fmt;

use cloison_abi::{
    image::Digest,
    measure::{MAX_ROW_NAME_BYTES, PCR_KERNEL, PCR_OPTIONS},
};
use sha2::{Digest as _, Sha256};

use crate::Rows;

/// The most bytes that an event's line can have.
pub const MAX_EVENT_BYTES: usize = MAX_ROW_NAME_BYTES + MARK.len() + 2 * size_of::<Digest>();
/// What stands between the name of a part and its digest.
pub(crate) const MARK: &str = " sha256:";

/// Something that makes a SHA-256 digest.
pub type Hash = fn(&[u8]) -> Digest;

/// SHA-256 by what this machine has.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// A part of a system that is measured. Shown, it is the line that a register is extended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The register.
    pub pcr: u32,
    /// What it is.
    pub name: &'a str,
    /// Its digest.
    pub digest: Digest,
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{MARK}", self.name)?;
        self.digest.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// All that is measured of a system.
#[derive(Clone, Copy, Debug)]
pub struct System<'a> {
    /// Options that the loader was started with.
    pub options: &'a [u8],
    /// The kernel's file.
    pub kernel: &'a [u8],
    /// The system image.
    pub image: &'a [u8],
    /// The rows of the image.
    pub rows: Rows<'a>,
}

impl<'a> System<'a> {
    /// The events, in the order in which they are measured.
    pub fn events(self, hash: Hash) -> impl Iterator<Item = Event<'a>> {
        let of = move |pcr, name, bytes| Event { pcr, name, digest: hash(bytes) };
        let rows = self.rows.iter().map(move |row| of(row.pcr, row.name, row.of(self.image)));
        let before = [(PCR_OPTIONS, "options", self.options), (PCR_KERNEL, "kernel", self.kernel)];
        before.into_iter().map(move |(pcr, name, bytes)| of(pcr, name, bytes)).chain(rows)
    }
}
