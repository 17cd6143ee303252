//! PCI: one function of a device, by its configuration page.
//!
//! Names and numbers are those of the PCI Express Base Specification, chapter 7. A function states where its
//! registers lie (its BARs) and what it can do (its capabilities); none of it is believed without a check.
//!
//! A driver sees only the memory that the platform file states, so the function is moved there, wherever the
//! firmware has put it.

#[cfg(any(test, feature = "simulated"))]
pub(crate) mod simulated;
#[cfg(test)]
mod tests;

use core::fmt;

use cloison_sys::InterruptMessage;

use crate::registers::{Area, Registers};

/// Length of a function's configuration page.
pub const CONFIG_BYTES: u64 = 4096;

/// Offsets in the configuration page.
mod register {
    pub(super) const VENDOR: u64 = 0x00;
    pub(super) const DEVICE: u64 = 0x02;
    pub(super) const COMMAND: u64 = 0x04;
    pub(super) const STATUS: u64 = 0x06;
    pub(super) const HEADER_TYPE: u64 = 0x0e;
    pub(super) const FIRST_BAR: u64 = 0x10;
    pub(super) const FIRST_CAPABILITY: u64 = 0x34;
}

const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_BUS_MASTER: u16 = 1 << 2;
const COMMAND_NO_LINE: u16 = 1 << 10;
const STATUS_CAPABILITIES: u16 = 1 << 4;
const HEADER_TYPE_MASK: u8 = 0x7f;
const BARS: u8 = 6;
const BAR_IS_PORTS: u32 = 1 << 0;
const BAR_WIDTH: u32 = 0b11 << 1;
const BAR_WIDTH_64: u32 = 0b10 << 1;
const BAR_FLAGS: u32 = 0xf;
/// Capabilities lie behind the header, in what every function has of its page, each in words of its own.
const CAPABILITY_START: u8 = 0x40;
const MAX_CAPABILITIES: usize = (0x100 - CAPABILITY_START as usize) / 4;

/// Capability of a vendor's own.
pub const CAPABILITY_VENDOR: u8 = 0x09;
const CAPABILITY_MSIX: u8 = 0x11;
const MSIX_CONTROL: u64 = 2;
const MSIX_TABLE: u64 = 4;
const MSIX_ENABLE: u16 = 1 << 15;
const MSIX_MASK_ALL: u16 = 1 << 14;
const MSIX_LAST_VECTOR: u16 = 0x7ff;
const MSIX_BAR: u32 = 0b111;
/// A vector in the table: address, address above 4 GiB, data, and whether it is masked.
const MSIX_VECTOR_BYTES: u64 = 16;

/// Why a function cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PciError {
    /// No function answers.
    Absent,
    /// It is a bridge, or something newer.
    NotADevice(u8),
    /// The BAR with this number is none for memory.
    NotMemory(u8),
    /// The memory behind the BAR does not fit the place that the platform file gives it.
    Misfit {
        /// The BAR's number.
        bar: u8,
        /// How long it is.
        bytes: u64,
        /// Where it has to go.
        address: u64,
        /// How much room there is.
        room: u64,
    },
    /// The BAR does not take the address.
    Stuck(u8),
    /// The table of interrupt vectors does not lie in its area.
    NoVectors,
}

impl fmt::Display for PciError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Absent => {
                write!(out, "no device is the PCI function that the platform file states")
            }
            Self::NotADevice(kind) => {
                write!(out, "the PCI function has a header of type {kind}, a device has type 0")
            }
            Self::NotMemory(bar) => write!(out, "BAR {bar} of the PCI function is no memory"),
            Self::Misfit { bar, bytes, address, room } => write!(
                out,
                "BAR {bar} has {bytes:#x} bytes, the platform file states {room:#x} at {address:#x}: \
                 state at least as many, aligned to that"
            ),
            Self::Stuck(bar) => write!(out, "BAR {bar} of the PCI function does not take an address"),
            Self::NoVectors => write!(out, "the table of interrupt vectors lies outside of its area"),
        }
    }
}

impl core::error::Error for PciError {}

/// A capability: what it is, and where it lies in the configuration page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its number in the PCI specification.
    pub id: u8,
    /// Offset of its first byte in the configuration space.
    pub at: u64,
}

/// Message-signalled interrupts of a function: MSI-X.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msix {
    capability: u64,
    /// BAR behind which the table of vectors lies.
    pub bar: u8,
    table: u64,
    vectors: u16,
}

/// One function of a PCI device.
#[derive(Debug)]
pub struct Function<R> {
    config: R,
}

impl<R: Registers> Function<R> {
    /// Takes the function that has this configuration page, and silences it: no decoding, no access to memory, no
    /// interrupt. A driver that died may have left it running.
    ///
    /// # Errors
    /// [`PciError::Absent`], [`PciError::NotADevice`].
    pub fn open(mut config: R) -> Result<Self, PciError> {
        if config.read16(register::VENDOR) == u16::MAX {
            return Err(PciError::Absent);
        }
        let kind = config.read8(register::HEADER_TYPE) & HEADER_TYPE_MASK;
        if kind != 0 {
            return Err(PciError::NotADevice(kind));
        }
        config.write16(register::COMMAND, COMMAND_NO_LINE);
        let mut function = Self { config };
        if let Some(msix) = function.msix() {
            function.config.write16(msix.capability + MSIX_CONTROL, 0);
        }
        Ok(function)
    }

    /// The numbers of vendor and device.
    pub fn identity(&mut self) -> (u16, u16) {
        (self.config.read16(register::VENDOR), self.config.read16(register::DEVICE))
    }

    /// The capabilities, in the order in which they are linked; no more than there is room for, whatever the
    /// links say.
    pub fn capabilities(&mut self) -> impl Iterator<Item = Capability> {
        let linked = self.config.read16(register::STATUS) & STATUS_CAPABILITIES != 0;
        let mut next = if linked { self.config.read8(register::FIRST_CAPABILITY) } else { 0 };
        let walk = move || {
            let at = next & !0b11;
            (at >= CAPABILITY_START).then(|| {
                let [id, link] = self.config.read16(at.into()).to_le_bytes();
                next = link;
                Capability { id, at: at.into() }
            })
        };
        core::iter::from_fn(walk).take(MAX_CAPABILITIES)
    }

    /// Reads 8 bits of the configuration page. What lies outside of it reads as ones.
    pub fn read8(&mut self, at: u64) -> u8 {
        if at < CONFIG_BYTES { self.config.read8(at) } else { u8::MAX }
    }

    /// Reads 32 bits of the configuration page, as [`Self::read8`] does.
    pub fn read32(&mut self, at: u64) -> u32 {
        if at < CONFIG_BYTES { self.config.read32(at & !0b11) } else { u32::MAX }
    }

    /// Whether a BAR is one for memory.
    pub fn is_memory(&mut self, bar: u8) -> bool {
        bar < BARS && self.config.read32(register::FIRST_BAR + 4 * u64::from(bar)) & BAR_IS_PORTS == 0
    }

    /// Moves what lies behind a BAR to the address of an area. To be done before memory is enabled: a
    /// function that decodes would answer wherever its BAR points on the way.
    ///
    /// # Errors
    /// [`PciError::NotMemory`], [`PciError::Misfit`], [`PciError::Stuck`].
    pub fn place(&mut self, bar: u8, area: &Area<R>) -> Result<(), PciError> {
        let at = register::FIRST_BAR + 4 * u64::from(bar);
        let flags = if bar < BARS { self.config.read32(at) & BAR_FLAGS } else { BAR_IS_PORTS };
        let is_wide = flags & BAR_WIDTH == BAR_WIDTH_64;
        if flags & BAR_IS_PORTS != 0 || (is_wide && bar + 1 == BARS) {
            return Err(PciError::NotMemory(bar));
        }
        let mask = self.write_bar(at, is_wide, u64::MAX);
        // The lowest bit that can be set says how long it is; none can if there is no BAR.
        let bytes = mask & mask.wrapping_neg();
        let reaches = is_wide || area.address + area.bytes <= 1 << 32;
        if bytes == 0
            || area.address == 0
            || bytes > area.bytes
            || !area.address.is_multiple_of(bytes)
            || !reaches
        {
            return Err(PciError::Misfit { bar, bytes, address: area.address, room: area.bytes });
        }
        let placed = self.write_bar(at, is_wide, area.address);
        if placed == area.address { Ok(()) } else { Err(PciError::Stuck(bar)) }
    }

    /// Writes an address into a BAR. Returns what it then holds.
    fn write_bar(&mut self, at: u64, is_wide: bool, address: u64) -> u64 {
        self.config.write32(at, address as u32);
        let low = u64::from(self.config.read32(at) & !BAR_FLAGS);
        if !is_wide {
            return low;
        }
        self.config.write32(at + 4, (address >> 32) as u32);
        low | u64::from(self.config.read32(at + 4)) << 32
    }

    /// Lets the function answer at its BARs.
    pub fn enable_memory(&mut self) {
        self.set_command(COMMAND_MEMORY);
    }

    /// Lets the function read and write memory, and signal messages, which are writes too.
    pub fn enable_bus_master(&mut self) {
        self.set_command(COMMAND_BUS_MASTER);
    }

    /// Lets the function raise its interrupt line.
    pub fn enable_line(&mut self) {
        let command = self.config.read16(register::COMMAND);
        self.config.write16(register::COMMAND, command & !COMMAND_NO_LINE);
    }

    fn set_command(&mut self, bits: u16) {
        let command = self.config.read16(register::COMMAND);
        self.config.write16(register::COMMAND, command | bits);
    }

    /// What the function says of its message-signalled interrupts, if it has any.
    pub fn msix(&mut self) -> Option<Msix> {
        let capability = self.capabilities().find(|capability| capability.id == CAPABILITY_MSIX)?.at;
        let control = self.config.read16(capability + MSIX_CONTROL);
        let table = self.read32(capability + MSIX_TABLE);
        Some(Msix {
            capability,
            bar: (table & MSIX_BAR) as u8,
            table: (table & !MSIX_BAR).into(),
            vectors: (control & MSIX_LAST_VECTOR) + 1,
        })
    }

    /// Sets the first vector to a message and lets it arrive; the others stay masked. `area` is where the
    /// table's BAR was placed.
    ///
    /// # Errors
    /// [`PciError::NoVectors`].
    pub fn enable_msix(
        &mut self,
        msix: &Msix,
        area: &mut Area<R>,
        message: InterruptMessage,
    ) -> Result<(), PciError> {
        if !area.has(msix.table, u64::from(msix.vectors) * MSIX_VECTOR_BYTES) {
            return Err(PciError::NoVectors);
        }
        let control = msix.capability + MSIX_CONTROL;
        self.config.write16(control, MSIX_ENABLE | MSIX_MASK_ALL);
        for vector in 0..u64::from(msix.vectors) {
            area.registers.write32(msix.table + vector * MSIX_VECTOR_BYTES + 12, 1);
        }
        area.registers.write32(msix.table, message.address as u32);
        area.registers.write32(msix.table + 4, (message.address >> 32) as u32);
        area.registers.write32(msix.table + 8, message.data);
        area.registers.write32(msix.table + 12, 0);
        self.config.write16(control, MSIX_ENABLE);
        Ok(())
    }
}
