//! Physical memory by its address in the direct map: page tables, and pages to be zeroed.

use cloison_abi::limits::{KERNEL_BASE, PAGE_BYTES};
use cloison_rules::{Frame, memory::Run};
use x86_64::{VirtAddr, instructions::tlb, registers::control::Cr3};

/// Address in the direct map of a physical address.
#[inline]
pub(in crate::arch) fn direct(physical: u64) -> u64 {
    KERNEL_BASE + physical
}

/// Fills pages with zeros.
///
/// # Safety
/// These are pages of memory, in which nothing of the kernel is.
pub(in crate::arch) unsafe fn zero(run: Run) {
    let start = direct(run.first.address()) as *mut u8;
    // SAFETY: so says the caller, and the direct map maps all memory.
    unsafe { start.write_bytes(0, (run.pages() * PAGE_BYTES) as usize) };
}

/// A word of a page.
///
/// # Safety
/// This is a page of memory, in which nothing of the kernel is but what is read so. `index` is below 512.
pub(in crate::arch) unsafe fn load_word(page: Frame, index: usize) -> u64 {
    let word = (direct(page.address()) + 8 * index as u64) as *const u64;
    // SAFETY: so says the caller, and the direct map maps all memory. A domain may write to it at any time.
    unsafe { word.read_volatile() }
}

/// Changes a word of a page.
///
/// # Safety
/// As for [`load_word`].
pub(in crate::arch) unsafe fn store_word(page: Frame, index: usize, value: u64) {
    let word = (direct(page.address()) + 8 * index as u64) as *mut u64;
    // SAFETY: as for `load_word`.
    unsafe { word.write_volatile(value) };
}

/// Copies words of a page, from the one with this index on. A domain may write to them at any time, so the compiler does
/// not see the page: what it finds in `to` stays as it is.
///
/// # Safety
/// As for [`load_word`], for all of them; `to` is good for as many.
#[inline(always)]
pub(in crate::arch) unsafe fn copy_from_page<const WORDS: usize>(page: Frame, index: usize, to: *mut u64) {
    // SAFETY: so says the caller.
    unsafe { copy::<WORDS>((direct(page.address()) + 8 * index as u64) as *const u64, to) };
}

/// Copies words to a page likewise.
///
/// # Safety
/// As for [`copy_from_page`].
#[inline(always)]
pub(in crate::arch) unsafe fn copy_to_page<const WORDS: usize>(from: *const u64, page: Frame, index: usize) {
    // SAFETY: so says the caller.
    unsafe { copy::<WORDS>(from, (direct(page.address()) + 8 * index as u64) as *mut u64) };
}

/// Copies words, two at a time. The kernel can use vector registers as it likes.
#[inline(always)]
unsafe fn copy<const WORDS: usize>(from: *const u64, to: *mut u64) {
    const { assert!(WORDS.is_multiple_of(2)) };
    // SAFETY: so says the caller; nothing else is touched.
    unsafe {
        core::arch::asm!(
            ".set at, 0",
            ".rept {pairs}",
            "movups {word}, [{from} + at]",
            "movups [{to} + at], {word}",
            ".set at, at + 16",
            ".endr",
            pairs = const WORDS / 2,
            from = in(reg) from,
            to = in(reg) to,
            word = out(xmm_reg) _,
            options(nostack, preserves_flags),
        );
    }
}

/// An entry of a page table.
#[derive(Clone, Copy)]
pub(in crate::arch) struct Entry(*mut u64);

impl Entry {
    /// # Safety
    /// This is a page table in memory, and it is one for as long as the entry is used. Nobody else changes it. `index`
    /// is below 512.
    pub(in crate::arch) unsafe fn of(table: Frame, index: usize) -> Self {
        Self((direct(table.address()) + 8 * index as u64) as *mut u64)
    }

    /// The entry at this distance in the same table.
    ///
    /// # Safety
    /// There is one.
    pub(super) unsafe fn after(self, entries: u64) -> Self {
        Self((self.0 as u64 + 8 * entries) as *mut u64)
    }

    /// What it says.
    pub(in crate::arch) fn get(self) -> u64 {
        // SAFETY: it is an entry of a page table, which the direct map maps (or the boot tables, until that exists).
        unsafe { self.0.read_volatile() }
    }

    /// Changes it.
    pub(in crate::arch) fn set(self, entry: u64) {
        // SAFETY: as for `get`. The CPU may read it at the same time, so it is written as a whole.
        unsafe { self.0.write_volatile(entry) };
    }
}

/// Lets the CPU forget what it knows of an address.
pub(in crate::arch) fn flush(address: u64) {
    tlb::flush(VirtAddr::new_truncate(address));
}

/// Whether the CPU uses this root table.
pub(in crate::arch) fn is_loaded(root: Frame) -> bool {
    Cr3::read_raw().0.start_address().as_u64() == root.address()
}

/// Loads an address space.
///
/// # Safety
/// `root` is the address of a root table that maps the kernel as it is mapped now, for as long as it is loaded.
#[inline]
pub(super) unsafe fn load(root: u64) {
    // SAFETY: so says the caller. (`Cr3::write` would check and align the address on each switch.)
    unsafe { core::arch::asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}
