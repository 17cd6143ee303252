//! The guests of a system, and what they take of the machine.

use std::sync::Arc;

use cloison_abi::guest::{GUEST_SPACES, GuestFrame};
use cloison_abi::limits::PAGE_BYTES;
use linux_core::boot::load::load;
use linux_core::boot::{BootError, SCRATCH_BYTES};
use linux_core::machine::Memory;
use linux_core::saved::STATE_BYTES;

use crate::manifest::{GuestFile, GuestNeed};

/// Pages in a MiB.
pub const PAGES_IN_MIB: u64 = (1 << 20) / PAGE_BYTES;

/// Pages that this many bytes take.
pub(crate) fn page_count(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_BYTES)
}
/// Pages that one page table can show.
const TABLE_ENTRIES: u64 = 512;
/// Page tables of a guest beside those below: the roots of its spaces, and what its kernel has beside its memory.
const ROOT_TABLES: u64 = 64;
/// Page tables that a space takes when it is in use, for all that is not the memory's direct view.
const TABLES_OF_SPACE: u64 = 14;
/// Bytes of the number of a page.
const NUMBER_BYTES: u64 = 8;

/// A guest.
#[derive(Debug)]
pub struct Guest {
    /// Its memory, and what it has beside it.
    pub sizes: GuestSizes,
    /// Its kernel.
    pub kernel: Option<FileId>,
    /// Other kernels with which it can be started.
    pub images: Vec<FileId>,
    /// The file with which its kernel begins.
    pub initramfs: Option<FileId>,
    /// Its kernel's command line.
    pub cmdline: String,
}

impl Guest {
    /// The kernels with which it can be started: first the one that it has unless somebody chooses another one.
    pub fn kernels(&self) -> impl Iterator<Item = FileId> + '_ {
        self.kernel.into_iter().chain(self.images.iter().copied())
    }
}

/// A file: an index into the system's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(pub(crate) usize);

/// A file that guests begin with.
#[derive(Debug)]
pub struct File {
    /// What the manifest calls it: a path, or a payload.
    pub name: String,
    /// Its bytes; `None` if it is a payload that was not fetched.
    pub bytes: Option<Arc<[u8]>>,
}

/// What a guest has, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestSizes {
    /// Its own memory.
    pub ram: u64,
    /// What it and its domain see beside that.
    pub shared: u64,
    /// What says which page stands for which; 0: nothing.
    pub numbers: u64,
    /// What begins with the frame page.
    pub frame: u64,
    /// Its page tables.
    pub tables: u64,
    /// Where it is saved; 0: nowhere.
    pub saved: u64,
}

impl GuestSizes {
    /// What a guest with this memory takes.
    #[must_use]
    pub fn new(need: &GuestNeed, memory_mib: u64, is_saved: bool) -> Self {
        let ram = memory_mib.saturating_mul(PAGES_IN_MIB);
        let shared = need.shared_pages.value;
        let numbered = NoBytes::refusing(memory_mib).shared_address() / PAGE_BYTES;
        let numbers = numbered.saturating_add(shared).saturating_mul(NUMBER_BYTES).div_ceil(PAGE_BYTES);
        // A quarter more, since not every table of the direct view is full.
        let view = ram.div_ceil(TABLE_ENTRIES).saturating_mul(5).div_ceil(4);
        // A page that says what is there, what the guest is, and what it sees.
        let saved =
            page_count(STATE_BYTES as u64).saturating_add(1).saturating_add(ram).saturating_add(shared);
        Self {
            ram,
            shared,
            numbers: if need.has_page_numbers { numbers } else { 0 },
            frame: (size_of::<GuestFrame>() as u64).div_ceil(PAGE_BYTES),
            tables: view.saturating_add(ROOT_TABLES + GUEST_SPACES as u64 * TABLES_OF_SPACE),
            saved: if is_saved { saved } else { 0 },
        }
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        let all = [self.ram, self.shared, self.numbers, self.frame, self.tables, self.saved];
        all.into_iter().fold(0, u64::saturating_add)
    }
}

impl File {
    pub(super) fn new(name: &str, file: Option<&GuestFile>) -> Self {
        Self { name: name.to_owned(), bytes: file.and_then(GuestFile::bytes).cloned() }
    }

    /// What the manager calls it.
    #[must_use]
    pub fn image_name(&self) -> &str {
        image_name(&self.name)
    }
}

/// What the manager calls a file that a manifest names so: a path without its folders, or a payload.
#[must_use]
pub fn image_name(written: &str) -> &str {
    written.rsplit('/').next().unwrap_or(written)
}

/// Unpacks a kernel as the domain does that runs the guest. Why that cannot be done, if it cannot.
pub(crate) fn unpack(memory: &mut NoBytes, kernel: &[u8], initramfs_bytes: u64) -> Option<BootError> {
    let mut window = vec![0; SCRATCH_BYTES];
    load(memory, kernel, initramfs_bytes, window.as_mut_slice().try_into().ok()?).err()
}

/// The memory that a guest needs at least with this kernel and so many bytes to begin with, in MiB; 0 if nothing could be
/// started with it.
pub(crate) fn least_mib(kernel: &[u8], initramfs_bytes: u64) -> u64 {
    match unpack(&mut NoBytes::refusing(0), kernel, initramfs_bytes) {
        Some(BootError::TooLittleMemory { needed, .. }) => needed.div_ceil(PAGES_IN_MIB),
        _ => 0,
    }
}

/// The memory of a guest that is not there yet: it is as long as it will be, and forgets whatever is written to it.
pub(crate) struct NoBytes {
    pages: u32,
    takes: bool,
}

impl NoBytes {
    /// One that nothing is too large for.
    pub(crate) const fn without_end() -> Self {
        Self { pages: u32::MAX, takes: true }
    }

    /// One of this length, which refuses to be written to.
    pub(crate) fn refusing(memory_mib: u64) -> Self {
        let pages = memory_mib.saturating_mul(PAGES_IN_MIB).try_into().unwrap_or(u32::MAX);
        Self { pages, takes: false }
    }
}

impl Memory for NoBytes {
    fn pages(&self) -> u32 {
        self.pages
    }

    fn read(&self, _: u64, _: &mut [u8]) -> Option<()> {
        None
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Option<()> {
        self.takes.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{At, Sources, Span};

    fn somewhere() -> Span {
        let source = Sources::default().add(String::new(), String::new());
        Span { source, start: 0, end: 0 }
    }

    fn sizes(memory_mib: u64, has_page_numbers: bool) -> GuestSizes {
        let at = somewhere();
        let shared_pages = At { value: 9, span: at };
        GuestSizes::new(&GuestNeed { at, is_linux: true, shared_pages, has_page_numbers }, memory_mib, false)
    }

    #[test]
    fn a_guest_takes_little_beside_its_memory() {
        let small = GuestSizes { ram: 32_768, shared: 9, numbers: 65, frame: 1, tables: 592, saved: 0 };
        assert_eq!(sizes(128, true), small);
        assert_eq!(sizes(128, false).numbers, 0);
        assert_eq!(sizes(512, true).tables, 832);
        // The shared pages have numbers of their own, behind those of the memory, from a multiple of 512 on.
        assert_eq!(sizes(1, true).numbers, (512_u64 + 9).div_ceil(512));
    }

    #[test]
    fn where_a_guest_is_saved_all_of_it_has_room() {
        let sizes = |is_saved| {
            let at = somewhere();
            let need = GuestNeed {
                at,
                is_linux: true,
                shared_pages: At { value: 9, span: at },
                has_page_numbers: true,
            };
            GuestSizes::new(&need, 16, is_saved)
        };
        let (without, with) = (sizes(false), sizes(true));
        assert_eq!(with.saved, 1 + STATE_BYTES as u64 / PAGE_BYTES + 16 * PAGES_IN_MIB + 9);
        assert_eq!((without.saved, with.total()), (0, without.total() + with.saved));
    }

    #[test]
    fn a_guest_of_any_size_has_a_size() {
        assert_eq!(sizes(u64::MAX, true).total(), u64::MAX);
    }
}
