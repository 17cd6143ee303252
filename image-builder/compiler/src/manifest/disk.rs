//! Disks, as the manifest states them: what is on each, and which domain gets what of it.

use std::collections::BTreeMap;
use std::path::Path;

use super::is_path;
use super::reader::{Item, Reader};
use super::text_file::{self, FileFacts};
use crate::diagnostic::{At, SourceId};

/// A component's name for the gate of its first disk; the others are numbered from 2 on.
pub use disk_api::GATE as DISK_GATE;

/// One `[disk.NAME]`.
#[derive(Debug, Clone)]
pub struct DiskTable {
    /// Its name, which is that of the domain that drives it.
    pub name: At<String>,
    /// The file of the host that it is, or a payload.
    pub file: Option<At<String>>,
    /// Its size in MiB, if it is made for each run.
    pub scratch_mib: Option<At<u64>>,
    /// Whether nobody writes it.
    pub is_read_only: bool,
}

/// One entry of a domain's `disks`.
#[derive(Debug, Clone)]
pub struct DiskUse {
    /// The disk.
    pub disk: At<String>,
    /// The number of a partition, if not all of it is meant.
    pub partition: Option<At<u64>>,
    /// Whether the domain may only read.
    pub is_read_only: bool,
}

/// What is known of the files that are disks, by what is written, or why nothing is.
pub type DiskFiles = BTreeMap<String, Result<FileFacts, String>>;

impl DiskTable {
    /// A disk of which nothing can be read has its name nevertheless: others may refer to it.
    pub(super) fn read(name: At<String>, item: Item<'_, '_, '_>) -> Self {
        let read = item.table(|reader| Self {
            name: name.clone(),
            file: reader.text("file"),
            scratch_mib: reader.number("scratch_mib"),
            is_read_only: reader.flag("read_only"),
        });
        read.unwrap_or(Self { name, file: None, scratch_mib: None, is_read_only: false })
    }

    /// The payload that it begins with, if its file is none of the manifest's folder.
    #[must_use]
    pub fn payload(&self) -> Option<&At<String>> {
        self.file.as_ref().filter(|file| !is_path(&file.value))
    }

    /// Where it is among all keys of the manifest.
    #[must_use]
    pub fn path(&self) -> (SourceId, String) {
        (self.name.span.source, format!("disk.{}", self.name.value))
    }
}

impl DiskUse {
    /// `"store"`, or `{ disk = "store", partition = 1, read_only = true }`.
    pub(super) fn read_all(reader: &mut Reader<'_, '_>) -> Vec<Self> {
        reader.items("disks", "a list, such as [\"store\"]", |item| {
            if let Some(disk) = item.as_text() {
                return Some(Self { disk, partition: None, is_read_only: false });
            }
            item.table(|table| {
                let (disk, partition) = (table.required_text("disk"), table.number("partition"));
                let is_read_only = table.flag("read_only");
                Some(Self { disk: disk?, partition, is_read_only })
            })?
        })
    }
}

/// Looks at the files that are disks, seen from the manifest's folder. `known`: those that were looked at before.
pub(super) fn look_at_files(known: &mut DiskFiles, folder: &Path, disks: &[DiskTable]) {
    let files = disks.iter().filter_map(|disk| Some((disk, disk.file.as_ref()?)));
    for (disk, file) in files.filter(|(_, file)| is_path(&file.value)) {
        let facts = || text_file::facts_of(&folder.join(&file.value), !disk.is_read_only);
        known.entry(file.value.clone()).or_insert_with(facts);
    }
}
