//! What is known once a system is built.

use cloison_abi::image::ImageHeader;
use cloison_abi::info::InfoEntry;
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::plan::{INTERRUPT_LEVEL, MappingEntry, NONE, RegionEntry, SlotEntry};
use cloison_abi::{ObjectKind, Rights};
use zerocopy::FromBytes;

use super::count;
use super::table::Table;
use crate::digest::{digest, hex};
use crate::plan::{Layout, Part, Plan};
use crate::system::{OnFault, System};
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

/// Pages of regions beside the private one that belong to a domain.
fn own_regions(plan: &Plan, domain: usize) -> u64 {
    let others = plan.regions.iter().skip(plan.domains.len());
    others.filter(|region| region.owner as usize == domain).map(|region| u64::from(region.pages)).sum()
}

/// Pages that a domain sees and shares with another one.
fn shared(plan: &Plan, domain: usize) -> u64 {
    let is_shared = |mapping: &&MappingEntry| {
        let region = &plan.regions[mapping.region as usize];
        mapping.domain as usize == domain && region.owner == NONE && region.device_address == 0
    };
    plan.mappings.iter().filter(is_shared).map(|mapping| u64::from(mapping.pages)).sum()
}

pub(super) fn address_spaces(system: &System, plan: &Plan) -> String {
    let mut text = String::new();
    for (place, domain) in system.domains.iter().enumerate() {
        let mut table = Table::new(["from", "to", "rights", ">pages", "what"]);
        for mapping in plan.mappings.iter().filter(|mapping| mapping.domain as usize == place) {
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
    let region = &plan.regions[mapping.region as usize];
    let layout = &plan.domains[domain].layout;
    let is = |part: &Part| part.address == mapping.address;
    if region.device_address != 0 {
        return format!("registers of {}", region.name);
    }
    if mapping.region as usize != domain {
        let entries = &plan.domains[domain].info;
        let told = entries.iter().find_map(|entry| shared_as(entry, mapping.address));
        return told.unwrap_or_default();
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

/// With whom memory at an address is shared, if this entry tells of it.
fn shared_as(entry: &InfoEntry, address: u64) -> Option<String> {
    let (peer, name) = (entry.peer, entry.name);
    match (address == entry.address, entry.incoming_address) {
        (true, 0) => Some(format!("shared with {peer}, for {name}")),
        (true, _) => Some(format!("to {peer}, for {name}")),
        (false, incoming) => (incoming == address).then(|| format!("from {peer}, for {name}")),
    }
}

pub(super) fn slots(system: &System, plan: &Plan) -> String {
    let mut table = Table::new(["domain", ">slot", "kind", "object"]);
    for slot in &plan.slots {
        let holder = &system.domains[slot.domain as usize].name;
        let kind = ObjectKind::from_number(slot.kind).unwrap_or(ObjectKind::Empty);
        table.row([
            holder.clone(),
            slot.slot.to_string(),
            kind.name().to_owned(),
            object(system, plan, kind, slot),
        ]);
    }
    table.render("Slots (slot 0 of each domain is the domain itself)")
}

fn object(system: &System, plan: &Plan, kind: ObjectKind, slot: &SlotEntry) -> String {
    let domain = || system.domains[slot.object as usize].name.as_str();
    match kind {
        ObjectKind::Gate if slot.count > 0 => {
            let last = slot.detail + slot.count - 1;
            format!("into {}, badge {}, grants to its slots {} to {last}", domain(), slot.badge, slot.detail)
        }
        ObjectKind::Gate => format!("into {}, badge {}", domain(), slot.badge),
        ObjectKind::Event => format!("bit {} of {}", slot.badge, domain()),
        ObjectKind::Domain => format!("{}, to handle its faults", domain()),
        ObjectKind::Region => {
            let region = &plan.regions[slot.object as usize];
            format!("{}, {}", region.name, count(region.pages.into(), "page"))
        }
        ObjectKind::Interrupt => {
            let trigger = if slot.detail & INTERRUPT_LEVEL == 0 { "edge" } else { "level" };
            format!("line {}, {trigger}, as its bit {}", slot.object, slot.badge)
        }
        ObjectKind::LogRight => format!("its bit {} says that there is text", slot.badge),
        _ => String::new(),
    }
}

pub(super) fn regions(system: &System, plan: &Plan) -> String {
    let mut table = Table::new([">region", "name", ">pages", "device at", "seen by"]);
    for (place, region) in plan.regions.iter().enumerate() {
        let mut seen: Vec<&str> = plan
            .mappings
            .iter()
            .filter(|mapping| mapping.region as usize == place)
            .map(|mapping| system.domains[mapping.domain as usize].name.as_str())
            .collect();
        seen.dedup();
        if is_restarted(system, region) {
            seen.push("builder (to restart it)");
        }
        let device =
            if region.device_address == 0 { String::new() } else { format!("{:#x}", region.device_address) };
        let cells =
            [place.to_string(), region.name.to_string(), region.pages.to_string(), device, seen.join(", ")];
        table.row(cells);
    }
    table.render("Regions")
}

/// Whether the builder keeps a region, because its owner is loaded again after a fault.
fn is_restarted(system: &System, region: &RegionEntry) -> bool {
    let owner = system.domains.get(region.owner as usize);
    region.device_address == 0 && owner.is_some_and(|owner| owner.on_fault == OnFault::Restart)
}

pub(super) fn digests(system: &System, plan: &Plan, image: &[u8]) -> String {
    let mut table = Table::new(["of", ">bytes", "sha-256"]);
    for (component, program) in system.components.iter().zip(&plan.programs) {
        let name = format!("program {}", component.name);
        table.row([name, program.image.len().to_string(), hex(&digest(&program.image))]);
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
