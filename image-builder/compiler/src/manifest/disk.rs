//! Disks, as the manifest states them: what is on each, and which domain gets what of it.

use std::collections::BTreeMap;
use std::path::Path;

use disk_api::Choice;

use super::reader::{self, FileFacts, Item, Reader};
use super::{DomainTable, UseTable, is_path};
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
                Some(Self { disk: disk?, partition, is_read_only: table.flag("read_only") })
            })?
        })
    }

    /// The use of the gate of a disk's domain that it implies; `place` is its place among the domain's.
    fn implied_use(&self, place: usize) -> UseTable {
        let At { span, .. } = self.disk;
        let partition = self.partition.as_ref().map_or(0, |number| number.value);
        // One that is too large is told by a check.
        let partition = partition.try_into().unwrap_or(u8::MAX);
        let option = Choice { partition, is_read_only: self.is_read_only }.option();
        let at = |value: String| At { value, span };
        UseTable {
            local: at(local_name(place)),
            from: self.disk.clone(),
            options: vec![(at("part".into()), At { value: option.into(), span })],
            permit: None,
            is_port: false,
            is_disk: true,
        }
    }
}

/// A component's name for the gate of its disk at a place: `disk`, `disk2`, `disk3`.
fn local_name(place: usize) -> String {
    match place {
        0 => DISK_GATE.to_owned(),
        _ => format!("{DISK_GATE}{}", place + 1),
    }
}

/// Gives each domain the gates of its disks.
pub(super) fn connect(domains: &mut [DomainTable]) {
    for domain in domains {
        // Those of before something was added to the manifest.
        domain.uses.retain(|given| !given.is_disk);
        let implied = domain.disks.iter().enumerate().map(|(place, disk)| disk.implied_use(place));
        domain.uses.extend(implied);
    }
}

/// Looks at the files that are disks, seen from the manifest's folder. `known`: those that were looked at before.
pub(super) fn look_at_files(known: &mut DiskFiles, folder: &Path, disks: &[DiskTable]) {
    let files = disks.iter().filter_map(|disk| Some((disk, disk.file.as_ref()?)));
    for (disk, file) in files.filter(|(_, file)| is_path(&file.value)) {
        let facts = || reader::facts_of(&folder.join(&file.value), !disk.is_read_only);
        known.entry(file.value.clone()).or_insert_with(facts);
    }
}
