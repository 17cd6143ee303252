//! Virtio devices on PCI, without legacy: how one is found, brought up, and given queues.
//!
//! Names, numbers and sections are those of the Virtual I/O Device (VIRTIO) specification, version 1.2.
//!
//! Written by hand and not over the published crate `virtio-drivers`: its queues refer to buffers by plain
//! Rust references while the device owns them, trust which buffer a device says it has used, compare event
//! indices in a way that breaks when they wrap around, and interrupt for each frame sent.

pub mod block;
pub mod console;
pub mod net;
mod queue;
mod transport;

use core::fmt;

use cloison_sys::{InterruptMessage, dma::DmaMemory, info, interrupt_acknowledge, memory::DeviceMemory};

use crate::{pci::PciError, registers::Area};

/// PCI vendor of every virtio device.
pub const VENDOR: u16 = 0x1af4;

/// Areas of a device's memory, in the order in which a platform file states them.
const AREA_REGISTERS: u32 = 0;
const AREA_VECTORS: u32 = 1;

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VirtioError {
    /// The domain was not given this.
    NotGiven(&'static str),
    /// It is none that PCI knows how to use.
    Pci(PciError),
    /// It is another device: its vendor and number.
    AnotherDevice(u16, u16),
    /// It lacks registers that it has to have, or they lie outside of the memory that the platform states.
    NoRegisters(&'static str),
    /// It does not come out of its reset.
    Stuck,
    /// It does not follow version 1, or does not accept the features that it offered.
    Features(u64),
    /// It has no queue of this number.
    NoQueue(u16),
    /// It does not accept the interrupt vector.
    NoVector,
    /// The memory that it shares with its driver is too small: how long it has to be.
    MemoryTooSmall(usize),
    /// It has neither message-signalled interrupts nor a line that the platform states.
    NoInterrupt,
}

impl fmt::Display for VirtioError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGiven(what) => write!(out, "this domain was given no {what}"),
            Self::Pci(error) => error.fmt(out),
            Self::AnotherDevice(vendor, device) => {
                write!(out, "the PCI function is {vendor:04x}:{device:04x}, no virtio device of this kind")
            }
            Self::NoRegisters(which) => write!(
                out,
                "the virtio device states no {which}, or outside of the memory that the platform file states"
            ),
            Self::Stuck => write!(out, "the virtio device does not come out of its reset"),
            Self::Features(offered) => {
                write!(
                    out,
                    "the virtio device offers features {offered:#x} and cannot work with what is needed"
                )
            }
            Self::NoQueue(number) => write!(out, "the virtio device has no queue {number}"),
            Self::NoVector => write!(out, "the virtio device does not accept its interrupt vector"),
            Self::MemoryTooSmall(needed) => write!(
                out,
                "the memory shared with the virtio device is too small: `dma` in domain.toml needs {needed} bytes"
            ),
            Self::NoInterrupt => write!(
                out,
                "the virtio device cannot interrupt: it has no MSI-X, and the platform file states no line"
            ),
        }
    }
}

impl core::error::Error for VirtioError {}

impl From<PciError> for VirtioError {
    fn from(error: PciError) -> Self {
        Self::Pci(error)
    }
}

/// How a device tells its driver that something has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// By this message.
    Message(InterruptMessage),
    /// By a line, which stays up until [`Transport::acknowledge_line`].
    Line,
}

/// Where a driver finds its device: what the platform states of it, and what the plan gives.
#[derive(Debug)]
pub struct Place<R> {
    /// The function's configuration page.
    pub config: R,
    /// Where the registers go.
    pub registers: Area<R>,
    /// Where the table of interrupt vectors goes, if interrupts are messages.
    pub vectors: Option<Area<R>>,
    /// The memory that the device may read and write.
    pub memory: DmaMemory,
    /// How it interrupts.
    pub interrupt: Interrupt,
}

impl Place<DeviceMemory> {
    /// Where this domain has its device, by the names that its `domain.toml` gives to device and memory.
    /// Takes the memory: a device has all of it.
    ///
    /// # Errors
    /// [`VirtioError::NotGiven`].
    pub fn find(device: &str, memory: &str) -> Result<Self, VirtioError> {
        let missing = VirtioError::NotGiven;
        let config = info::get().find::<info::ConfigurationPage>(device).and_then(DeviceMemory::of_page);
        let area = |number| info::get().find_area(device, number).and_then(Area::of);
        let interrupt = info::get().slot::<info::Interrupt>(device);
        let interrupt = interrupt.ok_or(missing("interrupt of the device"))?;
        let message = interrupt_acknowledge(interrupt).map_err(|_| missing("right to the interrupt"))?;
        let memory = info::get().find::<info::Region>(memory).ok_or(missing("memory for the device"))?;
        Ok(Self {
            config: config.ok_or(missing("configuration page of the device"))?,
            registers: area(AREA_REGISTERS).ok_or(missing("memory for the device's registers"))?,
            vectors: area(AREA_VECTORS),
            memory: DmaMemory::map(memory).map_err(|_| missing("right to memory for the device"))?,
            interrupt: message.map_or(Interrupt::Line, Interrupt::Message),
        })
    }
}
