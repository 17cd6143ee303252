//! Guests: what a component says of those that it runs, what a domain's table says of its own, and the files that
//! guests begin with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::Purpose;
use super::reader::Reader;
use super::text_file;
use crate::diagnostic::{At, Span};

/// Largest system image: a boot loader for a PC puts it below this address.
pub const MAX_IMAGE_BYTES: u64 = 1 << 32;

/// A component's need for a guest, `[needs.guest]`.
#[derive(Debug, Clone)]
pub struct GuestNeed {
    /// Where it is stated.
    pub at: Span,
    /// Whether the guest is a Linux, so that it begins with the file of a kernel.
    pub is_linux: bool,
    /// Memory that guest and domain see beside the guest's own, in pages.
    pub shared_pages: At<u64>,
    /// Whether the guest reads which of its pages stands for which: a table of a word for each.
    pub has_page_numbers: bool,
}

/// What a domain's table says of its guest.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct GuestTable {
    pub memory_mib: Option<At<u64>>,
    /// Number of CPUs.
    pub vcpus: Option<At<u64>>,
    /// A payload, or the path of a file.
    pub kernel: Option<At<String>>,
    /// Other kernels with which it can be started. Of a domain that runs no guest: other components.
    pub images: Vec<At<String>>,
    /// A payload, or the path of a file.
    pub initramfs: Option<At<String>>,
    /// The kernel's command line.
    pub cmdline: Option<At<String>>,
    /// Where it says that the guest can be saved.
    pub saves: Option<Span>,
}

/// A file that a guest begins with.
#[derive(Debug, Clone)]
pub enum GuestFile {
    /// Its bytes.
    Here(Arc<[u8]>),
    /// It is a payload.
    Payload,
    /// It cannot be used: why.
    Unusable(String),
}

/// The files that the manifest names, each once, by what is written.
pub type GuestFiles = BTreeMap<String, GuestFile>;

/// Whether what is written is a path; else it is the name of a payload.
#[must_use]
pub fn is_path(written: &str) -> bool {
    written.contains(['/', '.'])
}

/// Reads the files that guests name by their paths, seen from the manifest's folder. `known`: those that were read
/// before.
pub(super) fn read_files<'a>(
    known: &mut GuestFiles,
    folder: &Path,
    guests: impl Iterator<Item = &'a GuestTable>,
) {
    for written in guests.flat_map(GuestTable::files) {
        if known.contains_key(&written.value) {
            continue;
        }
        let file = match is_path(&written.value) {
            true => GuestFile::read(&folder.join(&written.value), MAX_IMAGE_BYTES - bytes_of(known)),
            false => GuestFile::Payload,
        };
        known.insert(written.value.clone(), file);
    }
}

/// Bytes of the files that are here.
fn bytes_of(files: &GuestFiles) -> u64 {
    files.values().map(|file| file.bytes().map_or(0, |bytes| bytes.len() as u64)).sum()
}

impl GuestFile {
    /// Reads a file of at most `most` bytes.
    fn read(path: &Path, most: u64) -> Self {
        match text_file::bytes_of(path, most) {
            Ok(bytes) if bytes.is_empty() => Self::Unusable("the file is empty".into()),
            Ok(bytes) => Self::Here(bytes.into()),
            Err(reason) => Self::Unusable(reason),
        }
    }

    /// Its bytes, if they are here.
    #[must_use]
    pub fn bytes(&self) -> Option<&Arc<[u8]>> {
        match self {
            Self::Here(bytes) => Some(bytes),
            Self::Payload | Self::Unusable(_) => None,
        }
    }
}

impl GuestNeed {
    pub(super) fn read(reader: &mut Reader<'_, '_>) -> Self {
        let system = reader.text("system");
        if let Some(system) = system.as_ref().filter(|system| system.value != "linux") {
            reader.refuse("system", system.span, "\"linux\"", format!("the text {:?}", system.value));
        }
        let none = At { value: 0, span: reader.at() };
        Self {
            at: reader.at(),
            is_linux: system.is_some(),
            shared_pages: reader.number("shared_pages").unwrap_or(none),
            has_page_numbers: reader.flag("page_numbers"),
        }
    }
}

impl GuestTable {
    pub(super) fn read(reader: &mut Reader<'_, '_>) -> Self {
        Self {
            memory_mib: reader.number("memory_mib"),
            vcpus: reader.number("vcpus"),
            kernel: reader.text("kernel"),
            images: reader.texts("images"),
            initramfs: reader.text("initramfs"),
            cmdline: reader.text("cmdline"),
            saves: reader.set_flag("saves"),
        }
    }

    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &At<String>> {
        self.purposes().map(|(_, file)| file)
    }

    /// The files that it names, each with its purpose.
    pub fn purposes(&self) -> impl Iterator<Item = (Purpose, &At<String>)> {
        let initramfs = self.initramfs.iter().map(|file| (Purpose::Initramfs, file));
        self.kernels().map(|file| (Purpose::Kernel, file)).chain(initramfs)
    }

    /// The kernels with which it can be started: first the one that it has unless somebody chooses another one.
    pub fn kernels(&self) -> impl Iterator<Item = &At<String>> {
        self.kernel.iter().chain(&self.images)
    }

    /// Its keys that are stated, each with the place of its value, and whether only a Linux has it.
    #[must_use]
    pub fn stated(&self) -> Vec<(&'static str, Span, bool)> {
        let number = |key, at: &Option<At<u64>>| at.as_ref().map(|at| (key, at.span, false));
        let text = |key, at: &Option<At<String>>| at.as_ref().map(|at| (key, at.span, true));
        let all = [
            number("memory_mib", &self.memory_mib),
            number("vcpus", &self.vcpus),
            text("kernel", &self.kernel),
            self.images.first().map(|image| ("images", image.span, true)),
            text("initramfs", &self.initramfs),
            text("cmdline", &self.cmdline),
            self.saves.map(|at| ("saves", at, true)),
        ];
        all.into_iter().flatten().collect()
    }
}
