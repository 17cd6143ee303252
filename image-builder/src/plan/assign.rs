//! Gives out slots, event bits, badges and addresses, domain after domain, grant after grant.

use cloison_abi::info::{InfoEntry, InfoKind};
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::plan::{
    INTERRUPT_ACTIVE_LOW, INTERRUPT_LEVEL, MappingEntry, NONE, PortEntry, RegionEntry, SlotEntry,
};
use cloison_abi::{Name, ObjectKind, Rights};

use super::layout::{GUARD_PAGES, Layout};
use super::program::Program;
use super::{DomainPlan, Plan, SHARED_ADDRESS, page_count, quota_pages};
use crate::manifest::Trigger;
use crate::system::{Device, Domain, DomainId, Offer, OnFault, Owned, System, Use};

/// Assigns everything. The layouts are those of the domains, in their order.
pub(super) fn assign(system: &System, programs: Vec<Program>, builder: Layout, layouts: Vec<Layout>) -> Plan {
    let mut assigner = Assigner::new(system, &layouts);
    for (id, domain) in system.domains() {
        assigner.private(id, &layouts[id.0]);
        assigner.own(id, domain);
    }
    for (id, domain) in system.domains() {
        for grant in &domain.uses {
            assigner.connect(id, grant);
        }
    }
    let fault_events: Vec<_> =
        system.domains().map(|(id, domain)| assigner.fault_handler(id, domain)).collect();
    assigner.finish(programs, builder, layouts, fault_events)
}

/// What has been given out so far.
struct Assigner<'a> {
    system: &'a System,
    domains: Vec<Next>,
    info: Vec<Vec<InfoEntry>>,
    regions: Vec<RegionEntry>,
    mappings: Vec<MappingEntry>,
    slots: Vec<SlotEntry>,
    ports: Vec<PortEntry>,
}

/// What one domain gets next.
#[derive(Clone)]
struct Next {
    slot: u32,
    event: u32,
    badge: u32,
    address: u64,
}

impl<'a> Assigner<'a> {
    /// The private regions come first, so that a domain's region has its index.
    fn new(system: &'a System, layouts: &[Layout]) -> Self {
        let first = Next { slot: 1, event: 0, badge: 0, address: SHARED_ADDRESS };
        let private =
            system.domains.iter().zip(layouts).enumerate().map(|(place, (domain, layout))| RegionEntry {
                name: name(&domain.name),
                device_address: 0,
                pages: layout.pages() as u32,
                owner: place as u32,
            });
        Self {
            system,
            domains: vec![first; system.domains.len()],
            info: vec![Vec::new(); system.domains.len()],
            regions: private.collect(),
            mappings: Vec::new(),
            slots: Vec::new(),
            ports: Vec::new(),
        }
    }

    fn private(&mut self, id: DomainId, layout: &Layout) {
        self.mappings.extend(layout.parts().map(|part| MappingEntry {
            address: part.address,
            domain: index(id),
            region: index(id),
            first_page: part.first_page as u32,
            pages: part.pages as u32,
            rights: part.rights.bits(),
            reserved: 0,
        }));
    }

    /// What a domain has without another one: devices, rights, regions.
    fn own(&mut self, id: DomainId, domain: &Domain) {
        for owned in &domain.devices {
            self.device(id, owned, self.system.device(owned.device));
        }
        for right in &domain.rights {
            self.right(id, right.0, name(right.name()));
        }
        for need in &self.system.component(domain.component).regions {
            let (local, pages) = (name(&need.local.value), need.pages.value as u32);
            let region = self.region(RegionEntry { name: local, device_address: 0, pages, owner: index(id) });
            let rights = (Rights::READ | Rights::WRITE | Rights::GRANT).bits();
            let kind = ObjectKind::Region as u32;
            let slot = self.slot(id, SlotEntry { kind, object: region, rights, ..no_slot() });
            let bytes = need.pages.value * PAGE_BYTES;
            self.tell(
                id,
                InfoEntry { name: local, kind: InfoKind::Region as u32, slot, bytes, ..no_entry() },
            );
        }
    }

    /// The right to read the log comes with an event: there is something to read.
    fn right(&mut self, id: DomainId, right: ObjectKind, local: Name) {
        let event_bit = if right == ObjectKind::LogRight { self.event(id) } else { NONE };
        let badge = if event_bit == NONE { 0 } else { event_bit };
        let slot = self.slot(id, SlotEntry { kind: right as u32, badge, ..no_slot() });
        self.tell(id, InfoEntry { name: local, kind: InfoKind::Right as u32, slot, event_bit, ..no_entry() });
    }

    fn device(&mut self, id: DomainId, owned: &Owned, device: &Device) {
        let local = InfoEntry { name: name(&owned.local), ..no_entry() };
        if let Some(memory) = &device.memory {
            let (device_address, bytes) = (memory.address.value, memory.bytes.value);
            let pages = page_count(bytes) as u32;
            // No owner: registers are not to be filled anew when the driver is.
            let region = RegionEntry { name: name(&device.name.value), device_address, pages, owner: NONE };
            let region = self.region(region);
            let address = self.map(id, region, pages);
            let kind = InfoKind::DeviceMemory as u32;
            self.tell(id, InfoEntry { kind, address, bytes, incoming_address: device_address, ..local });
        }
        if let Some(ports) = &device.ports {
            let (first, count) = (ports.first.value as u16, ports.count.value as u16);
            self.ports.push(PortEntry { domain: index(id), first, count });
            let (option, bytes) = (u32::from(first), u64::from(count));
            self.tell(id, InfoEntry { kind: InfoKind::Ports as u32, option, bytes, ..local });
        }
        if let Some(irq) = &device.irq {
            let event_bit = self.event(id);
            let level = if irq.trigger == Trigger::Level { INTERRUPT_LEVEL } else { 0 };
            let low = if irq.is_active_low { INTERRUPT_ACTIVE_LOW } else { 0 };
            let kind = ObjectKind::Interrupt as u32;
            let object = irq.line.value as u32;
            let slot =
                self.slot(id, SlotEntry { kind, object, badge: event_bit, detail: level | low, ..no_slot() });
            self.tell(id, InfoEntry { kind: InfoKind::Interrupt as u32, slot, event_bit, ..local });
        }
    }

    /// Connects a client with a gate of its server: the gate, the memory they share, the events both ways.
    fn connect(&mut self, client: DomainId, grant: &Use) {
        let server = grant.server;
        let offer = self.system.offer(grant);
        let badge = self.domains[server.0].badge;
        self.domains[server.0].badge += 1;
        let (detail, count) = self.grant_slots(server, offer);
        let kind = ObjectKind::Gate as u32;
        let gate = SlotEntry { kind, object: index(server), badge, detail, count, ..no_slot() };
        let slot = self.slot(client, gate);
        let (to_client, client_bit) = self.signal(offer.signals_client, server, client);
        let (to_server, server_bit) = self.signal(offer.signals_server, client, server);
        let [client_address, server_address] = self.share(offer, client, server);
        let common = InfoEntry {
            badge,
            option: grant.option as u32,
            bytes: offer.shared_pages * PAGE_BYTES,
            ..no_entry()
        };
        self.tell(
            client,
            InfoEntry {
                name: name(&grant.local),
                peer: name(&self.system.domain(server).name),
                kind: InfoKind::Use as u32,
                slot,
                signal_slot: to_server,
                event_bit: client_bit,
                address: client_address,
                ..common
            },
        );
        self.tell(
            server,
            InfoEntry {
                name: name(&offer.name.value),
                peer: name(&self.system.domain(client).name),
                kind: InfoKind::Client as u32,
                // The slots that this client's grants fill, if there are any.
                slot: if count == 0 { NONE } else { detail },
                signal_slot: to_client,
                event_bit: server_bit,
                address: server_address,
                ..common
            },
        );
    }

    /// Sets slots of the server aside for what a client grants: the first, and how many.
    fn grant_slots(&mut self, server: DomainId, offer: &Offer) -> (u32, u32) {
        if offer.grant_slots == 0 {
            return (0, 0);
        }
        let first = self.domains[server.0].slot;
        self.domains[server.0].slot += offer.grant_slots as u32;
        (first, offer.grant_slots as u32)
    }

    /// An event from one domain to another, if there is to be one: the slot of the sender, the bit of the
    /// receiver.
    fn signal(&mut self, is_wanted: bool, from: DomainId, to: DomainId) -> (u32, u32) {
        if !is_wanted {
            return (NONE, NONE);
        }
        let badge = self.event(to);
        let kind = ObjectKind::Event as u32;
        (self.slot(from, SlotEntry { kind, object: index(to), badge, ..no_slot() }), badge)
    }

    /// Memory that both see: where the client does, and where the server does.
    fn share(&mut self, offer: &Offer, client: DomainId, server: DomainId) -> [u64; 2] {
        let pages = offer.shared_pages as u32;
        if pages == 0 {
            return [0, 0];
        }
        let shared = RegionEntry { name: name(&offer.name.value), device_address: 0, pages, owner: NONE };
        let region = self.region(shared);
        [client, server].map(|domain| self.map(domain, region, pages))
    }

    /// Lets the handler of a domain's faults learn of them: the event bit.
    fn fault_handler(&mut self, id: DomainId, domain: &Domain) -> Option<u32> {
        let OnFault::Handler(handler) = domain.on_fault else { return None };
        let event_bit = self.event(handler);
        let rights = Rights::HANDLE_FAULT.bits();
        let kind = ObjectKind::Domain as u32;
        let slot = self.slot(handler, SlotEntry { kind, object: index(id), rights, ..no_slot() });
        let local = name(&domain.name);
        let kind = InfoKind::Domain as u32;
        self.tell(handler, InfoEntry { name: local, peer: local, kind, slot, event_bit, ..no_entry() });
        Some(event_bit)
    }

    fn finish(
        mut self,
        programs: Vec<Program>,
        builder: Layout,
        layouts: Vec<Layout>,
        fault_events: Vec<Option<u32>>,
    ) -> Plan {
        self.mappings.sort_by_key(|mapping| (mapping.domain, mapping.address));
        self.slots.sort_by_key(|slot| (slot.domain, slot.slot));
        let parts = layouts.into_iter().zip(self.info).zip(fault_events).enumerate();
        let domains = parts.map(|(place, ((layout, info), fault_event))| {
            let mine = self.mappings.iter().filter(|mapping| mapping.domain as usize == place);
            let quota_pages = quota_pages(mine.map(|mapping| (mapping.address, u64::from(mapping.pages))));
            DomainPlan {
                component: self.system.domains[place].component,
                layout,
                quota_pages,
                info,
                fault_event,
            }
        });
        Plan {
            programs,
            builder,
            domains: domains.collect(),
            regions: self.regions,
            mappings: self.mappings,
            slots: self.slots,
            ports: self.ports,
        }
    }

    fn slot(&mut self, id: DomainId, entry: SlotEntry) -> u32 {
        let slot = self.domains[id.0].slot;
        self.domains[id.0].slot += 1;
        self.slots.push(SlotEntry { domain: index(id), slot, ..entry });
        slot
    }

    fn event(&mut self, id: DomainId) -> u32 {
        let event = self.domains[id.0].event;
        self.domains[id.0].event += 1;
        event
    }

    fn region(&mut self, region: RegionEntry) -> u32 {
        self.regions.push(region);
        self.regions.len() as u32 - 1
    }

    /// Maps a whole region for reading and writing, behind a guard page.
    fn map(&mut self, id: DomainId, region: u32, pages: u32) -> u64 {
        let address = self.domains[id.0].address;
        self.domains[id.0].address += (u64::from(pages) + GUARD_PAGES) * PAGE_BYTES;
        let rights = (Rights::READ | Rights::WRITE).bits();
        let domain = index(id);
        self.mappings.push(MappingEntry {
            address,
            domain,
            region,
            first_page: 0,
            pages,
            rights,
            reserved: 0,
        });
        address
    }

    fn tell(&mut self, id: DomainId, entry: InfoEntry) {
        self.info[id.0].push(entry);
    }
}

fn no_slot() -> SlotEntry {
    SlotEntry { domain: 0, slot: 0, kind: 0, object: 0, rights: 0, badge: 0, detail: 0, count: 0 }
}

fn no_entry() -> InfoEntry {
    InfoEntry {
        name: Name::default(),
        peer: Name::default(),
        kind: 0,
        slot: NONE,
        badge: 0,
        signal_slot: NONE,
        event_bit: NONE,
        option: 0,
        address: 0,
        bytes: 0,
        incoming_address: 0,
    }
}

fn index(id: DomainId) -> u32 {
    id.0 as u32
}

/// A name that the checks have found good.
pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_default()
}
