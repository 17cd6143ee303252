//! Gives out slots, event bits, badges and addresses, domain after domain, use after use.

mod gates;
mod guest;
mod own;

use std::ops::Range;

use cloison_abi::info::Subject;
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::plan::{MappingEntry, NONE, RegionEntry, RegionSource, SupervisionEntry};
use cloison_abi::{Name, Rights};

use super::layout::{GUARD_PAGES, Layout};
use super::name::name;
use super::program::Program;
use super::settings::settings;
use super::{DomainPlan, FilePlan, Info, Plan, SHARED_ADDRESS, Tables, quota_pages};
use crate::system::{Domain, DomainId, OnFault, System};

/// Assigns everything. The layouts are those of the domains, in their order.
pub(super) fn assign(system: &System, programs: Vec<Program>, builder: Layout, layouts: Vec<Layout>) -> Plan {
    let mut assigner = Assigner::new(system, &layouts);
    for (id, domain) in system.domains() {
        assigner.private(id, &layouts[id.0]);
        assigner.own(id, domain);
        assigner.shutdown(id, domain);
    }
    for (id, domain) in system.domains() {
        for gate_use in &domain.uses {
            assigner.connect(id, gate_use);
        }
    }
    system.domains().for_each(|(id, domain)| assigner.supervision(id, domain));
    let settings: Vec<_> = system.domains().map(|(id, _)| assigner.settings(id, &layouts[id.0])).collect();
    assigner.finish(programs, builder, layouts, settings)
}

/// What has been given out so far.
struct Assigner<'a> {
    system: &'a System,
    domains: Vec<Next>,
    info: Vec<Info>,
    tables: Tables,
    files: Vec<FilePlan>,
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
        let private = system.domains().zip(layouts);
        let private = private.map(|((id, domain), layout)| RegionEntry {
            owner: index(id),
            source: own_source(domain),
            ..memory(name(&domain.name), layout.pages() as u32)
        });
        Self {
            system,
            domains: vec![first; system.domains.len()],
            info: vec![Info::default(); system.domains.len()],
            tables: Tables { regions: private.collect(), ..Tables::default() },
            files: Vec::new(),
        }
    }

    /// A domain that is started on request can be asked to end.
    fn shutdown(&mut self, id: DomainId, domain: &Domain) {
        if domain.on_request.is_some() {
            let event_bit = self.event(id);
            self.info[id.0].shutdown_event = Some(event_bit);
        }
    }

    fn private(&mut self, id: DomainId, layout: &Layout) {
        self.tables.mappings.extend(layout.parts().map(|part| MappingEntry {
            address: part.address,
            domain: index(id),
            region: index(id),
            first_page: part.first_page as u32,
            pages: part.pages as u32,
            rights: part.rights.bits(),
            reserved: 0,
        }));
    }

    /// Lets the handler of a domain's faults learn of them.
    fn supervision(&mut self, id: DomainId, domain: &Domain) {
        let OnFault::Handler(handler) = domain.on_fault else { return };
        let (slot, event_bit) = (self.slot(handler), self.event(handler));
        let entry = SupervisionEntry { domain: index(handler), slot, subject: index(id), event: event_bit };
        self.tables.supervisions.push(entry);
        self.info[handler.0].subjects.push(Subject { name: name(&domain.name), slot, event_bit });
    }

    /// What the manifest fixes for a domain, as bytes.
    fn settings(&mut self, id: DomainId, layout: &Layout) -> Vec<u8> {
        let Some(part) = layout.settings else { return Vec::new() };
        let (bytes, told) = settings(self.system, id, part.address, &self.info[id.0].clients);
        self.info[id.0].settings.extend(told);
        bytes
    }

    fn finish(
        mut self,
        programs: Vec<Program>,
        builder: Layout,
        layouts: Vec<Layout>,
        settings: Vec<Vec<u8>>,
    ) -> Plan {
        self.tables.sort();
        let parts = layouts.into_iter().zip(self.info).zip(settings).enumerate();
        let domains = parts.map(|(place, ((layout, info), settings))| {
            let mine = self.tables.mappings.iter().filter(|mapping| mapping.domain as usize == place);
            let tables = quota_pages(mine.map(|mapping| (mapping.address, u64::from(mapping.pages))));
            // One more is shown in place of memory that a monitor withdraws.
            let quota_pages = tables + u64::from(self.system.policy().is_some());
            DomainPlan {
                component: self.system.domains[place].component,
                layout,
                quota_pages,
                info,
                settings,
            }
        });
        let (domains, budget_pages) = (domains.collect(), self.system.budget_pages());
        Plan { programs, builder, domains, tables: self.tables, files: self.files, budget_pages }
    }

    /// The next slot of a domain.
    fn slot(&mut self, id: DomainId) -> u32 {
        let slot = self.domains[id.0].slot;
        self.domains[id.0].slot += 1;
        slot
    }

    /// The next event bit of a domain.
    fn event(&mut self, id: DomainId) -> u32 {
        let event = self.domains[id.0].event;
        self.domains[id.0].event += 1;
        event
    }

    fn region(&mut self, region: RegionEntry) -> u32 {
        self.tables.regions.push(region);
        self.tables.regions.len() as u32 - 1
    }

    /// Maps pages of a region, behind a guard page.
    fn map(&mut self, id: DomainId, region: u32, pages: Range<u32>, rights: Rights) -> u64 {
        let address = self.domains[id.0].address;
        self.domains[id.0].address += (pages.len() as u64 + GUARD_PAGES) * PAGE_BYTES;
        self.tables.mappings.push(MappingEntry {
            address,
            domain: index(id),
            region,
            first_page: pages.start,
            pages: pages.len() as u32,
            rights: rights.bits(),
            reserved: 0,
        });
        address
    }
}

/// A region of memory that belongs to no domain.
fn memory(name: Name, pages: u32) -> RegionEntry {
    RegionEntry { name, pages, source: RegionSource::Memory as u32, owner: NONE, reserved: 0 }
}

/// What the memory of a domain's own is made of, as a [`RegionSource`].
fn own_source(domain: &Domain) -> u32 {
    match domain.on_request {
        Some(_) => RegionSource::Budget as u32,
        None => RegionSource::Memory as u32,
    }
}

/// The first thread of a domain.
fn thread(id: DomainId) -> u32 {
    index(id)
}

fn index(id: DomainId) -> u32 {
    id.0 as u32
}
