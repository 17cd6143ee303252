//! Memory that this domain shares with others or with devices, and I/O ports.
//!
//! The other side can change such memory at any time, so no reference to its bytes is ever made: reads and
//! writes are volatile copies or atomic accesses, each checked against the length that the information page
//! gives.
#![allow(unsafe_code, reason = "addresses from the information page become memory here, and only here")]

use core::{
    arch::asm,
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64},
};

use cloison_abi::{
    info::{InfoEntry, InfoKind},
    limits::DOMAIN_END,
};

/// Memory shared with another domain.
#[derive(Clone, Copy, Debug)]
pub struct SharedMemory {
    address: u64,
    bytes: usize,
}

impl SharedMemory {
    /// The memory that an entry (a use or a client) shares with its other party. The plan maps it for as long
    /// as the domain lives.
    #[must_use]
    pub fn of(entry: &'static InfoEntry) -> Option<Self> {
        let shares = entry.kind == InfoKind::Use as u32 || entry.kind == InfoKind::Client as u32;
        (shares && plausible(entry)).then_some(Self { address: entry.address, bytes: entry.bytes as usize })
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

    /// The bytes, each of which the other side can change at any time.
    #[must_use]
    pub fn bytes(&self) -> &'static [AtomicU8] {
        // SAFETY: the plan maps these bytes, readable and writable, for as long as the domain lives; atomics
        // are valid for any content and may be shared with another address space.
        unsafe { core::slice::from_raw_parts(self.address as *const AtomicU8, self.bytes) }
    }

    /// Copies out what lies at `offset`. Returns false, and copies nothing, if that is out of range.
    #[must_use]
    pub fn read(&self, offset: usize, to: &mut [u8]) -> bool {
        let Some(source) = self.at(offset, to.len()) else { return false };
        for (index, byte) in to.iter_mut().enumerate() {
            // SAFETY: `at` checked the range; a volatile read of a byte is sound whatever the other side
            // does.
            *byte = unsafe { (source as *const u8).add(index).read_volatile() };
        }
        true
    }

    /// Copies `from` to `offset`. Returns false, and copies nothing, if that is out of range.
    #[must_use]
    pub fn write(&self, offset: usize, from: &[u8]) -> bool {
        let Some(target) = self.at(offset, from.len()) else { return false };
        for (index, byte) in from.iter().enumerate() {
            // SAFETY: `at` checked the range, and no reference to these bytes exists.
            unsafe { (target as *mut u8).add(index).write_volatile(*byte) };
        }
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
    /// The registers that an entry describes.
    #[must_use]
    pub fn of(entry: &'static InfoEntry) -> Option<Self> {
        let device = entry.kind == InfoKind::DeviceMemory as u32;
        (device && plausible(entry)).then_some(Self { address: entry.address, bytes: entry.bytes })
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
    /// The ports that an entry describes.
    #[must_use]
    pub fn of(entry: &'static InfoEntry) -> Option<Self> {
        let ports = entry.kind == InfoKind::Ports as u32;
        let first = u16::try_from(entry.option).ok()?;
        let count = u16::try_from(entry.bytes).ok()?;
        ports.then_some(Self { first, count })
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

/// Whether an entry's memory can be a domain's. The page is the builder's and is trusted; this catches
/// mistakes.
fn plausible(entry: &InfoEntry) -> bool {
    let end = entry.address.checked_add(entry.bytes);
    entry.address != 0 && entry.bytes != 0 && end.is_some_and(|end| end <= DOMAIN_END)
}
