//! Disks with their names looked up, as far as they can be.

use super::{Draft, Names};
use crate::diagnostic::At;
use crate::manifest::{Device, DiskTable, FileFacts, Inputs};

/// A disk whose names have been looked up.
#[derive(Debug)]
pub struct DraftDisk<'a> {
    /// As written.
    pub table: &'a DiskTable,
    /// The domain that drives it.
    pub domain: Option<usize>,
    /// Whether that is the domain's very name.
    pub is_known: bool,
    /// What is known of its file, if it has one.
    pub file: Option<(&'a At<String>, &'a Result<FileFacts, String>)>,
}

impl Draft<'_> {
    /// The device behind a disk: the first of its domain that QEMU puts a drive behind.
    #[must_use]
    pub fn device_of(&self, disk: &DraftDisk<'_>) -> Option<(usize, &Device)> {
        let domain = &self.domains[disk.domain?];
        domain.devices.iter().filter_map(|device| device.found).find(|(_, device)| is_drive(device))
    }
}

/// Whether something is behind a device that is a disk.
fn is_drive(device: &Device) -> bool {
    let mut options = device.qemu.iter().flat_map(|argument| argument.split(','));
    options.any(|option| option.starts_with("drive="))
}

pub(super) fn find_disk<'a>(inputs: &'a Inputs, names: &Names<'_>, table: &'a DiskTable) -> DraftDisk<'a> {
    let named = names.find(&table.name);
    let file = table.file.as_ref().and_then(|file| Some((file, inputs.disk_files.get(&file.value)?)));
    DraftDisk { table, domain: named.found, is_known: named.is_known, file }
}
