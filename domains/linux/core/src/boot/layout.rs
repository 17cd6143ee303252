//! Which frames hold what before the first instruction. The order is that of Xen's own builder: Linux reads some of it
//! from [`StartInfo`](cloison_xen::start::StartInfo), and relies on the rest.
//!
//! The kernel comes first, then start info, xenstore's page, the console's page, the page tables, the stack, unmapped
//! from here on the initramfs, and the frame list with tables of its own.

use cloison_abi::limits::PAGE_BYTES;

/// Entries of a page table.
pub const ENTRIES: u64 = 512;
/// What is mapped beyond the stack at least: 512 KiB. Linux uses it before it has an allocator.
const SPARE: u64 = (512 << 10) / PAGE_BYTES;
/// What is mapped ends at a multiple of 4 MiB.
const MAPPED_UNIT: u64 = (4 << 20) / PAGE_BYTES;
/// What is left for Linux beside what is loaded, at least: 8 MiB. It gets to a shell with it.
const FREE: u64 = (8 << 20) / PAGE_BYTES;

/// Frames of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Start info.
    pub info: u64,
    /// Xenstore's page.
    pub store: u64,
    /// The console's page.
    pub console: u64,
    /// The page table's root; then the table of level 3, the one of level 2, and all of level 1.
    pub root: u64,
    /// Number of these tables.
    pub tables: u64,
    /// The stack, one page.
    pub stack: u64,
    /// First frame that is not mapped.
    pub mapped_end: u64,
    /// The initramfs.
    pub initramfs: u64,
    /// The frame list's tables of level 3, of level 2, and all of level 1; then the list.
    pub list_tables: u64,
    /// The frame list.
    pub list: u64,
    /// First frame after it.
    pub end: u64,
}

impl Layout {
    /// The frames of a guest whose memory has `pages`, when its kernel ends at an address.
    #[must_use]
    pub fn new(kernel_end: u64, initramfs_bytes: u64, pages: u64) -> Self {
        let info = kernel_end.div_ceil(PAGE_BYTES);
        let root = info + 3;
        let (tables, mapped_end) = tables(root);
        let stack = root + tables;
        let list_tables = mapped_end + initramfs_bytes.div_ceil(PAGE_BYTES);
        let list_pages = pages.div_ceil(ENTRIES);
        let list = list_tables + 2 + list_pages.div_ceil(ENTRIES);
        Self {
            info,
            store: info + 1,
            console: info + 2,
            root,
            tables,
            stack,
            mapped_end,
            initramfs: mapped_end,
            list_tables,
            list,
            end: list + list_pages,
        }
    }

    /// Frames that hold something.
    fn used(&self) -> u64 {
        (self.stack + 1) + (self.end - self.mapped_end)
    }
}

/// Pages of memory that a guest needs at least.
#[must_use]
pub fn floor(kernel_end: u64, initramfs_bytes: u64) -> u64 {
    let mut pages = 0;
    loop {
        // More memory has a longer frame list: one page more for 512.
        let needed = Layout::new(kernel_end, initramfs_bytes, pages).used() + FREE;
        if needed <= pages {
            return pages;
        }
        pages = needed;
    }
}

/// How many tables map all up to the stack, which follows them, and the spare room; and where that ends.
fn tables(root: u64) -> (u64, u64) {
    let mut tables = 0;
    loop {
        let mapped_end = (root + tables + 1 + SPARE).next_multiple_of(MAPPED_UNIT);
        let needed = 3 + mapped_end.div_ceil(ENTRIES);
        if needed <= tables {
            return (tables, mapped_end);
        }
        tables = needed;
    }
}
