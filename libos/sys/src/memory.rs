//! Memory that this domain shares with others or with devices, and I/O ports.
//!
//! The other side can change such memory at any time, so no plain reference to its bytes is ever made: shared
//! memory is read and written by atomic accesses, registers by volatile ones, each checked against the length
//! that the information page gives.
#![allow(unsafe_code, reason = "addresses from the information page become memory here, and only here")]

use core::{
    arch::asm,
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use cloison_abi::{
    info::{Area, Channel, ConfigurationPage, GuestMemory, IoRange, Party, Record},
    limits::{DOMAIN_END, INFO_ADDRESS, PAGE_BYTES},
};

use crate::info;

/// Bytes before the first aligned word, the words, and the bytes behind them.
type Parts = (&'static [AtomicU8], &'static [AtomicU64], &'static [AtomicU8]);

/// Memory shared with another domain.
#[derive(Clone, Copy, Debug)]
pub struct SharedMemory {
    address: u64,
    bytes: usize,
}

impl SharedMemory {
    /// The memory that both this domain and another party may write. The plan maps it for as long as the domain lives.
    #[must_use]
    pub fn of(party: &'static impl Party) -> Option<Self> {
        let &Channel { address, incoming_address, bytes, .. } = party.channel();
        let both_write = incoming_address == 0;
        (both_write && leads_to_memory(party, address, bytes))
            .then_some(Self { address, bytes: bytes as usize })
    }

    /// The memory that this domain's guest sees. The plan maps it, too, for as long as the domain lives.
    #[must_use]
    pub fn of_guest(memory: &'static GuestMemory) -> Option<Self> {
        let (address, bytes) = (memory.address, info::get().guest_bytes(memory));
        leads_to_memory(memory, address, bytes).then_some(Self { address, bytes: bytes as usize })
    }

    /// Memory that this domain has mapped by itself.
    ///
    /// # Safety
    /// Until the last use of this, and of the words that it gives out, the bytes have to be mapped, and nothing may
    /// refer to them but atomics.
    pub(crate) unsafe fn at_address(address: u64, bytes: usize) -> Self {
        Self { address, bytes }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Copies out what lies at `offset`. Returns false, and copies nothing, if that is out of range.
    #[must_use]
    pub fn read(&self, offset: usize, to: &mut [u8]) -> bool {
        let Some((head, words, tail)) = self.parts(offset, to.len()) else { return false };
        let (to_head, rest) = to.split_at_mut(head.len());
        let (to_words, to_tail) = rest.split_at_mut(size_of_val(words));
        let (to_words, _) = to_words.as_chunks_mut();
        to_words.iter_mut().zip(words).for_each(|(to, word)| *to = word.load(Relaxed).to_ne_bytes());
        let bytes = to_head.iter_mut().chain(to_tail).zip(head.iter().chain(tail));
        bytes.for_each(|(to, byte)| *to = byte.load(Relaxed));
        true
    }

    /// Copies `from` to `offset`. Returns false, and copies nothing, if that is out of range.
    #[must_use]
    pub fn write(&self, offset: usize, from: &[u8]) -> bool {
        let Some((head, words, tail)) = self.parts(offset, from.len()) else { return false };
        let (from_head, rest) = from.split_at(head.len());
        let (from_words, from_tail) = rest.split_at(size_of_val(words));
        let (from_words, _) = from_words.as_chunks();
        words.iter().zip(from_words).for_each(|(word, from)| word.store(u64::from_ne_bytes(*from), Relaxed));
        let bytes = head.iter().chain(tail).zip(from_head.iter().chain(from_tail));
        bytes.for_each(|(byte, from)| byte.store(*from, Relaxed));
        true
    }

    /// An aligned 32-bit word at `offset`.
    #[must_use]
    pub fn atomic_u32(&self, offset: usize) -> Option<&'static AtomicU32> {
        let address = self.at(offset, 4).filter(|address| address.is_multiple_of(4))?;
        // SAFETY: in range, aligned, mapped for as long as the domain lives, and valid for any content.
        Some(unsafe { &*(address as *const AtomicU32) })
    }

    /// An aligned 64-bit word at `offset`.
    #[must_use]
    pub fn atomic_u64(&self, offset: usize) -> Option<&'static AtomicU64> {
        let address = self.at(offset, 8).filter(|address| address.is_multiple_of(8))?;
        // SAFETY: in range, aligned, mapped for as long as the domain lives, and valid for any content.
        Some(unsafe { &*(address as *const AtomicU64) })
    }

    /// Aligned 64-bit words from `offset` on.
    #[must_use]
    pub fn words<const COUNT: usize>(&self, offset: usize) -> Option<&'static [AtomicU64; COUNT]> {
        let length = size_of::<[AtomicU64; COUNT]>();
        let address = self.at(offset, length).filter(|address| address.is_multiple_of(8))?;
        // SAFETY: in range, aligned, mapped for as long as the domain lives, and valid for any content.
        Some(unsafe { &*(address as *const [AtomicU64; COUNT]) })
    }

    /// The bytes at `offset`, as many of them as can be as aligned words: a copy is eight times quicker so.
    fn parts(&self, offset: usize, length: usize) -> Option<Parts> {
        let address = self.at(offset, length)?;
        // SAFETY: in range, mapped for as long as the domain lives, and valid for any content; atomics may be
        // shared with another address space.
        let bytes = unsafe { core::slice::from_raw_parts(address as *const AtomicU8, length) };
        // SAFETY: eight aligned bytes are a valid word for any content, and they stay atomic.
        Some(unsafe { bytes.align_to() })
    }

    fn at(&self, offset: usize, length: usize) -> Option<u64> {
        let end = offset.checked_add(length)?;
        (end <= self.bytes).then_some(self.address + offset as u64)
    }
}

/// Registers of a device.
#[derive(Clone, Copy, Debug)]
pub struct DeviceMemory {
    address: u64,
    bytes: u64,
}

/// A register outside of the device's memory; a mistake in a driver.
const OUTSIDE: &str = "register outside of the device's memory, or not aligned";

macro_rules! register_access {
    ($read:ident, $write:ident, $type:ty) => {
        /// Reads a register.
        ///
        /// # Panics
        /// If the register lies outside of the device's memory or is not aligned.
        #[must_use]
        pub fn $read(&self, offset: u64) -> $type {
            let register = self.register(offset, size_of::<$type>() as u64) as *const $type;
            // SAFETY: `register` checked that it is aligned and the device's, which the plan maps for good.
            unsafe { register.read_volatile() }
        }

        /// Writes a register.
        ///
        /// # Panics
        /// If the register lies outside of the device's memory or is not aligned.
        pub fn $write(&self, offset: u64, value: $type) {
            let register = self.register(offset, size_of::<$type>() as u64) as *mut $type;
            // SAFETY: `register` checked that it is aligned and the device's, which the plan maps for good.
            // What the device does is bounded by the kernel: without a region for it, a device cannot be told
            // to write to this domain's memory.
            unsafe { register.write_volatile(value) }
        }
    };
}

impl DeviceMemory {
    /// The registers in an area.
    #[must_use]
    pub fn of(area: &'static Area) -> Option<Self> {
        let &Area { address, bytes, .. } = area;
        leads_to_memory(area, address, bytes).then_some(Self { address, bytes })
    }

    /// The registers of a PCI function in its configuration page.
    #[must_use]
    pub fn of_page(page: &'static ConfigurationPage) -> Option<Self> {
        let (address, bytes) = (page.address, PAGE_BYTES);
        leads_to_memory(page, address, bytes).then_some(Self { address, bytes })
    }

    /// Length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    register_access!(read8, write8, u8);
    register_access!(read16, write16, u16);
    register_access!(read32, write32, u32);

    fn register(&self, offset: u64, width: u64) -> u64 {
        let inside = offset.checked_add(width).is_some_and(|end| end <= self.bytes);
        assert!(inside && offset.is_multiple_of(width), "{OUTSIDE}");
        self.address + offset
    }
}

/// A device's I/O ports.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    first: u16,
    count: u16,
}

impl Ports {
    /// The ports of a range.
    #[must_use]
    pub fn of(range: &'static IoRange) -> Self {
        Self { first: range.first, count: range.count }
    }

    /// Reads a port.
    ///
    /// # Panics
    /// If the device has no such port.
    #[must_use]
    pub fn read8(&self, offset: u16) -> u8 {
        let value;
        // SAFETY: an `in` touches no memory; a port that is not this domain's faults.
        unsafe {
            asm!("in al, dx", out("al") value, in("dx") self.port(offset), options(nostack, preserves_flags))
        };
        value
    }

    /// Writes a port.
    ///
    /// # Panics
    /// If the device has no such port.
    pub fn write8(&self, offset: u16, value: u8) {
        // SAFETY: as for `DeviceMemory`: what the device does is bounded by the kernel.
        unsafe {
            asm!("out dx, al", in("al") value, in("dx") self.port(offset), options(nostack, preserves_flags))
        };
    }

    fn port(&self, offset: u16) -> u16 {
        assert!(offset < self.count, "{OUTSIDE}");
        self.first + offset
    }
}

/// Whether a record leads to memory: it is one of the information page, which nobody can write, and the memory lies
/// where a domain's can. Records that a program makes up itself lead nowhere.
pub(crate) fn leads_to_memory(record: &'static impl Record, address: u64, bytes: u64) -> bool {
    let page = INFO_ADDRESS..INFO_ADDRESS + PAGE_BYTES;
    // On the host, tests make up records, for memory of their own.
    let is_from_page = !cfg!(cloison_target) || page.contains(&(&raw const *record as u64));
    is_from_page && is_in_domain(address, bytes)
}

/// Whether memory lies where a domain's can.
pub(crate) fn is_in_domain(address: u64, bytes: u64) -> bool {
    let end = address.checked_add(bytes);
    address != 0 && bytes != 0 && end.is_some_and(|end| end <= DOMAIN_END)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{vec, vec::Vec};

    use super::*;

    /// However a copy lies to the words of the memory: it moves exactly the bytes that it is about.
    #[test]
    fn copies_move_their_bytes_and_no_others() {
        for (offset, length) in
            (0..24).flat_map(|offset| (0..=40 - offset).map(move |length| (offset, length)))
        {
            let before: Vec<u8> = (100..140).collect();
            let backing: Vec<AtomicU64> = words(&before);
            let memory = SharedMemory { address: backing.as_ptr() as u64, bytes: before.len() };
            let sent: Vec<u8> = (0..).take(length).collect();
            assert!(memory.write(offset, &sent));
            let mut expected = before;
            expected[offset..offset + length].copy_from_slice(&sent);
            let mut all = [0; 40];
            assert!(memory.read(0, &mut all));
            assert_eq!(all, *expected, "{length} bytes at {offset}");
            let mut received = vec![0; length];
            assert!(memory.read(offset, &mut received));
            assert_eq!(received, sent, "{length} bytes at {offset}");
        }
    }

    #[test]
    fn a_copy_out_of_range_moves_nothing() {
        let backing = words(&[7; 16]);
        let memory = SharedMemory { address: backing.as_ptr() as u64, bytes: 16 };
        let mut bytes = [1; 9];
        for offset in [8, 16, 17, usize::MAX] {
            assert!(!memory.read(offset, &mut bytes) && !memory.write(offset, &[0; 9]), "at {offset}");
        }
        assert_eq!(bytes, [1; 9]);
        assert!(memory.read(7, &mut bytes) && bytes == [7; 9]);
    }

    fn words(bytes: &[u8]) -> Vec<AtomicU64> {
        bytes.as_chunks().0.iter().map(|word| AtomicU64::new(u64::from_ne_bytes(*word))).collect()
    }
}
