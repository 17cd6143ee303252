//! What a domain has without another one: devices, rights, regions.

use cloison_abi::info::{InfoEntry, InfoKind};
use cloison_abi::limits::{MAX_INTERRUPT_LINES, PAGE_BYTES};
use cloison_abi::plan::{INTERRUPT_ACTIVE_LOW, INTERRUPT_LEVEL, NONE, PortEntry, RegionEntry, SlotEntry};
use cloison_abi::{Name, ObjectKind, Rights};

use super::{Assigner, index, no_slot};
use crate::manifest::{DeviceMemory, Irq, IrqLine, RegionNeed, Trigger};
use crate::plan::{name::name, page_count};
use crate::system::{Device, Domain, DomainId, Owned};

impl Assigner<'_> {
    /// Gives a domain all of it.
    pub(super) fn own(&mut self, id: DomainId, domain: &Domain) {
        for owned in &domain.devices {
            self.device(id, owned, self.system.device(owned.device));
        }
        for right in &domain.rights {
            self.right(id, right.0, name(right.name()));
        }
        for need in &self.system.component(domain.component).regions {
            self.own_region(id, need);
        }
    }

    fn own_region(&mut self, id: DomainId, need: &RegionNeed) {
        let (local, pages) = (name(&need.local.value), need.pages.value as u32);
        let region = self.region(RegionEntry { name: local, device_address: 0, pages, owner: index(id) });
        let dma = if need.is_dma { Rights::DMA } else { Rights::empty() };
        let rights = (Rights::READ | Rights::WRITE | Rights::GRANT | dma).bits();
        let kind = ObjectKind::Region as u32;
        let slot = self.slot(id, SlotEntry { kind, object: region, rights, ..no_slot() });
        let bytes = need.pages.value * PAGE_BYTES;
        self.tell(
            id,
            InfoEntry { name: local, kind: InfoKind::Region as u32, slot, bytes, ..InfoEntry::EMPTY },
        );
    }

    /// The right to read the log comes with an event: there is something to read.
    fn right(&mut self, id: DomainId, right: ObjectKind, local: Name) {
        let event_bit = if right == ObjectKind::LogRight { self.event(id) } else { NONE };
        let badge = if event_bit == NONE { 0 } else { event_bit };
        let slot = self.slot(id, SlotEntry { kind: right as u32, badge, ..no_slot() });
        self.tell(
            id,
            InfoEntry { name: local, kind: InfoKind::Right as u32, slot, event_bit, ..InfoEntry::EMPTY },
        );
    }

    fn device(&mut self, id: DomainId, owned: &Owned, device: &Device) {
        let local = InfoEntry { name: name(&owned.local), ..InfoEntry::EMPTY };
        for (area, memory) in device.memory.iter().enumerate() {
            let option = area as u32;
            self.device_memory(id, name(&device.name.value), memory, InfoEntry { option, ..local });
        }
        if let Some(ports) = &device.ports {
            let (first, count) = (ports.first.value as u16, ports.count.value as u16);
            self.ports.push(PortEntry { domain: index(id), first, count });
            let (option, bytes) = (u32::from(first), u64::from(count));
            self.tell(id, InfoEntry { kind: InfoKind::Ports as u32, option, bytes, ..local });
        }
        if let Some(irq) = &device.irq {
            self.interrupt(id, irq, local);
        }
    }

    fn device_memory(&mut self, id: DomainId, device: Name, memory: &DeviceMemory, local: InfoEntry) {
        let (device_address, bytes) = (memory.address.value, memory.bytes.value);
        let pages = page_count(bytes) as u32;
        // No owner: a restart fills the memory of a driver again, but not its device's registers.
        let region = self.region(RegionEntry { name: device, device_address, pages, owner: NONE });
        let address = self.map(id, region, 0..pages, Rights::READ | Rights::WRITE);
        let kind = InfoKind::DeviceMemory as u32;
        self.tell(id, InfoEntry { kind, address, bytes, incoming_address: device_address, ..local });
    }

    fn interrupt(&mut self, id: DomainId, irq: &Irq, local: InfoEntry) {
        let event_bit = self.event(id);
        let (object, detail) = match irq {
            Irq::Line(line) => (line.line.value as u32, line_detail(line)),
            Irq::Message => (self.message(), 0),
        };
        let kind = ObjectKind::Interrupt as u32;
        let slot = self.slot(id, SlotEntry { kind, object, badge: event_bit, detail, ..no_slot() });
        self.tell(id, InfoEntry { kind: InfoKind::Interrupt as u32, slot, event_bit, ..local });
    }

    /// The next message-signalled interrupt that nobody has.
    fn message(&mut self) -> u32 {
        self.messages += 1;
        MAX_INTERRUPT_LINES as u32 + self.messages - 1
    }
}

fn line_detail(line: &IrqLine) -> u32 {
    let level = if line.trigger == Trigger::Level { INTERRUPT_LEVEL } else { 0 };
    let low = if line.is_active_low { INTERRUPT_ACTIVE_LOW } else { 0 };
    level | low
}
