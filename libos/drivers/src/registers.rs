//! Registers in memory.

use cloison_sys::memory::DeviceMemory;

/// Registers at offsets from a device's base address. Reading one can change the device.
pub trait Registers {
    /// Reads 8 bits.
    fn read8(&mut self, offset: u64) -> u8;
    /// Reads 32 bits; the offset is a multiple of 4.
    fn read32(&mut self, offset: u64) -> u32;
    /// Writes 8 bits.
    fn write8(&mut self, offset: u64, value: u8);
    /// Writes 32 bits; the offset is a multiple of 4.
    fn write32(&mut self, offset: u64, value: u32);
}

impl Registers for DeviceMemory {
    fn read8(&mut self, offset: u64) -> u8 {
        DeviceMemory::read8(self, offset)
    }

    fn read32(&mut self, offset: u64) -> u32 {
        DeviceMemory::read32(self, offset)
    }

    fn write8(&mut self, offset: u64, value: u8) {
        DeviceMemory::write8(self, offset, value);
    }

    fn write32(&mut self, offset: u64, value: u32) {
        DeviceMemory::write32(self, offset, value);
    }
}
