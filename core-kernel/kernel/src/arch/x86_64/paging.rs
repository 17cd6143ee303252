//! Page tables: the kernel's own address space, and those of domains.
//!
//! The kernel's half of every address space is the same: PML4 slot 264, the direct map of physical memory,
//! for the supervisor only. A domain's tables are made of pages of its own quota; they are given back when its
//! life ends, not before.

use core::ops::Range;

use cloison_abi::{
    CallError, Rights,
    image::{ImageHeader, checksum},
    limits::{KERNEL_BASE, PAGE_BYTES},
};
use cloison_rules::memory::{FreeMemory, LARGE_PAGES, LOW_MEMORY_END, Piece, Run, without};
use x86_64::{
    PhysAddr, VirtAddr,
    structures::paging::{PageTable, PageTableFlags as Flags, page_table::PageTableEntry},
};

use super::cpu::KERNEL_STACK;

/// PML4 slots of the kernel.
const KERNEL_SLOTS: core::ops::Range<usize> = 264..272;

unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __kernel_end: u8;
}

/// Address in the direct map of a physical address.
#[inline]
pub fn direct(physical: u64) -> u64 {
    KERNEL_BASE + physical
}

/// The memory that the kernel's image takes, boot code included.
pub fn kernel_image() -> Run {
    Run::around(LOW_MEMORY_END, (&raw const __kernel_end) as u64 - KERNEL_BASE)
}

/// Addresses of the kernel's text.
pub(super) fn text() -> Range<u64> {
    (&raw const __text_start) as u64..(&raw const __text_end) as u64
}

/// Addresses of the kernel's constants.
pub(super) fn constants() -> Range<u64> {
    text().end..(&raw const __rodata_end) as u64
}

/// Copies the header of the system image that lies in these pages.
pub fn image_header(image: Run) -> ImageHeader {
    const { assert!(size_of::<ImageHeader>() <= PAGE_BYTES as usize) };
    let start = direct(image.first * PAGE_BYTES) as *const ImageHeader;
    // SAFETY: the boot loader has put the image there, at least a page of it, which is mapped; any bytes make
    // a header.
    unsafe { start.read() }
}

/// The checksum of a page of the system image, which goes on from that of the pages before it.
pub fn page_checksum(before: u64, page: u64) -> u64 {
    // SAFETY: the callers pass pages of the system image before anybody has mapped them, and the direct map, or
    // the boot tables, map them here; any bytes will do.
    let bytes = unsafe { &*(direct(page * PAGE_BYTES) as *const [u8; PAGE_BYTES as usize]) };
    checksum(before, bytes)
}

/// Fills pages with zeros.
pub fn zero_pages(first_page: u64, pages: u64) {
    let start = direct(first_page * PAGE_BYTES) as *mut u8;
    // SAFETY: the callers pass pages of memory that nobody has mapped, or those of a domain that has ended; so
    // no reference to them is in use. The direct map maps all memory.
    unsafe { start.write_bytes(0, (pages * PAGE_BYTES) as usize) };
}

/// Loads an address space.
#[inline]
pub fn load(root: u64) {
    // SAFETY: every root comes from `AddressSpace` or `build_kernel_space`: it is the aligned address of a
    // root table that maps the kernel as it is mapped now. (`Cr3::write` would check and align it on each
    // switch.)
    unsafe { core::arch::asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Pages that become page tables, taken one after the other.
#[derive(Clone, Copy, Debug)]
struct Pool {
    next: u64,
    end: u64,
}

impl Pool {
    fn take(&mut self) -> Option<u64> {
        (self.next < self.end).then(|| {
            self.next += 1;
            (self.next - 1) * PAGE_BYTES
        })
    }
}

/// The address space of a domain.
#[derive(Clone, Copy, Debug)]
pub struct AddressSpace {
    root: u64,
    pool: Pool,
}

impl AddressSpace {
    /// No address space.
    pub const NONE: Self = Self { root: 0, pool: Pool { next: 0, end: 0 } };

    /// An empty address space whose tables come from these pages, which have to be zero.
    ///
    /// # Errors
    /// [`CallError::QuotaExceeded`] if there are none.
    pub fn new(first_page: u64, pages: u64, kernel_root: u64) -> Result<Self, CallError> {
        let mut pool = Pool { next: first_page, end: first_page + pages };
        let root = pool.take().ok_or(CallError::QuotaExceeded)?;
        let kernel = table(kernel_root);
        let own = table(root);
        for slot in KERNEL_SLOTS {
            own[slot] = kernel[slot].clone();
        }
        Ok(Self { root, pool })
    }

    /// How many pages of its quota have become page tables.
    pub fn pages_used(&self) -> u64 {
        self.pool.next - self.root / PAGE_BYTES
    }

    /// Physical address of the root table.
    #[inline]
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Maps a page of memory or of a device. The caller has checked that `address` is a domain's and that the
    /// rights are never to write and to execute.
    ///
    /// # Errors
    /// [`CallError::QuotaExceeded`] if a table is needed and the quota is used up. [`CallError::Overlap`] if
    /// something is mapped there.
    pub fn map(&mut self, address: u64, page: u64, rights: Rights, device: bool) -> Result<(), CallError> {
        let mut flags = Flags::PRESENT | Flags::USER_ACCESSIBLE;
        flags.set(Flags::WRITABLE, rights.contains(Rights::WRITE));
        flags.set(Flags::NO_EXECUTE, !rights.contains(Rights::EXECUTE));
        flags.set(Flags::NO_CACHE | Flags::WRITE_THROUGH, device);
        let links = Flags::PRESENT | Flags::WRITABLE | Flags::USER_ACCESSIBLE;
        let entry =
            walk(self.root, address, 1, &mut || self.pool.take(), links).ok_or(CallError::QuotaExceeded)?;
        if !entry.is_unused() {
            return Err(CallError::Overlap);
        }
        entry.set_addr(PhysAddr::new(page * PAGE_BYTES), flags);
        Ok(())
    }

    /// Removes the page that is mapped at `address`, if there is one.
    pub fn unmap(&mut self, address: u64) {
        if let Some(entry) = walk(self.root, address, 1, &mut || None, Flags::empty()) {
            entry.set_unused();
            // Of no use if another address space is loaded, and no harm.
            x86_64::instructions::tlb::flush(VirtAddr::new_truncate(address));
        }
    }
}

/// Builds the kernel's address space and loads it. Memory, the system image (which need not be in that memory)
/// and `devices` (addresses of single pages) appear in the direct map, and nothing else does; text may be
/// executed, read-only data only read, everything else read and written. None if memory for the tables is
/// short.
pub fn build_kernel_space(free: &mut FreeMemory, memory: &[Run], image: Run, devices: &[u64]) -> Option<u64> {
    let mut take = || free.take(1).map(|page| (page * PAGE_BYTES, zero_pages(page, 1)).0);
    let root = take()?;
    let kernel = kernel_image();
    let beside = without(&[kernel, image], memory);
    for run in memory.iter().chain(&beside) {
        for piece in run.pieces(|large| large.overlaps(kernel)) {
            map_piece(root, piece, &mut take)?;
        }
    }
    for device in devices {
        let entry = walk(root, direct(*device), 1, &mut take, LINKS)?;
        entry.set_addr(PhysAddr::new(*device), DATA | Flags::NO_CACHE | Flags::WRITE_THROUGH);
    }
    load(root);
    Some(root)
}

/// Links of the kernel's own tables.
const LINKS: Flags = Flags::PRESENT.union(Flags::WRITABLE);
/// The kernel's own memory.
const DATA: Flags = Flags::PRESENT.union(Flags::WRITABLE).union(Flags::GLOBAL).union(Flags::NO_EXECUTE);

/// Maps memory with the rights of the section of the kernel's image in which it lies, if it lies in one. The
/// guard page of the stack stays out.
fn map_piece(root: u64, piece: Piece, take: &mut impl FnMut() -> Option<u64>) -> Option<()> {
    let Run { first, end } = piece.pages;
    let address = direct(first * PAGE_BYTES);
    if piece.large {
        let entry = walk(root, address, 2, take, LINKS)?;
        entry.set_addr(PhysAddr::new(first * PAGE_BYTES), DATA | Flags::HUGE_PAGE);
        return Some(());
    }
    let table = walk_to_table(root, address, 1, take, LINKS)?;
    for page in first..end {
        let address = direct(page * PAGE_BYTES);
        let flags = match address {
            _ if address == KERNEL_STACK.guard() => continue,
            _ if text().contains(&address) => DATA.difference(Flags::WRITABLE | Flags::NO_EXECUTE),
            _ if constants().contains(&address) => DATA.difference(Flags::WRITABLE),
            _ => DATA,
        };
        table[(page % LARGE_PAGES) as usize].set_addr(PhysAddr::new(page * PAGE_BYTES), flags);
    }
    Some(())
}

/// The entry for `address` in its table of `level` (1: page table, 2: page directory), as [`walk_to_table`] finds
/// it.
fn walk(
    root: u64,
    address: u64,
    level: u32,
    take: &mut impl FnMut() -> Option<u64>,
    links: Flags,
) -> Option<&'static mut PageTableEntry> {
    walk_to_table(root, address, level, take, links).map(|table| &mut table[index(address, level)])
}

/// The table of `level` with the entry for `address`. Tables that are missing on the way come from `take`, which
/// returns the physical address of a zeroed page; they are linked with `links`.
fn walk_to_table(
    root: u64,
    address: u64,
    level: u32,
    take: &mut impl FnMut() -> Option<u64>,
    links: Flags,
) -> Option<&'static mut PageTable> {
    let mut at = root;
    for upper in (level + 1..=4).rev() {
        let entry = &mut table(at)[index(address, upper)];
        if entry.is_unused() {
            entry.set_addr(PhysAddr::new(take()?), links);
        }
        assert!(!entry.flags().contains(Flags::HUGE_PAGE), "a device's registers lie among memory");
        at = entry.addr().as_u64();
    }
    Some(table(at))
}

/// Which entry of a table of `level` is for `address`.
fn index(address: u64, level: u32) -> usize {
    (address >> (3 + 9 * level) & 0x1ff) as usize
}

/// The page table at a physical address.
pub(super) fn table(physical: u64) -> &'static mut PageTable {
    // SAFETY: only `walk`, `AddressSpace` and `build_kernel_space` pass addresses, those of pages that have
    // become tables and are mapped by the direct map (or the boot tables, until it exists). The kernel runs
    // on one CPU at a time under its lock, and no two references to one table live at once: each is used
    // before the next is made, and `AddressSpace::new` uses two tables.
    unsafe { &mut *(direct(physical) as *mut PageTable) }
}
