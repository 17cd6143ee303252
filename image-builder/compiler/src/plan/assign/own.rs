//! What a domain has without another one: devices, rights, regions, its guest.

use cloison_abi::info::{self, Channel, SETTINGS_BOOT_LOG};
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::measure::BOOT_LOG_BYTES;
use cloison_abi::plan::{
    AreaEntry, ConfigurationPageEntry, DeviceEntry, DmaEntry, ImageEntry, InterruptEntry, IoRangeEntry, NONE,
    RegionEntry, RegionSlotEntry, RegionSource, RightEntry,
};
use cloison_abi::{InterruptSource, Name, ObjectKind, Rights};

use super::{Assigner, index, memory, own_source, thread};
use crate::manifest::{BOOT_LOG, DeviceMemory, Irq, RegionNeed, Trigger};
use crate::plan::{name::name, page_count};
use crate::system::{Device, Domain, DomainId, Owned, Right};
use crate::workspace::BUILDER;

/// A device that is being given to a domain.
struct Given<'a> {
    id: DomainId,
    /// Its index in the plan.
    place: u32,
    device: &'a Device,
    /// What the domain calls it.
    local: Name,
}

impl Assigner<'_> {
    /// Gives a domain all of it.
    pub(super) fn own(&mut self, id: DomainId, domain: &Domain) {
        let first_device = self.tables.devices.len() as u32;
        for owned in &domain.devices {
            self.device(id, owned, self.system.device(owned.device));
        }
        for right in &domain.rights {
            self.right(id, right.value.0);
        }
        for need in &self.system.component(domain.component).regions {
            self.own_region((id, domain), need, first_device);
        }
        domain.guest.iter().for_each(|guest| self.guest(id, guest));
        if !domain.images.is_empty() {
            domain
                .programs()
                .for_each(|program| self.program_image(id, &self.system.component(program).name));
        }
    }

    /// A program with which a domain can be started on request.
    fn program_image(&mut self, id: DomainId, program: &str) {
        self.tables.images.push(ImageEntry { name: name(program), domain: index(id), least_pages: 0 });
    }

    /// A region that is for devices can be reached by each device of the domain, from `first_device` on. It is no other
    /// domain's later: a device could still write to it.
    fn own_region(&mut self, (id, domain): (DomainId, &Domain), need: &RegionNeed, first_device: u32) {
        let (local, pages) = (name(&need.local.value), need.pages.value as u32);
        let memory = memory(local, pages);
        let source = if need.is_dma || need.is_kept { memory.source } else { own_source(domain) };
        // A restart fills again what belongs to a domain.
        let owner = if need.is_kept { NONE } else { index(id) };
        let region = self.region(RegionEntry { owner, source, ..memory });
        let mut rights = Rights::READ | Rights::WRITE | Rights::GRANT;
        if need.is_dma {
            rights |= Rights::DMA;
            let devices = first_device..self.tables.devices.len() as u32;
            self.tables.dma.extend(devices.map(|device| DmaEntry { device, region }));
        }
        let (domain, slot, rights) = (index(id), self.slot(id), rights.bits());
        self.tables.region_slots.push(RegionSlotEntry { domain, slot, region, rights });
        let bytes = need.pages.value * PAGE_BYTES;
        self.info[id.0].regions.push(info::Region { name: local, slot, reserved: 0, bytes });
    }

    /// Some rights come with an event: there is something to be done.
    fn right(&mut self, id: DomainId, right: ObjectKind) {
        let (domain, slot) = (index(id), self.slot(id));
        let event_bit = if Right(right).has_event() { self.event(id) } else { NONE };
        self.tables.rights.push(RightEntry { domain, slot, kind: right as u32, event: event_bit });
        if right == ObjectKind::ManageRight {
            let channel = Channel { peer: name(BUILDER), event_bit, ..Channel::EMPTY };
            self.info[id.0].uses.push(info::Use {
                name: name(info::MANAGE_GATE),
                channel,
                slot,
                reserved: 0,
            });
        } else {
            self.info[id.0].rights.push(info::Right { name: name(right.name()), slot, event_bit });
        }
    }

    fn device(&mut self, id: DomainId, owned: &Owned, device: &Device) {
        let place = self.tables.devices.len() as u32;
        self.tables.devices.push(DeviceEntry {
            name: name(&device.name.value),
            domain: index(id),
            pci_function: device.pci.as_ref().map_or(NONE, |function| function.value.number().into()),
        });
        let given = Given { id, place, device, local: name(&owned.local) };
        if device.class.value == BOOT_LOG {
            self.boot_log(&given);
        }
        if device.pci.is_some() {
            self.configuration_page(&given);
        }
        for (number, memory) in (0..).zip(&device.memory) {
            self.area(&given, number, memory);
        }
        if let Some(ports) = &device.ports {
            let (first, count) = (ports.first.value as u16, ports.count.value as u16);
            self.tables.io_ranges.push(IoRangeEntry { device: place, first, count });
            self.info[id.0].io_ranges.push(info::IoRange { name: given.local, first, count, reserved: 0 });
        }
        if let Some(irq) = &device.irq {
            self.interrupt(&given, irq);
        }
    }

    fn area(&mut self, given: &Given<'_>, number: u32, memory: &DeviceMemory) {
        let (physical_address, bytes) = (memory.address.value, memory.bytes.value);
        let pages = page_count(bytes) as u32;
        let region = self.registers(given, pages, RegionSource::Device);
        let area = AreaEntry { physical_address, device: given.place, number, region, reserved: 0 };
        self.tables.areas.push(area);
        let address = self.map(given.id, region, 0..pages, Rights::READ | Rights::WRITE);
        let name = given.local;
        let told = info::Area { name, number, reserved: 0, address, bytes, physical_address };
        self.info[given.id.0].areas.push(told);
    }

    fn configuration_page(&mut self, given: &Given<'_>) {
        let region = self.registers(given, 1, RegionSource::ConfigurationPage);
        self.tables.configuration_pages.push(ConfigurationPageEntry { device: given.place, region });
        let address = self.map(given.id, region, 0..1, Rights::READ | Rights::WRITE);
        let told = info::ConfigurationPage { name: given.local, address };
        self.info[given.id.0].configuration_pages.push(told);
    }

    /// A region of a device's registers. No owner: a restart fills the memory of a driver again, but not its device's
    /// registers.
    fn registers(&mut self, given: &Given<'_>, pages: u32, source: RegionSource) -> u32 {
        let name = name(&given.device.name.value);
        self.region(RegionEntry { name, pages, source: source as u32, owner: NONE, reserved: 0 })
    }

    /// The domain sees it as it sees what its manifest fixes.
    fn boot_log(&mut self, given: &Given<'_>) {
        let pages = page_count(BOOT_LOG_BYTES) as u32;
        let source = RegionSource::BootLog as u32;
        let name_of_device = name(&given.device.name.value);
        let region = self.region(RegionEntry { source, ..memory(name_of_device, pages) });
        let address = self.map(given.id, region, 0..pages, Rights::READ);
        let name = name(SETTINGS_BOOT_LOG);
        self.info[given.id.0].settings.push(info::Settings { name, address, bytes: BOOT_LOG_BYTES });
    }

    fn interrupt(&mut self, given: &Given<'_>, irq: &Irq) {
        let (slot, event) = (self.slot(given.id), self.event(given.id));
        let (device, thread, source) = (given.place, thread(given.id), source(irq).to_bits());
        self.tables.interrupts.push(InterruptEntry { device, source, thread, slot, event });
        let told = info::Interrupt { name: given.local, slot, event_bit: event };
        self.info[given.id.0].interrupts.push(told);
    }
}

/// A device has one interrupt, so its message is its first.
fn source(irq: &Irq) -> InterruptSource {
    match irq {
        Irq::Line(line) => InterruptSource::Line {
            number: line.line.value as u8,
            is_level: line.trigger == Trigger::Level,
            is_active_low: line.is_active_low,
        },
        Irq::Message => InterruptSource::Message { number: 0 },
    }
}
