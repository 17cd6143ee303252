//! Memory that a device reads and writes by itself.
//!
//! A device can change it at any time, so no plain reference to its bytes is ever made: words are atomic,
//! and bytes are copied in and out by instructions that the compiler does not look into.
//!
//! This is also the seam for an IOMMU. A [`DeviceAddress`] is all that a device may ever be told of memory,
//! and only [`DmaMemory::device_address`] makes one, for bytes of the domain's own region. Without an IOMMU it
//! is a physical address, and nothing but the driver's honesty keeps a device to it. With one, it is whatever
//! the IOMMU translates into this region and nothing else; drivers do not change.
#![allow(unsafe_code, reason = "a region becomes memory here")]

use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use cloison_abi::{CallError, Rights, limits::PAGE_BYTES};

use crate::{info, region_info, region_map};

/// Where a domain sees the memory of its device. The plan's addresses count up from 256 MiB and have no
/// reason to come so far; if they do, the kernel refuses the mapping as an overlap. It is still in the first
/// GiB, so that up to 2 MiB cost one page table more, which is less than the plan sets aside for such things.
const DMA_ADDRESS: u64 = 0x3000_0000;

/// An access outside of the memory; a mistake in a driver.
const OUTSIDE: &str = "word outside of the device's memory, or not aligned";

/// A place in memory as a device is told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceAddress(u64);

impl DeviceAddress {
    /// What to write into the device's register or descriptor.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Memory that a device reads and writes by itself.
#[derive(Clone, Copy, Debug)]
pub struct DmaMemory {
    words: &'static [AtomicU64],
    physical_address: u64,
}

macro_rules! word_access {
    ($load:ident, $store:ident, $atomic:ty, $type:ty) => {
        /// Loads a word; what the device wrote before it is then seen too.
        ///
        /// # Panics
        /// If it lies outside of the memory or is not aligned.
        #[must_use]
        #[inline]
        pub fn $load(&self, at: usize) -> $type {
            // SAFETY: `word` has checked that it is aligned and in the memory, which stays mapped for good;
            // any bytes make a valid word.
            unsafe { &*self.word(at, size_of::<$type>()).cast::<$atomic>() }.load(Ordering::Acquire)
        }

        /// Stores a word; a device that sees it sees what was written before, too.
        ///
        /// # Panics
        /// If it lies outside of the memory or is not aligned.
        #[inline]
        pub fn $store(&self, at: usize, value: $type) {
            // SAFETY: as for loading.
            unsafe { &*self.word(at, size_of::<$type>()).cast::<$atomic>() }.store(value, Ordering::Release);
        }
    };
}

impl DmaMemory {
    /// Maps a region, of which the component has stated `dma = true`. A domain can have one
    /// such region, and map it once.
    ///
    /// # Errors
    /// [`CallError::MissingRight`] if it is none for a device; those of [`region_map`].
    pub fn map(region: &'static info::Region) -> Result<Self, CallError> {
        let slot = info::slot(region).ok_or(CallError::BadSlot)?;
        let region = region_info(slot)?;
        if !region.rights.contains(Rights::DMA) {
            return Err(CallError::MissingRight);
        }
        region_map(slot, DMA_ADDRESS, 0, region.pages, Rights::READ | Rights::WRITE)?;
        let count = (region.pages * PAGE_BYTES) as usize / size_of::<u64>();
        // SAFETY: these pages have just been mapped for reading and writing. Only this function maps anything
        // there, once, as a second mapping is refused, and nothing unmaps it. All access is atomic or opaque.
        let words = unsafe { core::slice::from_raw_parts(DMA_ADDRESS as *const AtomicU64, count) };
        Ok(Self { words, physical_address: region.physical_address })
    }

    /// Memory for a simulated device, which is told that it lies at `physical_address`.
    #[cfg(not(cloison_target))]
    #[must_use]
    pub fn simulated(words: &'static [AtomicU64], physical_address: u64) -> Self {
        Self { words, physical_address }
    }

    /// Length in bytes.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        size_of_val(self.words)
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// What to tell the device of `count` bytes from `at` on; `None` if they do not lie in the memory.
    #[must_use]
    pub fn device_address(&self, at: usize, count: usize) -> Option<DeviceAddress> {
        self.has(at, count).then(|| DeviceAddress(self.physical_address + at as u64))
    }

    word_access!(load16, store16, AtomicU16, u16);
    word_access!(load32, store32, AtomicU32, u32);
    word_access!(load64, store64, AtomicU64, u64);

    /// Copies out what lies at `at`. Returns false, and copies nothing, if that is out of range.
    #[must_use]
    #[inline]
    pub fn read(&self, at: usize, to: &mut [u8]) -> bool {
        let inside = self.has(at, to.len());
        if inside {
            // SAFETY: `has` says that the bytes lie in the memory; `to` is this domain's own. That the device
            // may write them now, `copy` does not mind.
            unsafe { cloison_mem::copy(to.as_mut_ptr(), self.start().add(at), to.len()) };
        }
        inside
    }

    /// Copies `from` to `at`. Returns false, and copies nothing, if that is out of range.
    #[must_use]
    #[inline]
    pub fn write(&self, at: usize, from: &[u8]) -> bool {
        let inside = self.has(at, from.len());
        if inside {
            // SAFETY: `has` says that the bytes lie in the memory, which is writable; nothing refers to them
            // but as atomics. That the device may read or write them now, `copy` does not mind.
            unsafe { cloison_mem::copy(self.start().add(at), from.as_ptr(), from.len()) };
        }
        inside
    }

    #[inline]
    fn has(&self, at: usize, count: usize) -> bool {
        at.checked_add(count).is_some_and(|end| end <= self.len())
    }

    #[inline]
    fn word(&self, at: usize, width: usize) -> *const u8 {
        assert!(self.has(at, width) && at.is_multiple_of(width), "{OUTSIDE}");
        self.start().wrapping_add(at)
    }

    #[inline]
    fn start(&self) -> *mut u8 {
        self.words.as_ptr().cast::<u8>().cast_mut()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{boxed::Box, vec::Vec};

    use super::*;

    fn memory() -> DmaMemory {
        let words: Vec<AtomicU64> = (0..4).map(AtomicU64::new).collect();
        DmaMemory::simulated(Box::leak(words.into_boxed_slice()), 0x7000)
    }

    #[test]
    fn words_and_bytes_are_the_same_memory() {
        let memory = memory();
        memory.store16(2, 0x0102);
        memory.store32(4, 0x0304_0506);
        assert_eq!(memory.load64(0), 0x0304_0506_0102_0000);
        assert!(memory.write(3, b"hello"));
        let mut bytes = [0; 7];
        assert!(memory.read(2, &mut bytes));
        assert_eq!(&bytes, b"\x02hello\x01");
        assert_eq!(memory.load32(16), 2);
    }

    #[test]
    fn a_device_is_told_nothing_outside() {
        let memory = memory();
        assert_eq!(memory.device_address(8, 24).map(DeviceAddress::number), Some(0x7008));
        for (at, count) in [(0, 33), (32, 1), (usize::MAX, 1), (1, usize::MAX)] {
            assert_eq!(memory.device_address(at, count), None, "{count} bytes at {at}");
        }
    }

    #[test]
    fn copies_out_of_range_move_nothing() {
        let memory = memory();
        assert!(!memory.write(30, b"abc") && !memory.read(usize::MAX, &mut [0; 2]));
        assert_eq!(memory.load64(24), 3);
        assert!(memory.write(32, b""));
    }
}
