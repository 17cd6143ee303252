//! Registers, in memory and at ports.

use cloison_sys::{
    info,
    memory::{self, DeviceMemory},
};

/// Registers at offsets from a device's base address. Reading one can change the device.
pub trait Registers {
    /// Reads 8 bits.
    fn read8(&mut self, offset: u64) -> u8;
    /// Reads 16 bits; the offset is a multiple of 2.
    fn read16(&mut self, offset: u64) -> u16;
    /// Reads 32 bits; the offset is a multiple of 4.
    fn read32(&mut self, offset: u64) -> u32;
    /// Writes 8 bits.
    fn write8(&mut self, offset: u64, value: u8);
    /// Writes 16 bits; the offset is a multiple of 2.
    fn write16(&mut self, offset: u64, value: u16);
    /// Writes 32 bits; the offset is a multiple of 4.
    fn write32(&mut self, offset: u64, value: u32);
}

/// A part of a device's memory: its registers, where it lies for the bus, and its length in bytes.
#[derive(Clone, Debug)]
pub struct Area<R> {
    /// The registers in it.
    pub registers: R,
    /// Its physical address.
    pub address: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

impl Area<DeviceMemory> {
    /// The area that the information page tells of.
    #[must_use]
    pub fn of(area: &'static info::Area) -> Option<Self> {
        let registers = DeviceMemory::of(area)?;
        Some(Self { registers, address: area.physical_address, bytes: area.bytes })
    }
}

impl<R> Area<R> {
    /// Whether `bytes` from `at` on lie in it.
    #[must_use]
    pub fn has(&self, at: u64, bytes: u64) -> bool {
        at.checked_add(bytes).is_some_and(|end| end <= self.bytes)
    }
}

impl Registers for DeviceMemory {
    fn read8(&mut self, offset: u64) -> u8 {
        DeviceMemory::read8(self, offset)
    }

    fn read16(&mut self, offset: u64) -> u16 {
        DeviceMemory::read16(self, offset)
    }

    fn read32(&mut self, offset: u64) -> u32 {
        DeviceMemory::read32(self, offset)
    }

    fn write8(&mut self, offset: u64, value: u8) {
        DeviceMemory::write8(self, offset, value);
    }

    fn write16(&mut self, offset: u64, value: u16) {
        DeviceMemory::write16(self, offset, value);
    }

    fn write32(&mut self, offset: u64, value: u32) {
        DeviceMemory::write32(self, offset, value);
    }
}

/// Registers of 8 bits at ports, by their offsets from the first.
pub trait Ports {
    /// Reads a register.
    fn read8(&mut self, offset: u16) -> u8;
    /// Writes a register.
    fn write8(&mut self, offset: u16, value: u8);
}

impl Ports for memory::Ports {
    fn read8(&mut self, offset: u16) -> u8 {
        Self::read8(self, offset)
    }

    fn write8(&mut self, offset: u16, value: u8) {
        Self::write8(self, offset, value);
    }
}
