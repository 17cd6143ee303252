//! The plan as bytes: header, information pages and settings, tables.

use std::ops::Range;

use cloison_abi::ABI_VERSION;
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::plan::{
    DomainEntry, FaultPolicy, FileEntry, LoadEntry, NONE, PLAN_MAGIC, PlanHeader, ProgramEntry,
    SYSTEM_PRINT_CENSUS, StartPolicy, Table, ThreadEntry,
};
use zerocopy::{Immutable, IntoBytes};

use super::{Place, info_page};
use crate::plan::{DomainPlan, Part, Plan, name};
use crate::system::{ComponentId, Domain, DomainId, OnFault, System};

/// What every table's offset is a multiple of.
const TABLE_ALIGNMENT: usize = 8;

/// The plan, to lie at `plan_offset` of the image, with programs at `places`, these files, and the policy at `policy`.
pub(super) fn bytes(
    system: &System,
    plan: &Plan,
    plan_offset: u64,
    places: &[Place],
    files: &[FileEntry],
    policy: Range<u64>,
) -> Vec<u8> {
    let mut out = Writer(vec![0; size_of::<PlanHeader>()]);
    let mut loads = Vec::new();
    for (id, domain) in system.domains() {
        loads.extend(out.loads(system, plan, plan_offset, (id, domain)));
        for program in programs(plan, id, domain) {
            loads.extend(program_loads(plan, id, program, places));
        }
    }
    let domains: Vec<_> =
        system.domains().map(|(id, domain)| domain_entry(system, plan, (id, domain), places)).collect();
    let threads: Vec<_> = system.domains().map(|(id, domain)| thread_entry(plan, id, domain)).collect();
    let others = system.domains().flat_map(|(id, domain)| other_programs(plan, id, domain, places));
    let others: Vec<_> = others.collect();
    let tables = &plan.tables;
    let header = PlanHeader {
        magic: PLAN_MAGIC,
        abi_version: ABI_VERSION,
        plan_bytes: 0,
        system: name(&system.name),
        domains: out.table(&domains),
        threads: out.table(&threads),
        regions: out.table(&tables.regions),
        loads: out.table(&loads),
        mappings: out.table(&tables.mappings),
        devices: out.table(&tables.devices),
        areas: out.table(&tables.areas),
        configuration_pages: out.table(&tables.configuration_pages),
        io_ranges: out.table(&tables.io_ranges),
        interrupts: out.table(&tables.interrupts),
        dma: out.table(&tables.dma),
        gates: out.table(&tables.gates),
        events: out.table(&tables.events),
        region_slots: out.table(&tables.region_slots),
        supervisions: out.table(&tables.supervisions),
        rights: out.table(&tables.rights),
        guests: out.table(&tables.guests),
        files: out.table(files),
        images: out.table(&tables.images),
        programs: out.table(&others),
        flags: if system.has_census { SYSTEM_PRINT_CENSUS } else { 0 },
        ends_with: system.ends_with.map_or(NONE, index),
        budget_pages: plan.budget_pages as u32,
        reserved: 0,
        policy_offset: policy.start as u32,
        policy_bytes: (policy.end - policy.start) as u32,
    };
    out.finish(header)
}

/// The plan as far as it is written.
struct Writer(Vec<u8>);

impl Writer {
    /// Appends bytes. Returns where they begin.
    fn append(&mut self, bytes: &[u8]) -> u64 {
        let offset = self.0.len() as u64;
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(TABLE_ALIGNMENT), 0);
        offset
    }

    /// Appends a table. Returns where it is.
    fn table<T: IntoBytes + Immutable>(&mut self, entries: &[T]) -> Table {
        Table { offset: self.append(entries.as_bytes()) as u32, count: entries.len() as u32 }
    }

    /// Appends the information page and the settings of a domain. Returns the loads that bring them into its
    /// memory.
    fn loads(
        &mut self,
        system: &System,
        plan: &Plan,
        plan_offset: u64,
        (id, domain): (DomainId, &Domain),
    ) -> Vec<LoadEntry> {
        let DomainPlan { layout, info, settings, .. } = &plan.domains[id.0];
        let page = info_page(system, &domain.name, layout, info);
        let mut load = |bytes: &[u8], part: &Part| LoadEntry {
            image_offset: plan_offset + self.append(bytes),
            bytes: bytes.len() as u64,
            region_offset: part.first_page * PAGE_BYTES,
            region: index(id),
            image: NONE,
        };
        let mut loads = vec![load(&page, &layout.info)];
        loads.extend(layout.settings.iter().map(|part| load(settings, part)));
        loads
    }

    fn finish(mut self, header: PlanHeader) -> Vec<u8> {
        let header = PlanHeader { plan_bytes: self.0.len() as u32, ..header };
        self.0[..size_of::<PlanHeader>()].copy_from_slice(header.as_bytes());
        self.0
    }
}

/// The programs that a domain can run, each with the image of the plan that it is; its only one with [`NONE`].
fn programs(plan: &Plan, id: DomainId, domain: &Domain) -> impl Iterator<Item = (ComponentId, u32)> {
    let first = plan.tables.first_image(index(id)).filter(|_| !domain.images.is_empty());
    domain
        .programs()
        .zip(0..)
        .map(move |(program, place)| (program, first.map_or(NONE, |first| first + place)))
}

/// A load for each segment of a domain's program that has bytes.
fn program_loads(
    plan: &Plan,
    id: DomainId,
    (program, image): (ComponentId, u32),
    places: &[Place],
) -> impl Iterator<Item = LoadEntry> {
    let (layout, start) = (&plan.domains[id.0].layout, places[program.0].offset);
    let with_bytes = plan.programs[program.0].segments.iter().filter(|segment| segment.image_bytes > 0);
    with_bytes.filter_map(move |segment| {
        let part = layout.segment(segment.address)?;
        Some(segment.load(start, index(id), part.first_page, image))
    })
}

/// The programs that a domain runs when somebody has chosen them.
fn other_programs(
    plan: &Plan,
    id: DomainId,
    domain: &Domain,
    places: &[Place],
) -> impl Iterator<Item = ProgramEntry> {
    programs(plan, id, domain).skip(1).map(|(program, image)| {
        let Place { offset, bytes, digest } = places[program.0];
        let entry = plan.programs[program.0].entry;
        ProgramEntry { image_offset: offset, image_bytes: bytes, digest, entry, image, reserved: 0 }
    })
}

fn domain_entry(
    system: &System,
    plan: &Plan,
    (id, domain): (DomainId, &Domain),
    places: &[Place],
) -> DomainEntry {
    let place = &places[domain.component.0];
    let on_fault = match domain.on_fault {
        OnFault::Stop => FaultPolicy::Stop,
        OnFault::Halt => FaultPolicy::Halt,
        OnFault::Restart => FaultPolicy::Restart,
        OnFault::Handler(_) => FaultPolicy::Handler,
    };
    let start = if domain.on_request.is_some() { StartPolicy::OnRequest } else { StartPolicy::Boot };
    DomainEntry {
        name: name(&domain.name),
        image_offset: place.offset,
        image_bytes: place.bytes,
        digest: place.digest,
        quota_pages: plan.domains[id.0].quota_pages as u32,
        on_fault: on_fault as u32,
        asked: system.asked(id).bits(),
        start: start as u32,
        shutdown: plan.domains[id.0].info.shutdown_event.unwrap_or(NONE),
        reserved: 0,
    }
}

fn thread_entry(plan: &Plan, id: DomainId, domain: &Domain) -> ThreadEntry {
    ThreadEntry {
        entry: plan.program_of(id.0).entry,
        stack: plan.domains[id.0].layout.stack.end(),
        domain: index(id),
        cpu: 0,
        priority: domain.priority as u32,
        budget_us: domain.budget.budget_us as u32,
        period_us: domain.budget.period_us as u32,
        reserved: 0,
    }
}

fn index(id: DomainId) -> u32 {
    id.0 as u32
}
