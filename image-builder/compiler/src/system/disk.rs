//! Disks: what is on each, and who has what of it.

use std::fmt;
use std::path::PathBuf;

use disk_api::Choice;

use super::{DeviceId, DomainId, Draft, DraftDisk};
use crate::manifest::Debian;

/// A disk.
#[derive(Debug, Clone)]
pub struct Disk {
    /// The domain that drives it.
    pub domain: DomainId,
    /// The device.
    pub device: DeviceId,
    /// What is on it.
    pub content: DiskContent,
    /// Whether nobody writes it.
    pub is_read_only: bool,
}

/// What a client of a disk has, by the option of its gate: which part, and whether it may only read that.
#[must_use]
pub fn part(option: u64) -> (String, bool) {
    let Choice { partition, is_read_only } = Choice::of_option(option as u32);
    let part = if partition == 0 { "all of it".to_owned() } else { format!("partition {partition}") };
    (part, is_read_only)
}

/// How a disk, or a part of one, may be used.
#[must_use]
pub fn access(is_read_only: bool) -> &'static str {
    if is_read_only { "read-only" } else { "read and write" }
}

impl fmt::Display for DiskContent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { written, .. } => out.write_str(written),
            Self::Made(debian) => write!(out, "a new copy of {} at each start", debian.name),
            Self::Scratch(mib) => write!(out, "{mib} MiB of zeros at each start"),
        }
    }
}

/// What is on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskContent {
    /// What is in a file of the host, and stays there.
    File {
        /// As the manifest has it.
        written: String,
        /// Where it is.
        path: PathBuf,
    },
    /// A copy of what the tool makes, at the start of each run.
    Made(Debian),
    /// Nothing but zeros at the start of each run: its size in MiB.
    Scratch(u64),
}

impl Disk {
    /// `None` if something leads nowhere, which the checks have ruled out.
    pub(super) fn resolve(draft: &Draft<'_>, disk: &DraftDisk<'_>) -> Option<Self> {
        let table = disk.table;
        let content = match (&table.file, &table.scratch_mib) {
            (Some(file), None) if table.payload().is_some() => {
                DiskContent::Made(draft.inputs.debian(&file.value)?.clone())
            }
            (Some(file), None) => {
                DiskContent::File { written: file.value.clone(), path: draft.inputs.folder.join(&file.value) }
            }
            (None, Some(mib)) => DiskContent::Scratch(mib.value),
            _ => return None,
        };
        let (device, _) = draft.device_of(disk)?;
        let (domain, device) = (DomainId(disk.domain?), DeviceId(device));
        Some(Self { domain, device, content, is_read_only: table.is_read_only })
    }
}
