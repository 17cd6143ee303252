//! A virtio device on PCI (section 4.1): where its registers are, and how it is brought up.

use cloison_sys::{InterruptMessage, dma::DmaMemory};

use super::{
    Interrupt, VENDOR, VirtioError,
    queue::{self, Queue},
};
use crate::{
    pci::{CAPABILITY_VENDOR, Capability, Function, Msix},
    registers::{Area, Registers},
};

/// Feature bits that are no single device's (section 6).
pub(super) mod feature {
    /// Says when to notify by positions instead of flags.
    pub(in crate::virtio) const EVENT_INDEX: u64 = 1 << 29;
    /// Follows version 1 of the specification.
    pub(in crate::virtio) const VERSION_1: u64 = 1 << 32;
    /// Reaches memory as the platform has it, by an IOMMU if there is one. What it is told are the bus's
    /// addresses in any case, so this changes nothing for a driver.
    pub(in crate::virtio) const PLATFORM_ADDRESSES: u64 = 1 << 33;
}

/// Bits of the device status (section 2.1).
pub(super) mod status {
    pub(in crate::virtio) const ACKNOWLEDGE: u8 = 1;
    pub(in crate::virtio) const DRIVER: u8 = 2;
    pub(in crate::virtio) const DRIVER_OK: u8 = 4;
    pub(in crate::virtio) const FEATURES_OK: u8 = 8;
}

/// Offsets in the common configuration (section 4.1.4.3).
pub(super) mod common {
    pub(in crate::virtio) const DEVICE_FEATURE_SELECT: u64 = 0x00;
    pub(in crate::virtio) const DEVICE_FEATURE: u64 = 0x04;
    pub(in crate::virtio) const DRIVER_FEATURE_SELECT: u64 = 0x08;
    pub(in crate::virtio) const DRIVER_FEATURE: u64 = 0x0c;
    pub(in crate::virtio) const CONFIG_VECTOR: u64 = 0x10;
    pub(in crate::virtio) const STATUS: u64 = 0x14;
    pub(in crate::virtio) const GENERATION: u64 = 0x15;
    pub(in crate::virtio) const QUEUE_SELECT: u64 = 0x16;
    pub(in crate::virtio) const QUEUE_SIZE: u64 = 0x18;
    pub(in crate::virtio) const QUEUE_VECTOR: u64 = 0x1a;
    pub(in crate::virtio) const QUEUE_ENABLE: u64 = 0x1c;
    pub(in crate::virtio) const QUEUE_NOTIFY: u64 = 0x1e;
    pub(in crate::virtio) const QUEUE_DESCRIPTORS: u64 = 0x20;
    pub(in crate::virtio) const QUEUE_AVAILABLE: u64 = 0x28;
    pub(in crate::virtio) const QUEUE_USED: u64 = 0x30;
    pub(in crate::virtio) const BYTES: u64 = 0x38;
}

/// A kind of structure (section 4.1.4): its number, how long it is at least, and what to call it.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(in crate::virtio) number: u8,
    bytes: u64,
    name: &'static str,
}

pub(super) const COMMON: Kind = Kind { number: 1, bytes: common::BYTES, name: "common configuration" };
const NOTIFY: Kind = Kind { number: 2, bytes: 2, name: "notification registers" };
const INTERRUPT: Kind = Kind { number: 3, bytes: 1, name: "interrupt status" };
const DEVICE: Kind = Kind { number: 4, bytes: 1, name: "configuration of its own" };
/// No interrupt vector, or one that the device did not accept.
const NO_VECTOR: u16 = 0xffff;
/// Looks at a register before a device counts as stuck.
const PATIENCE: u32 = 1_000_000;

/// A device that is being brought up, or is up.
#[derive(Debug)]
pub(super) struct Transport<R> {
    function: Function<R>,
    area: Area<R>,
    /// Offsets of the structures in the area.
    common: u64,
    notify: u64,
    notify_bytes: u64,
    notify_multiplier: u64,
    interrupt: u64,
    device: u64,
    device_bytes: u64,
    has_vector: bool,
}

impl<R: Registers> Transport<R> {
    /// Finds a device of one of the numbers `devices`, moves its registers to where they have to be, and
    /// resets it.
    pub(super) fn open(
        config: R,
        registers: Area<R>,
        vectors: Option<Area<R>>,
        interrupt: Interrupt,
        devices: &[u16],
    ) -> Result<Self, VirtioError> {
        let mut function = Function::open(config)?;
        let (vendor, device) = function.identity();
        if vendor != VENDOR || !devices.contains(&device) {
            return Err(VirtioError::AnotherDevice(vendor, device));
        }
        let (bar, mut transport) = Self::find_structures(function, registers)?;
        transport.function.place(bar, &transport.area)?;
        let msix = transport.function.msix().filter(|msix| msix.bar != bar);
        match (interrupt, msix, vectors) {
            (Interrupt::Message(message), Some(msix), Some(area)) => {
                transport.use_message(&msix, area, message)?;
            }
            (Interrupt::Message(_), ..) => return Err(VirtioError::NoInterrupt),
            (Interrupt::Line, ..) => transport.function.enable_line(),
        }
        transport.function.enable_memory();
        transport.reset()?;
        transport.function.enable_bus_master();
        Ok(transport)
    }

    /// Where the four structures lie: behind which BAR, which has to be one for all, and where in it.
    fn find_structures(mut function: Function<R>, area: Area<R>) -> Result<(u8, Self), VirtioError> {
        let mut missing = None;
        let mut find = |nth| match usable_structure(&mut function, &area, COMMON, None, nth) {
            None => Some(Err(missing.unwrap_or(VirtioError::NoRegisters(COMMON.name)))),
            Some(common) => match others_behind(&mut function, &area, common.bar) {
                Ok(others) => Some(Ok((common, others))),
                Err(error) => {
                    missing.get_or_insert(error);
                    None
                }
            },
        };
        let (common, [notify, interrupt, device]) =
            (0..).find_map(&mut find).unwrap_or(Err(VirtioError::NoRegisters(COMMON.name)))?;
        // The multiplier stands behind the capability of the notification registers alone.
        let notify_multiplier = function.read32(notify.capability + 16).into();
        let transport = Self {
            function,
            area,
            common: common.at,
            notify: notify.at,
            notify_bytes: notify.bytes,
            notify_multiplier,
            interrupt: interrupt.at,
            device: device.at,
            device_bytes: device.bytes,
            has_vector: false,
        };
        Ok((common.bar, transport))
    }

    fn use_message(
        &mut self,
        msix: &Msix,
        mut area: Area<R>,
        message: InterruptMessage,
    ) -> Result<(), VirtioError> {
        self.function.place(msix.bar, &area)?;
        self.function.enable_memory();
        self.function.enable_msix(msix, &mut area, message)?;
        self.has_vector = true;
        Ok(())
    }

    /// Resets the device, whatever it was doing (section 4.1.4.3.2: done when the status reads 0).
    fn reset(&mut self) -> Result<(), VirtioError> {
        self.write8(common::STATUS, 0);
        let is_reset = (0..PATIENCE).any(|_| self.read8(common::STATUS) == 0);
        if is_reset { Ok(()) } else { Err(VirtioError::Stuck) }
    }

    /// Agrees on features: the general ones, and those of `wanted` that the device offers. Returns them.
    pub(super) fn negotiate(&mut self, wanted: u64) -> Result<u64, VirtioError> {
        self.write8(common::STATUS, status::ACKNOWLEDGE);
        self.write8(common::STATUS, status::ACKNOWLEDGE | status::DRIVER);
        let offered = self.offered_features();
        let general = feature::EVENT_INDEX | feature::VERSION_1 | feature::PLATFORM_ADDRESSES;
        let agreed = offered & (wanted | general);
        for (half, bits) in [(0, agreed as u32), (1, (agreed >> 32) as u32)] {
            self.write32(common::DRIVER_FEATURE_SELECT, half);
            self.write32(common::DRIVER_FEATURE, bits);
        }
        let asked = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
        self.write8(common::STATUS, asked);
        let accepted = self.read8(common::STATUS) == asked;
        if accepted && agreed & feature::VERSION_1 != 0 {
            Ok(agreed)
        } else {
            Err(VirtioError::Features(offered))
        }
    }

    fn offered_features(&mut self) -> u64 {
        let mut half = |number| {
            self.write32(common::DEVICE_FEATURE_SELECT, number);
            u64::from(self.read32(common::DEVICE_FEATURE))
        };
        half(0) | half(1) << 32
    }

    /// Sets a queue up, in this part of the memory.
    pub(super) fn queue(
        &mut self,
        number: u16,
        memory: &DmaMemory,
        at: usize,
        features: u64,
    ) -> Result<Queue, VirtioError> {
        self.write16(common::QUEUE_SELECT, number);
        let size = Queue::usable_size(self.read16(common::QUEUE_SIZE)).ok_or(VirtioError::NoQueue(number))?;
        self.write16(common::QUEUE_SIZE, size);
        let rings = Queue::rings(memory, at).ok_or(VirtioError::MemoryTooSmall(at + queue::RING_BYTES))?;
        let [descriptors, available, used] = rings.map(|address| address.number());
        self.write64(common::QUEUE_DESCRIPTORS, descriptors);
        self.write64(common::QUEUE_AVAILABLE, available);
        self.write64(common::QUEUE_USED, used);
        self.set_vector(number)?;
        let notify = u64::from(self.read16(common::QUEUE_NOTIFY)) * self.notify_multiplier;
        if !notify.is_multiple_of(2) || notify + 2 > self.notify_bytes {
            return Err(VirtioError::NoRegisters("notification register for each queue"));
        }
        let has_event_index = features & feature::EVENT_INDEX != 0;
        let queue = Queue::new(number, memory, at, size, has_event_index, self.notify + notify);
        self.write16(common::QUEUE_ENABLE, 1);
        Ok(queue)
    }

    /// All queues share the first vector; changes of the configuration make no interrupt.
    fn set_vector(&mut self, queue: u16) -> Result<(), VirtioError> {
        if !self.has_vector {
            return Ok(());
        }
        self.write16(common::CONFIG_VECTOR, NO_VECTOR);
        self.write16(common::QUEUE_SELECT, queue);
        self.write16(common::QUEUE_VECTOR, 0);
        let accepted = self.read16(common::QUEUE_VECTOR) == 0;
        if accepted { Ok(()) } else { Err(VirtioError::NoVector) }
    }

    /// The device may begin.
    pub(super) fn go(&mut self) {
        let status = self.read8(common::STATUS);
        self.write8(common::STATUS, status | status::DRIVER_OK);
    }

    /// Tells the device that a queue has something new for it.
    pub(super) fn notify(&mut self, queue: &Queue) {
        self.area.registers.write16(queue.notify_register(), queue.number());
    }

    /// Lets the interrupt line fall, which reading the interrupt status does.
    pub(super) fn acknowledge_line(&mut self) {
        self.area.registers.read8(self.interrupt);
    }

    /// Reads the start of the device's own configuration: twice the same generation, or whatever it is after
    /// some tries.
    pub(super) fn device_config<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for _ in 0..16 {
            let generation = self.read8(common::GENERATION);
            for (at, byte) in (0..self.device_bytes).zip(&mut bytes) {
                *byte = self.area.registers.read8(self.device + at);
            }
            if self.read8(common::GENERATION) == generation {
                break;
            }
        }
        bytes
    }

    fn read8(&mut self, at: u64) -> u8 {
        self.area.registers.read8(self.common + at)
    }

    fn read16(&mut self, at: u64) -> u16 {
        self.area.registers.read16(self.common + at)
    }

    fn read32(&mut self, at: u64) -> u32 {
        self.area.registers.read32(self.common + at)
    }

    fn write8(&mut self, at: u64, value: u8) {
        self.area.registers.write8(self.common + at, value);
    }

    fn write16(&mut self, at: u64, value: u16) {
        self.area.registers.write16(self.common + at, value);
    }

    fn write32(&mut self, at: u64, value: u32) {
        self.area.registers.write32(self.common + at, value);
    }

    /// Two halves: no device has to take 64 bits at once (section 4.1.3.1).
    fn write64(&mut self, at: u64, value: u64) {
        self.write32(at, value as u32);
        self.write32(at + 4, (value >> 32) as u32);
    }
}

/// Where a structure lies: behind which BAR, from where, how long; and the capability that says so.
#[derive(Clone, Copy)]
struct Structure {
    capability: u64,
    bar: u8,
    at: u64,
    bytes: u64,
}

/// The three structures beside the common one, behind its BAR.
fn others_behind<R: Registers>(
    function: &mut Function<R>,
    area: &Area<R>,
    bar: u8,
) -> Result<[Structure; 3], VirtioError> {
    let mut find = |kind: Kind| {
        usable_structure(function, area, kind, Some(bar), 0).ok_or(VirtioError::NoRegisters(kind.name))
    };
    Ok([find(NOTIFY)?, find(INTERRUPT)?, find(DEVICE)?])
}

/// The `nth` structure of a kind that can be used. A device states several in the order of its preference, and
/// a driver takes the first that it supports (section 4.1.4.1): one that lies in memory, aligned, is as long as
/// it has to be, and fits into the area.
fn usable_structure<R: Registers>(
    function: &mut Function<R>,
    area: &Area<R>,
    kind: Kind,
    bar: Option<u8>,
    nth: usize,
) -> Option<Structure> {
    let mut left = nth;
    for place in 0.. {
        let vendors = |capability: &Capability| capability.id == CAPABILITY_VENDOR;
        let capability = function.capabilities().filter(vendors).nth(place)?.at;
        let structure = Structure {
            capability,
            bar: function.read8(capability + 4),
            at: function.read32(capability + 8).into(),
            bytes: function.read32(capability + 12).into(),
        };
        let is_meant = function.read8(capability + 3) == kind.number
            && bar.is_none_or(|bar| structure.bar == bar)
            && function.is_memory(structure.bar);
        let fits = structure.at.is_multiple_of(4)
            && structure.bytes >= kind.bytes
            && area.has(structure.at, structure.bytes);
        if is_meant && fits {
            if left == 0 {
                return Some(structure);
            }
            left -= 1;
        }
    }
    None
}
