//! The plan as bytes: header, tables, information pages.

use cloison_abi::ABI_VERSION;
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::plan::{
    DomainEntry, FaultPolicy, LoadEntry, MappingEntry, NONE, PLAN_MAGIC, PlanHeader, PortEntry, RegionEntry,
    SYSTEM_PRINT_CENSUS, SlotEntry, Table,
};
use zerocopy::{Immutable, IntoBytes};

use super::{Place, info_page};
use crate::plan::{Part, Plan, name};
use crate::system::{Domain, DomainId, OnFault, System};

/// What every table's offset is a multiple of.
const TABLE_ALIGNMENT: usize = 8;

/// Where each part of the plan lies, from its start.
struct Offsets {
    domains: Table,
    regions: Table,
    loads: Table,
    mappings: Table,
    slots: Table,
    ports: Table,
    /// The information page of each domain.
    info: Vec<u64>,
    /// The settings of each domain.
    settings: Vec<u64>,
    end: u64,
}

impl Offsets {
    fn new(plan: &Plan) -> Self {
        let mut end = size_of::<PlanHeader>();
        let mut table = |count: usize, bytes: usize| {
            let offset = end as u32;
            end = (end + count * bytes).next_multiple_of(TABLE_ALIGNMENT);
            Table { offset, count: count as u32 }
        };
        let domains = table(plan.domains.len(), size_of::<DomainEntry>());
        let regions = table(plan.regions.len(), size_of::<RegionEntry>());
        let loads = table(load_count(plan), size_of::<LoadEntry>());
        let mappings = table(plan.mappings.len(), size_of::<MappingEntry>());
        let slots = table(plan.slots.len(), size_of::<SlotEntry>());
        let ports = table(plan.ports.len(), size_of::<PortEntry>());
        let pages = plan.domains.iter();
        let info =
            pages.map(|domain| u64::from(table(1, info_page_bytes(domain.info.len())).offset)).collect();
        let settings = plan.domains.iter();
        let settings = settings.map(|domain| u64::from(table(1, domain.settings.len()).offset)).collect();
        Self { domains, regions, loads, mappings, slots, ports, info, settings, end: end as u64 }
    }
}

fn info_page_bytes(entries: usize) -> usize {
    size_of::<cloison_abi::info::InfoHeader>() + entries * size_of::<cloison_abi::info::InfoEntry>()
}

/// One load for the information page, one for each segment that has bytes, one for settings.
fn load_count(plan: &Plan) -> usize {
    let segments = |component: usize| plan.programs[component].segments.iter();
    let with_bytes = |component| segments(component).filter(|segment| segment.image_bytes > 0).count();
    let domains = plan.domains.iter();
    let settings = domains.clone().filter(|domain| domain.layout.settings.is_some()).count();
    domains.map(|domain| 1 + with_bytes(domain.component.0)).sum::<usize>() + settings
}

/// How many bytes the plan takes.
pub(super) fn length(plan: &Plan) -> u64 {
    Offsets::new(plan).end
}

/// The plan, to lie at `plan_offset` of the image, with programs at `places`.
pub(super) fn bytes(system: &System, plan: &Plan, plan_offset: u64, places: &[Place]) -> Vec<u8> {
    let offsets = Offsets::new(plan);
    let header = PlanHeader {
        magic: PLAN_MAGIC,
        abi_version: ABI_VERSION,
        plan_bytes: offsets.end as u32,
        system: name(&system.name),
        domains: offsets.domains,
        regions: offsets.regions,
        loads: offsets.loads,
        mappings: offsets.mappings,
        slots: offsets.slots,
        ports: offsets.ports,
        flags: if system.has_census { SYSTEM_PRINT_CENSUS } else { 0 },
        ends_with: system.ends_with.map_or(NONE, index),
    };
    let domains: Vec<_> =
        system.domains().map(|(id, domain)| domain_entry(plan, id, domain, places)).collect();
    let loads = loads(plan, plan_offset, &offsets, places);
    let mut bytes = header.as_bytes().to_vec();
    append(&mut bytes, &domains);
    append(&mut bytes, &plan.regions);
    append(&mut bytes, &loads);
    append(&mut bytes, &plan.mappings);
    append(&mut bytes, &plan.slots);
    append(&mut bytes, &plan.ports);
    for (domain, planned) in system.domains.iter().zip(&plan.domains) {
        append(&mut bytes, &info_page(system, name(&domain.name), &planned.layout, &planned.info));
    }
    plan.domains.iter().for_each(|planned| append(&mut bytes, &planned.settings));
    debug_assert_eq!(bytes.len() as u64, offsets.end);
    bytes
}

fn append<T: IntoBytes + Immutable>(bytes: &mut Vec<u8>, table: &[T]) {
    bytes.extend_from_slice(table.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(TABLE_ALIGNMENT), 0);
}

fn domain_entry(plan: &Plan, id: DomainId, domain: &Domain, places: &[Place]) -> DomainEntry {
    let planned = &plan.domains[id.0];
    let place = &places[domain.component.0];
    let (on_fault, fault_handler) = match domain.on_fault {
        OnFault::Stop => (FaultPolicy::Stop, NONE),
        OnFault::Halt => (FaultPolicy::Halt, NONE),
        OnFault::Restart => (FaultPolicy::Restart, NONE),
        OnFault::Handler(handler) => (FaultPolicy::Handler, index(handler)),
    };
    DomainEntry {
        name: name(&domain.name),
        image_offset: place.offset,
        image_bytes: place.bytes,
        digest: place.digest,
        entry: plan.programs[domain.component.0].entry,
        stack: planned.layout.stack.end(),
        quota_pages: planned.quota_pages as u32,
        priority: domain.priority as u32,
        budget_us: domain.budget.budget_us as u32,
        period_us: domain.budget.period_us as u32,
        on_fault: on_fault as u32,
        fault_handler,
        fault_event: planned.fault_event.unwrap_or(NONE),
        reserved: 0,
    }
}

fn loads(plan: &Plan, plan_offset: u64, offsets: &Offsets, places: &[Place]) -> Vec<LoadEntry> {
    let mut loads = Vec::new();
    for (place, domain) in plan.domains.iter().enumerate() {
        let region = place as u32;
        let mut from_plan = |offset: u64, bytes: usize, part: &Part| {
            loads.push(LoadEntry {
                image_offset: plan_offset + offset,
                bytes: bytes as u64,
                region_offset: part.first_page * PAGE_BYTES,
                region,
                reserved: 0,
            });
        };
        from_plan(offsets.info[place], info_page_bytes(domain.info.len()), &domain.layout.info);
        if let Some(part) = &domain.layout.settings {
            from_plan(offsets.settings[place], domain.settings.len(), part);
        }
        let program = &plan.programs[domain.component.0];
        let start = places[domain.component.0].offset;
        let parts = program.segments.iter().zip(&domain.layout.segments);
        let with_bytes = parts.filter(|(segment, _)| segment.image_bytes > 0);
        loads.extend(with_bytes.map(|(segment, part)| segment.load(start, region, part.first_page)));
    }
    loads
}

fn index(id: DomainId) -> u32 {
    id.0 as u32
}
