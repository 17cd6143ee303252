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

impl Payload {
    /// Reads all that there are.
    pub(super) fn read_all(reader: &mut Reader<'_, '_>) -> Vec<Self> {
        let mut all = Vec::new();
        for purpose in [Purpose::Kernel, Purpose::Initramfs] {
            all.extend(reader.entries(purpose.key(), |name, item| Self::read(name, purpose, item)));
        }
        all
    }

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
