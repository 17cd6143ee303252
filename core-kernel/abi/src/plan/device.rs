//! Devices: each is one object, given to one domain as a whole.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Name;

/// A device that a domain drives.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct DeviceEntry {
    /// What the platform calls it.
    pub name: Name,
    /// The domain that it is given to.
    pub domain: u32,
    /// The number of its [`PciFunction`](crate::PciFunction), or [`NONE`](super::NONE) if it is not on that bus.
    pub pci_function: u32,
}

/// An area of a device's registers in memory. Its region's pages are as many as it has.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct AreaEntry {
    /// Physical address of the first register, aligned to a page.
    pub physical_address: u64,
    /// The device.
    pub device: u32,
    /// Which of the device's areas it is, counted from 0.
    pub number: u32,
    /// The region whose source it is.
    pub region: u32,
    /// Zero.
    pub reserved: u32,
}

/// The page of a device's PCI function in PCI's configuration space. Where that lies, only the machine's firmware knows,
/// so it is found at boot.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ConfigurationPageEntry {
    /// The device, which is on that bus.
    pub device: u32,
    /// The region whose source it is.
    pub region: u32,
}

/// A range of a device's I/O ports.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct IoRangeEntry {
    /// The device.
    pub device: u32,
    /// The first port.
    pub first: u16,
    /// How many.
    pub count: u16,
}

/// An interrupt of a device.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct InterruptEntry {
    /// The device.
    pub device: u32,
    /// How it reaches the CPU: an [`InterruptSource`](crate::InterruptSource), as bits.
    pub source: u32,
    /// The thread that it reaches, one of the device's domain.
    pub thread: u32,
    /// The slot by which that domain acknowledges it.
    pub slot: u32,
    /// The event bit of the thread that it sets.
    pub event: u32,
}

/// Memory that a device may read and write by itself.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct DmaEntry {
    /// The device.
    pub device: u32,
    /// The region, which belongs to the device's domain.
    pub region: u32,
}
