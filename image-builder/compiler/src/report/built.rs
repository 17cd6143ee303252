//! What is known once a system is built.

use cloison_abi::image::ImageHeader;
use cloison_abi::info::Channel;
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::plan::{GateEntry, GuestEntry, InterruptEntry, MappingEntry, NONE, RegionEntry};
use cloison_abi::{InterruptSource, Name, ObjectKind, Rights};
use zerocopy::FromBytes;

use super::count;
use crate::digest::{digest, hex};
use crate::plan::{Info, Layout, Part, Plan, is_memory};
use crate::system::{OnFault, System};
use crate::table::Table;
use crate::workspace::BUILDER;

pub(super) fn memory(system: &System, plan: &Plan) -> String {
    let heads =
        ["domain", ">program", ">stack", ">heap", ">own regions", ">shared", ">page tables", ">total"];
    let mut table = Table::new(heads);
    let mut add = |name: &str, layout: &Layout, others: [u64; 3]| {
        let info = 1 + layout.settings.map_or(0, |settings| settings.pages);
        let program = info + layout.segments.iter().map(|part| part.pages).sum::<u64>();
        let (stack, heap) = (layout.stack.pages, layout.heap.map_or(0, |heap| heap.pages));
        let [own, shared, tables] = others;
        let cells =
            [program, stack, heap, own, shared, tables, program + stack + heap + own + shared + tables];
        let [program, stack, heap, own, shared, tables, total] = cells.map(kib);
        table.row([name.to_owned(), program, stack, heap, own, shared, tables, total]);
    };
    for (place, (domain, planned)) in system.domains.iter().zip(&plan.domains).enumerate() {
        add(
            &domain.name,
            &planned.layout,
            [own_regions(plan, place), shared(plan, place), planned.quota_pages],
        );
    }
    let text = table.render("Memory, in KiB (what two domains share counts for both)");
    let total = format!("  all domains together {} KiB\n\n", kib(plan.total_pages()));
    text.trim_end().to_owned() + "\n" + &total
}

/// Pages of regions beside the private one that belong to a domain, or to its guest.
fn own_regions(plan: &Plan, domain: usize) -> u64 {
    let others = plan.tables.regions.iter().skip(plan.domains.len());
    let own = others.filter(|region| region.owner as usize == domain);
    let guests = plan.tables.guests.iter().filter(|guest| guest.domain as usize == domain);
    let tables = guests.map(|guest| plan.tables.region(guest.tables));
    own.chain(tables).map(|region| u64::from(region.pages)).sum()
}

/// Pages that a domain sees and shares with another one.
fn shared(plan: &Plan, domain: usize) -> u64 {
    let is_shared = |mapping: &&MappingEntry| {
        let region = plan.tables.region(mapping.region);
        mapping.domain as usize == domain && region.owner == NONE && is_memory(region)
    };
    plan.tables.mappings.iter().filter(is_shared).map(|mapping| u64::from(mapping.pages)).sum()
}

pub(super) fn address_spaces(system: &System, plan: &Plan) -> String {
    let mut text = String::new();
    for (place, domain) in system.domains.iter().enumerate() {
        let mut table = Table::new(["from", "to", "rights", ">pages", "what"]);
        for mapping in plan.tables.mappings.iter().filter(|mapping| mapping.domain as usize == place) {
            let end = mapping.address + u64::from(mapping.pages) * PAGE_BYTES - 1;
            table.row([
                format!("{:#010x}", mapping.address),
                format!("{end:#010x}"),
                rights(mapping.rights),
                mapping.pages.to_string(),
                what(plan, place, mapping),
            ]);
        }
        text += &table.render(&format!("Address space of {}", domain.name));
    }
    text
}

/// What a mapping shows.
fn what(plan: &Plan, domain: usize, mapping: &MappingEntry) -> String {
    let region = plan.tables.region(mapping.region);
    let layout = &plan.domains[domain].layout;
    let is = |part: &Part| part.address == mapping.address;
    if !is_memory(region) {
        return format!("registers of {}", region.name);
    }
    if mapping.region as usize != domain {
        return shown_by(&plan.domains[domain].info, mapping.address).unwrap_or_default();
    }
    let is_part = |part: &Option<Part>| part.as_ref().is_some_and(is);
    if is(&layout.info) {
        "information page".to_owned()
    } else if is(&layout.stack) {
        "stack".to_owned()
    } else if is_part(&layout.heap) {
        "heap".to_owned()
    } else if is_part(&layout.settings) {
        "settings".to_owned()
    } else {
        "program".to_owned()
    }
}

/// With whom memory at an address is shared, or what it is of the domain's guest.
fn shown_by(info: &Info, address: u64) -> Option<String> {
    let of_guest = |name: Name| format!("{name} of its guest");
    let seen = info.guest_memory.iter().map(|memory| (memory.name, memory.address));
    let mut seen = seen.chain(info.settings.iter().map(|file| (file.name, file.address)));
    let guest = seen.find(|(_, start)| *start == address).map(|(name, _)| of_guest(name));
    guest.or_else(|| info.channels().find_map(|(name, channel)| shared_as(name, channel, address)))
}

/// With whom memory at an address is shared, if it is of this channel.
fn shared_as(name: Name, channel: &Channel, address: u64) -> Option<String> {
    let peer = channel.peer;
    match (address == channel.address, channel.incoming_address) {
        (true, 0) => Some(format!("shared with {peer}, for {name}")),
        (true, _) => Some(format!("to {peer}, for {name}")),
        (false, incoming) => (incoming == address).then(|| format!("from {peer}, for {name}")),
    }
}

pub(super) fn threads(system: &System) -> String {
    let mut table = Table::new([">thread", "of", ">CPU", ">priority"]);
    for (number, domain) in system.domains.iter().enumerate() {
        let cells = [number.to_string(), domain.name.clone(), "0".to_owned(), domain.priority.to_string()];
        table.row(cells);
    }
    table.render("Threads, one of each domain")
}

pub(super) fn slots(system: &System, plan: &Plan) -> String {
    let name = |domain: u32| system.domains[domain as usize].name.as_str();
    let mut rows = Vec::new();
    let mut row = |domain, slot, kind, object| rows.push((domain, slot, kind, object));
    let tables = &plan.tables;
    for gate in &tables.gates {
        row(gate.domain, gate.slot, ObjectKind::Gate, into(gate, name(gate.server)));
    }
    for event in &tables.events {
        let object = format!("bit {} of {}", event.event, name(event.target));
        row(event.domain, event.slot, ObjectKind::Event, object);
    }
    for held in &tables.region_slots {
        let region = tables.region(held.region);
        let object = format!("{}, {}", region.name, count(region.pages.into(), "page"));
        row(held.domain, held.slot, ObjectKind::Region, object);
    }
    for handler in &tables.supervisions {
        let object =
            format!("{}, to handle its faults, told by its bit {}", name(handler.subject), handler.event);
        row(handler.domain, handler.slot, ObjectKind::Domain, object);
    }
    for interrupt in &tables.interrupts {
        row(interrupt.thread, interrupt.slot, ObjectKind::Interrupt, from(plan, interrupt));
    }
    for guest in &tables.guests {
        row(guest.domain, guest.slot, ObjectKind::Guest, shown_to(guest));
    }
    for right in &tables.rights {
        let kind = ObjectKind::from_number(right.kind).unwrap_or(ObjectKind::Empty);
        let held = if kind == ObjectKind::ManageRight { ObjectKind::Gate } else { kind };
        row(right.domain, right.slot, held, told_by(kind, right.event));
    }
    rows.sort_by_key(|(domain, slot, ..)| (*domain, *slot));
    let mut table = Table::new(["domain", ">slot", "kind", "object"]);
    for (domain, slot, kind, object) in rows {
        table.row([name(domain).to_owned(), slot.to_string(), kind.name().to_owned(), object]);
    }
    table.render("Slots (slot 0 of each domain is the domain itself)")
}

/// How the holder of a right learns that there is something to be done with it.
fn told_by(kind: ObjectKind, event: u32) -> String {
    match kind {
        ObjectKind::LogRight => format!("its bit {event} says that there is text"),
        ObjectKind::MonitorRight => format!("its bit {event} says that there is a question"),
        ObjectKind::ManageRight => format!("into {BUILDER}; its bit {event} says that a domain has ended"),
        _ => String::new(),
    }
}

/// The regions that a guest can be shown, each with whether it may write there.
fn shown_to(guest: &GuestEntry) -> String {
    let regions = (0..).zip(guest.attached).take_while(|(_, region)| *region != NONE);
    let shown = regions.map(|(number, region)| {
        let may = if guest.writable & (1 << number) == 0 { "reads" } else { "writes" };
        format!("{may} region {region}")
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn into(gate: &GateEntry, server: &str) -> String {
    match gate.grants {
        0 => format!("into {server}, badge {}", gate.badge),
        grants => {
            let (first, last) = (gate.first_grant, gate.first_grant + grants - 1);
            format!("into {server}, badge {}, grants to its slots {first} to {last}", gate.badge)
        }
    }
}

fn from(plan: &Plan, interrupt: &InterruptEntry) -> String {
    let device = plan.tables.devices[interrupt.device as usize].name;
    let source = match InterruptSource::from_bits(interrupt.source) {
        Some(InterruptSource::Line { number, is_level, .. }) => {
            format!("line {number}, {}", if is_level { "level" } else { "edge" })
        }
        Some(InterruptSource::Message { number }) => format!("message {number}"),
        None => String::new(),
    };
    format!("of {device}: {source}, as its bit {}", interrupt.event)
}

pub(super) fn regions(system: &System, plan: &Plan) -> String {
    let mut table = Table::new([">region", "name", ">pages", "device at", "seen by"]);
    for (place, region) in plan.tables.regions.iter().enumerate() {
        let mut seen: Vec<&str> = plan
            .tables
            .mappings
            .iter()
            .filter(|mapping| mapping.region as usize == place)
            .map(|mapping| system.domains[mapping.domain as usize].name.as_str())
            .collect();
        seen.dedup();
        if plan.tables.guests.iter().any(|guest| guest.tables as usize == place) {
            seen.push("the kernel");
        }
        if let Some(why) = builders_reason(system, region) {
            seen.push(why);
        }
        let device = place_of_registers(plan, place as u32);
        let cells =
            [place.to_string(), region.name.to_string(), region.pages.to_string(), device, seen.join(", ")];
        table.row(cells);
    }
    table.render("Regions")
}

/// Where the registers lie that a region is, if it is registers: at an address, or in PCI's configuration space.
fn place_of_registers(plan: &Plan, region: u32) -> String {
    match (plan.tables.area_of(region), plan.tables.function_of(region)) {
        (Some(area), _) => format!("{:#x}", area.physical_address),
        (None, Some(function)) => format!("page of {function}"),
        (None, None) => String::new(),
    }
}

/// Why the builder keeps a region, if it does: its owner is loaded again.
fn builders_reason(system: &System, region: &RegionEntry) -> Option<&'static str> {
    let owner = system.domains.get(region.owner as usize).filter(|_| is_memory(region))?;
    match (owner.on_request, owner.on_fault) {
        (Some(_), _) => Some("builder (to start it)"),
        (None, OnFault::Restart) => Some("builder (to restart it)"),
        _ => None,
    }
}

pub(super) fn digests(system: &System, plan: &Plan, image: &[u8]) -> String {
    let mut table = Table::new(["of", ">bytes", "sha-256"]);
    for (component, program) in system.components.iter().zip(&plan.programs) {
        let name = format!("program {}", component.name);
        table.row([name, program.image.len().to_string(), hex(&digest(&program.image))]);
    }
    for file in &plan.files {
        let name = format!("file {}", system.files[file.file.0].name);
        table.row([name, file.bytes.len().to_string(), hex(&digest(&file.bytes))]);
    }
    table.row(["manifest, as written".to_owned(), String::new(), hex(&system.manifest_digest)]);
    if let Ok((header, _)) = ImageHeader::read_from_prefix(image) {
        table.row(["plan".to_owned(), header.plan_bytes.to_string(), hex(&header.plan_digest)]);
        table.row([format!("image, with {BUILDER}"), image.len().to_string(), hex(&digest(image))]);
    }
    table.render("Digests")
}

fn rights(bits: u32) -> String {
    let rights = Rights::from_bits_truncate(bits);
    let letters = [(Rights::READ, 'r'), (Rights::WRITE, 'w'), (Rights::EXECUTE, 'x')];
    letters.into_iter().map(|(right, letter)| if rights.contains(right) { letter } else { '-' }).collect()
}

fn kib(pages: u64) -> String {
    (pages * PAGE_BYTES / 1024).to_string()
}
