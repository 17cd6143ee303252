//! The system against the sizes of the kernel's tables.

use cloison_abi::ObjectKind;
use cloison_abi::call::{BUILDER_MEMORY_SLOTS, BUILDER_SLOT_FREE};
use cloison_abi::info::MAX_INFO_ENTRIES;
use cloison_abi::limits::{MAX_DOMAINS, MAX_MAPPINGS, MAX_PORT_RANGES, MAX_REGIONS, MAX_SLOTS, PLAN_EVENTS};

use crate::diagnostic::Diagnostic;
use crate::manifest::{Component, Offer};
use crate::system::{Draft, DraftDomain, Right, settings};

/// Mappings that every domain has: information page, code, constants, data, stack, heap.
const OWN_MAPPINGS: usize = 6;

/// What one domain takes from the kernel's tables.
struct Demand {
    slots: usize,
    mappings: usize,
    events: usize,
    port_ranges: usize,
    info_entries: usize,
}

impl Demand {
    /// What each domain takes.
    fn of_all(draft: &Draft<'_>) -> Vec<Self> {
        let domains = draft.domains.iter().zip(settings(draft));
        let mut demands: Vec<_> = domains.map(|(domain, settings)| Self::new(domain, settings)).collect();
        for domain in &draft.domains {
            if let Some(handler) = domain.fault_handler.and_then(|named| named.found) {
                demands[handler].slots += 1;
                demands[handler].events += 1;
                demands[handler].info_entries += 1;
            }
            for gate_use in &domain.uses {
                if let (Some(server), Some((_, offer))) = (gate_use.server, gate_use.offer) {
                    demands[server].add_client(offer);
                }
            }
        }
        demands
    }

    fn new(domain: &DraftDomain<'_>, settings: [usize; 2]) -> Self {
        let (regions, rights) = domain
            .component
            .map_or((0, 0), |component: &Component| (component.regions.len(), component.rights.len()));
        // The right to read the log comes with an event.
        let log =
            domain.rights.iter().filter(|right| right.found == Some(Right(ObjectKind::LogRight))).count();
        let settings = settings.iter().filter(|bytes| **bytes > 0).count();
        let mut demand = Self {
            slots: 1 + regions + rights,
            mappings: OWN_MAPPINGS + usize::from(settings > 0),
            events: log,
            port_ranges: 0,
            info_entries: regions + rights + settings,
        };
        for offer in domain.uses.iter().filter_map(|gate_use| Some(gate_use.offer?.1)) {
            demand.slots += 1 + usize::from(offer.signals_server);
            demand.events += usize::from(offer.signals_client);
            demand.mappings += mappings_of(offer);
            demand.info_entries += 1;
        }
        demand.add_devices(domain);
        demand
    }

    /// What a server takes for one client of a gate.
    fn add_client(&mut self, offer: &Offer) {
        let grant_slots = usize::try_from(offer.grant_slots).unwrap_or(usize::MAX);
        self.slots = self.slots.saturating_add(usize::from(offer.signals_client)).saturating_add(grant_slots);
        self.events += usize::from(offer.signals_server);
        self.mappings += mappings_of(offer);
        self.info_entries += 1;
    }

    fn add_devices(&mut self, domain: &DraftDomain<'_>) {
        for device in domain.devices.iter().filter_map(|device| Some(device.found?.1)) {
            let has_irq = usize::from(device.irq.is_some());
            let areas = device.memory.len();
            let has_ports = usize::from(device.ports.is_some());
            self.slots += has_irq;
            self.events += has_irq;
            self.mappings += areas;
            self.port_ranges += has_ports;
            self.info_entries += has_irq + areas + has_ports;
        }
    }
}

/// How many mappings each side of a gate has for it.
fn mappings_of(offer: &Offer) -> usize {
    usize::from(offer.shared_pages > 0) + 2 * usize::from(offer.one_way_pages > 0)
}

pub(super) fn domains(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let most = MAX_DOMAINS - 1;
    let Some(first_too_many) = draft.domains.get(most) else { return Vec::new() };
    let message =
        format!("the system has {} domains, at most {most} fit beside the builder", draft.domains.len());
    let fault = Diagnostic::new(first_too_many.table.name.span, message).note("the first that does not fit");
    vec![fault.help("MAX_DOMAINS of the ABI crate sets the limit")]
}

pub(super) fn slots(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each(draft, "slots", "MAX_SLOTS", MAX_SLOTS, |demand| demand.slots)
}

pub(super) fn mappings(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each(draft, "mappings", "MAX_MAPPINGS", MAX_MAPPINGS, |demand| demand.mappings)
}

pub(super) fn events(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each(draft, "event bits", "PLAN_EVENTS", PLAN_EVENTS as usize, |demand| demand.events)
}

pub(super) fn port_ranges(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each(draft, "ranges of ports", "MAX_PORT_RANGES", MAX_PORT_RANGES, |demand| demand.port_ranges)
}

pub(super) fn info_entries(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let limit = "MAX_INFO_ENTRIES";
    each(draft, "entries of the information page", limit, MAX_INFO_ENTRIES, |demand| demand.info_entries)
}

fn each(
    draft: &Draft<'_>,
    what: &str,
    constant: &str,
    most: usize,
    count: impl Fn(&Demand) -> usize,
) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (domain, demand) in draft.domains.iter().zip(Demand::of_all(draft)) {
        let needed = count(&demand);
        if needed > most {
            let name = &domain.table.name;
            let message = format!("the domain `{}` needs {needed} {what}, it can have {most}", name.value);
            let help = format!("give it less, or fewer clients; {constant} of the ABI crate sets the limit");
            faults.push(Diagnostic::new(name.span, message).help(help));
        }
    }
    faults
}

/// Regions that a system can have. The builder holds each in a slot while it builds, but for the page tables
/// of a domain, in place of which it holds the domain; and it needs one slot more, for the page tables at
/// hand.
const MOST_REGIONS: usize = {
    let others = (BUILDER_SLOT_FREE - BUILDER_MEMORY_SLOTS) as usize + 1;
    let held = MAX_SLOTS - others;
    if held < MAX_REGIONS { held } else { MAX_REGIONS }
};

/// Each domain has two regions, its memory and its page tables; the machine's free memory is some more.
pub(super) fn regions(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut regions = usize::from(BUILDER_MEMORY_SLOTS);
    for domain in &draft.domains {
        let shared = domain
            .uses
            .iter()
            .filter(|gate_use| gate_use.offer.is_some_and(|(_, offer)| offer.region_pages() > 0));
        let areas = domain.devices.iter().filter_map(|device| Some(device.found?.1.memory.len()));
        let own = domain.component.map_or(0, |component| component.regions.len());
        regions += 2 + shared.count() + areas.sum::<usize>() + own;
        if regions > MOST_REGIONS {
            let name = &domain.table.name;
            let message =
                format!("up to the domain `{}` there are {regions} regions, {MOST_REGIONS} fit", name.value);
            let help = "give less shared memory; MAX_SLOTS and MAX_REGIONS of the ABI crate set the limit";
            return vec![Diagnostic::new(name.span, message).help(help)];
        }
    }
    Vec::new()
}
