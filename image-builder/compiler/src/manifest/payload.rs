//! What guests can begin with by a name: files of Debian's packages, pinned by version and digest.

use cloison_abi::image::Digest;

use super::reader::{Item, Reader};
use crate::diagnostic::At;
use crate::digest::from_hex;

/// A payload, as the file of payloads states it.
#[derive(Debug, Clone)]
pub struct Payload {
    /// What a manifest calls it.
    pub name: At<String>,
    /// What a guest begins with of this kind.
    pub purpose: Purpose,
    /// Where it is.
    pub package: Package,
    /// How the path of the file in the package begins.
    pub file: String,
    /// What goes into an initramfs beside it.
    pub with: Vec<Extra>,
    /// Digest of what is made of it, which the guest begins with.
    pub digest: At<Digest>,
}

/// A Debian package.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: At<String>,
    /// Its version.
    pub version: String,
    /// The folder of the archive that it is in.
    pub archive: String,
    /// Its digest.
    pub digest: Digest,
}

/// Files of one more package.
#[derive(Debug, Clone)]
pub struct Extra {
    /// Where they are.
    pub package: Package,
    /// Their paths in the initramfs, each with how the path in the package ends.
    pub files: Vec<(At<String>, String)>,
}

/// A Debian, as the file of payloads describes it: what a disk begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debian {
    /// What a manifest calls it.
    pub name: String,
    /// Its release.
    pub release: String,
    /// Where packages come from, each as apt wants it.
    pub archives: Vec<String>,
    /// Packages beside those that every Debian has.
    pub packages: Vec<String>,
    /// Size of the disk.
    pub mib: u64,
}

/// All that is in the file of payloads.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// Files that guests begin with.
    pub files: Vec<Payload>,
    /// What disks begin with.
    pub disks: Vec<Debian>,
}

/// For what a guest needs a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be its kernel.
    Kernel,
    /// To be what its kernel begins with.
    Initramfs,
}

impl Purpose {
    /// The key of a domain's table.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Initramfs => "initramfs",
        }
    }
}

impl Listed {
    pub(super) fn read(reader: &mut Reader<'_, '_>) -> Self {
        let mut files = Vec::new();
        for purpose in [Purpose::Kernel, Purpose::Initramfs] {
            files.extend(reader.entries(purpose.key(), |name, item| Payload::read(name, purpose, item)));
        }
        let disks =
            reader.entries("disk", |name, item| item.table(|table| Debian::read(name.value, table))?);
        Self { files, disks }
    }
}

impl Payload {
    fn read(name: At<String>, purpose: Purpose, item: Item<'_, '_, '_>) -> Option<Self> {
        item.table(|table| {
            let package = Package::read(table);
            let with = match purpose {
                Purpose::Kernel => Vec::new(),
                Purpose::Initramfs => table.tables("with", Extra::read),
            };
            let file = table.required_text("file");
            let digest = digest(table, "sha256");
            Some(Self { name, purpose, package: package?, file: file?.value, with, digest: digest? })
        })?
    }
}

impl Debian {
    fn read(name: String, table: &mut Reader<'_, '_>) -> Option<Self> {
        let release = table.required_text("release");
        let values = |texts: Vec<At<String>>| texts.into_iter().map(|text| text.value).collect();
        let archives = values(table.texts("archives"));
        let packages = values(table.texts("packages"));
        let mib = table.required_number("mib");
        Some(Self { name, release: release?.value, archives, packages, mib: mib?.value })
    }
}

impl Extra {
    fn read(table: &mut Reader<'_, '_>) -> Option<Self> {
        let package = Package::read(table);
        let files = table.entries("files", |path, file| Some((path, file.text()?.value)));
        Some(Self { package: package?, files })
    }
}

impl Package {
    fn read(table: &mut Reader<'_, '_>) -> Option<Self> {
        let name = table.required_text("package");
        let version = table.required_text("version");
        let archive = table.required_text("archive");
        let digest = digest(table, "package_sha256");
        Some(Self { name: name?, version: version?.value, archive: archive?.value, digest: digest?.value })
    }
}

fn digest(table: &mut Reader<'_, '_>, key: &'static str) -> Option<At<Digest>> {
    let text = table.required_text(key)?;
    let digest = from_hex(&text.value);
    if digest.is_none() {
        table.refuse(
            key,
            text.span,
            "a SHA-256: 64 digits from 0 to f",
            format!("the text {:?}", text.value),
        );
    }
    Some(At { value: digest?, span: text.span })
}
