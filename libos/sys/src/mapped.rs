//! Memory that a domain maps by itself: a region of its own, or one that a client has granted.
#![allow(unsafe_code, reason = "memory that was mapped by call becomes bytes to read and write")]

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use cloison_abi::{CallError, Rights, limits::PAGE_BYTES};

use crate::{Slot, memory::SharedMemory, region_info, region_map, region_unmap};

/// Where such regions are seen: behind the place for a device's memory ([`crate::dma`]). Its pages share one page
/// table, which is among those that the plan sets aside.
const WINDOW_ADDRESS: u64 = 0x3020_0000;
/// How many pages can be mapped at a time: 2 MiB.
const WINDOW_PAGES: usize = 512;

static WINDOW: Window = Window([const { AtomicBool::new(false) }; WINDOW_PAGES]);

/// A region that this domain sees, until this is dropped.
///
/// Other domains may write the same memory at any time, so it is read and written by copies and by atomics.
///
/// A loan that its owner takes back is gone at once: the next access is a fault of this domain. A program that
/// must not fault borrows from clients that it trusts, or copies what it needs and drops this at once, and has
/// `on_fault = "restart"` for the rest.
///
/// Nothing that refers to the memory outlives this:
///
/// ```compile_fail,E0505
/// fn keep(region: cloison_sys::mapped::MappedRegion) -> bool {
///     let word = region.atomic_u32(0);
///     drop(region);
///     word.is_some()
/// }
/// ```
#[derive(Debug)]
pub struct MappedRegion {
    memory: SharedMemory,
    first: usize,
    pages: usize,
    is_writable: bool,
}

impl MappedRegion {
    /// Maps a region for reading.
    ///
    /// # Errors
    /// [`CallError::QuotaExceeded`] if 2 MiB are mapped already, or what is left is in pieces that are too small; the
    /// errors of [`region_map`].
    pub fn read_only(region: Slot) -> Result<Self, CallError> {
        Self::new(region, Rights::READ)
    }

    /// Maps a region for reading and writing.
    ///
    /// # Errors
    /// As [`read_only`](Self::read_only); [`CallError::MissingRight`] if the region was granted for reading only.
    pub fn writable(region: Slot) -> Result<Self, CallError> {
        Self::new(region, Rights::READ | Rights::WRITE)
    }

    fn new(region: Slot, rights: Rights) -> Result<Self, CallError> {
        let pages = usize::try_from(region_info(region)?.pages).map_err(|_| CallError::QuotaExceeded)?;
        let first = WINDOW.take(pages).ok_or(CallError::QuotaExceeded)?;
        let address = WINDOW_ADDRESS + first as u64 * PAGE_BYTES;
        if let Err(error) = region_map(region, address, 0, pages as u64, rights) {
            WINDOW.give_back(first, pages);
            return Err(error);
        }
        // SAFETY: these pages have just been mapped. They are unmapped only by `drop`, or taken by the region's owner,
        // which makes each access a fault; nothing else is mapped in their place before `drop` gives them back.
        let memory = unsafe { SharedMemory::at_address(address, pages * PAGE_BYTES as usize) };
        Ok(Self { memory, first, pages, is_writable: rights.contains(Rights::WRITE) })
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Whether it has no bytes; a region has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }

    /// Where it is seen in this domain.
    #[must_use]
    pub fn address(&self) -> u64 {
        WINDOW_ADDRESS + self.first as u64 * PAGE_BYTES
    }

    /// Copies out what lies at `offset`. Returns false, and copies nothing, if that is out of range.
    #[must_use]
    pub fn read(&self, offset: usize, to: &mut [u8]) -> bool {
        self.memory.read(offset, to)
    }

    /// Copies `from` to `offset`. Returns false, and copies nothing, if that is out of range or the region is mapped
    /// for reading only.
    #[must_use]
    pub fn write(&self, offset: usize, from: &[u8]) -> bool {
        self.is_writable && self.memory.write(offset, from)
    }

    /// An aligned 32-bit word at `offset`, of a region that is mapped for writing.
    #[must_use]
    pub fn atomic_u32(&self, offset: usize) -> Option<&AtomicU32> {
        self.is_writable.then(|| self.memory.atomic_u32(offset)).flatten()
    }

    /// An aligned 64-bit word at `offset`, of a region that is mapped for writing.
    #[must_use]
    pub fn atomic_u64(&self, offset: usize) -> Option<&AtomicU64> {
        self.is_writable.then(|| self.memory.atomic_u64(offset)).flatten()
    }
}

impl Drop for MappedRegion {
    fn drop(&mut self) {
        // SAFETY: whatever refers to the memory borrows `self`. An error says that the owner has taken the region back.
        let _ = unsafe { region_unmap(self.address()) };
        WINDOW.give_back(self.first, self.pages);
    }
}

/// Whether nothing is mapped at the page at `address`: the first page of `region` is mapped there, and unmapped.
///
/// # Errors
/// The errors of [`region_map`] that do not tell whether something is mapped there.
pub fn is_free(region: Slot, address: u64) -> Result<bool, CallError> {
    match region_map(region, address, 0, 1, Rights::READ) {
        // SAFETY: it has just been mapped, and nothing refers to it.
        Ok(()) => unsafe { region_unmap(address) }.map(|()| true),
        Err(CallError::Overlap) => Ok(false),
        // There was room in the address space, but none for another page table.
        Err(CallError::QuotaExceeded) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Which pages of the window a [`MappedRegion`] has. The kernel alone cannot tell: when a loan is taken back it sees
/// its pages as free, while the program still refers to them.
struct Window([AtomicBool; WINDOW_PAGES]);

impl Window {
    /// The first of `pages` pages in a row, which are taken now.
    fn take(&self, pages: usize) -> Option<usize> {
        let mut first = 0;
        for place in 0..WINDOW_PAGES {
            if self.0[place].load(Relaxed) {
                first = place + 1;
            } else if place + 1 - first == pages {
                self.mark(first, pages, true);
                return Some(first);
            }
        }
        None
    }

    fn give_back(&self, first: usize, pages: usize) {
        self.mark(first, pages, false);
    }

    fn mark(&self, first: usize, pages: usize, is_taken: bool) {
        self.0.iter().skip(first).take(pages).for_each(|page| page.store(is_taken, Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_are_taken_are_not_given_out_twice() {
        let window = Window([const { AtomicBool::new(false) }; WINDOW_PAGES]);
        assert_eq!(window.take(WINDOW_PAGES + 1), None);
        assert_eq!(window.take(0), None, "a region has pages");
        assert_eq!([window.take(2), window.take(3), window.take(1)], [Some(0), Some(2), Some(5)]);
        window.give_back(2, 3);
        assert_eq!(window.take(4), Some(6), "the gap has three pages");
        assert_eq!([window.take(3), window.take(WINDOW_PAGES - 10)], [Some(2), Some(10)]);
        assert_eq!(window.take(1), None);
        window.give_back(WINDOW_PAGES - 1, 1);
        assert_eq!(window.take(1), Some(WINDOW_PAGES - 1));
    }
}
