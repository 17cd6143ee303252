//! The system against the sizes of the kernel's tables.

use cloison_abi::ObjectKind;
use cloison_abi::call::{BUILDER_SLOT_FREE, BUILDER_SLOT_MEMORY};
use cloison_abi::info::{self, INFO_TABLE_BYTES};
use cloison_abi::limits::{MAX_DOMAINS, MAX_MAPPINGS, MAX_PORT_RANGES, MAX_REGIONS, MAX_SLOTS, PLAN_EVENTS};

use crate::diagnostic::Diagnostic;
use crate::manifest::{Component, Device, Offer};
use crate::system::{Draft, DraftDomain, Right, settings};

const MANAGER: Right = Right(ObjectKind::ManageRight);
/// Mappings that every domain has: information page, code, constants, data, stack, heap.
const OWN_MAPPINGS: usize = 6;

/// What one domain takes from the kernel's tables.
struct Demand {
    slots: usize,
    mappings: usize,
    events: usize,
    port_ranges: usize,
    info_bytes: usize,
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
                demands[handler].info_bytes += size_of::<info::Subject>();
            }
            for gate_use in &domain.uses {
                if let (Some(server), Some((_, offer))) = (gate_use.server, gate_use.offer) {
                    demands[server].add_client(offer);
                }
            }
        }
        demands
    }

    fn new(domain: &DraftDomain<'_>, settings: [usize; 6]) -> Self {
        let (regions, rights) = domain
            .component
            .map_or((0, 0), |component: &Component| (component.regions.len(), component.rights.len()));
        // Some rights come with an event.
        let told = domain.rights.iter().filter(|right| right.found.is_some_and(Right::has_event)).count();
        let settings = settings.iter().filter(|bytes| **bytes > 0).count();
        let manages = domain.rights.iter().filter(|right| right.found == Some(MANAGER)).count();
        // Who is started on request can be asked to end.
        let asked = usize::from(domain.table.on_request().is_some());
        let mut demand = Self {
            slots: 1 + regions + rights,
            mappings: OWN_MAPPINGS + usize::from(settings > 0),
            events: told + asked,
            port_ranges: 0,
            info_bytes: regions * size_of::<info::Region>()
                + rights * size_of::<info::Right>()
                + manages * size_of::<info::Use>()
                + settings * size_of::<info::Settings>(),
        };
        for offer in domain.uses.iter().filter_map(|gate_use| Some(gate_use.offer?.1)) {
            demand.slots += 1 + usize::from(offer.signals_server);
            demand.events += usize::from(offer.signals_client);
            demand.mappings += mappings_of(offer);
            demand.info_bytes += size_of::<info::Use>();
        }
        demand.add_devices(domain);
        demand.add_guest(domain);
        demand
    }

    /// What a server takes for one client of a gate.
    fn add_client(&mut self, offer: &Offer) {
        let grant_slots = usize::try_from(offer.grant_slots).unwrap_or(usize::MAX);
        self.slots = self.slots.saturating_add(usize::from(offer.signals_client)).saturating_add(grant_slots);
        self.events += usize::from(offer.signals_server);
        self.mappings += mappings_of(offer);
        self.info_bytes += size_of::<info::Client>();
    }

    /// A guest has a slot; its memory and the files that it begins with are mapped, and told of.
    fn add_guest(&mut self, domain: &DraftDomain<'_>) {
        if domain.guest_sizes().is_some() {
            let (memory, files) = (guest_regions(domain) - 1, domain.table.guest.files().count());
            self.slots += 1;
            self.mappings += memory + files;
            self.info_bytes += memory * size_of::<info::GuestMemory>() + files * size_of::<info::Settings>();
        }
    }

    fn add_devices(&mut self, domain: &DraftDomain<'_>) {
        for device in domain.devices.iter().filter_map(|device| Some(device.found?.1)) {
            let has_irq = usize::from(device.irq.is_some());
            let has_page = usize::from(device.pci.is_some());
            let has_ports = usize::from(device.ports.is_some());
            self.slots += has_irq;
            self.events += has_irq;
            self.mappings += device.register_regions();
            self.port_ranges += has_ports;
            self.info_bytes += has_irq * size_of::<info::Interrupt>()
                + device.memory.len() * size_of::<info::Area>()
                + has_page * size_of::<info::ConfigurationPage>()
                + has_ports * size_of::<info::IoRange>();
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

pub(super) fn info_bytes(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let (what, limit) = ("bytes of the information page", "INFO_TABLE_BYTES");
    each(draft, what, limit, INFO_TABLE_BYTES, |demand| demand.info_bytes)
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

/// Each domain has two regions, its memory and its page tables; what the boot finds, memory above all, is some more.
pub(super) fn regions(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let budget = usize::from(draft.inputs.manifest.budget.is_some());
    let found = BUILDER_SLOT_FREE - BUILDER_SLOT_MEMORY;
    let mut regions = usize::from(found) + draft.guest_files().len() + budget;
    for domain in &draft.domains {
        let own = Own::new(domain);
        regions += 2 + shared(domain).count() + own.registers + own.kept + own.passing;
        if regions > MAX_REGIONS {
            let name = &domain.table.name;
            let message =
                format!("up to the domain `{}` there are {regions} regions, {MAX_REGIONS} fit", name.value);
            let help = "give less shared memory; MAX_REGIONS of the ABI crate sets the limit";
            return vec![Diagnostic::new(name.span, message).help(help)];
        }
    }
    Vec::new()
}

/// Regions of a domain that are no other domain's.
struct Own {
    /// Registers of devices.
    registers: usize,
    /// Those that a restart needs, beside stack, heap and program, which are one.
    kept: usize,
    /// Those that it does not need.
    passing: usize,
}

impl Own {
    fn new(domain: &DraftDomain<'_>) -> Self {
        let devices = domain.devices.iter().filter_map(|device| Some(device.found?.1));
        let registers = devices.map(Device::register_regions).sum();
        let regions = domain.component.map_or(0, |component| component.regions.len());
        // All of a guest but its page tables.
        let guest = guest_regions(domain);
        // Where it is saved nobody clears: the builder lets go of that, too.
        let saved = usize::from(domain.guest_sizes().is_some_and(|sizes| sizes.saved > 0));
        let passing = guest.min(1) + saved;
        Self { registers, kept: regions + guest - passing, passing }
    }
}

/// Regions of a domain's guest: one for each thing that has pages.
fn guest_regions(domain: &DraftDomain<'_>) -> usize {
    let Some(sizes) = domain.guest_sizes() else { return 0 };
    // Memory of no pages is another check's business.
    3 + [sizes.shared, sizes.numbers, sizes.saved].into_iter().filter(|pages| *pages > 0).count()
}

/// The servers with which a domain shares memory, once for each gate.
fn shared<'a>(domain: &'a DraftDomain<'_>) -> impl Iterator<Item = usize> + 'a {
    let uses = domain.uses.iter();
    let uses = uses.filter(|gate_use| gate_use.offer.is_some_and(|(_, offer)| offer.region_pages() > 0));
    uses.filter_map(|gate_use| gate_use.server)
}

/// What the builder holds at once, as it builds one domain after the other: first each domain with its page tables;
/// then of a domain that is being built all that it has; then only what another one waits for, or a restart needs.
pub(super) fn builder_slots(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let on_request = draft.domains.iter().filter(|domain| domain.table.on_request().is_some()).count();
    // For each domain on request, the event that asks it to end. For the manager, the event that tells of ends; and the
    // budget.
    let managing = if on_request > 0 { on_request + 2 } else { 0 };
    let mut held = usize::from(BUILDER_SLOT_FREE) + 2 * draft.domains.len() + managing;
    for (place, domain) in draft.domains.iter().enumerate() {
        let own = Own::new(domain);
        let with_others = draft.domains.iter().enumerate().flat_map(|(client, other)| {
            shared(other).map(move |server| [client, server]).filter(|pair| pair.contains(&place))
        });
        let with_others: Vec<_> = with_others.collect();
        let count = |is: fn(&usize, &usize) -> bool| {
            with_others.iter().filter(|pair| pair.iter().all(|other| is(other, &place))).count()
        };
        let (made, done) = (count(|other, place| other >= place), count(|other, place| other <= place));
        // Files of guests are held until the last domain that sees them is built.
        let files = files_awaited(draft, place);
        held += made + 1 + own.registers + own.kept + own.passing;
        if held + files > MAX_SLOTS {
            let name = &domain.table.name;
            let message = format!(
                "up to the domain `{}` the builder holds {} slots, it has {MAX_SLOTS}",
                name.value,
                held + files
            );
            let help = "restart fewer domains that have regions of their own, or share less memory; MAX_SLOTS of \
                        the ABI crate sets the limit";
            return vec![Diagnostic::new(name.span, message).help(help)];
        }
        let is_kept = is_restarted(domain) || domain.table.on_request().is_some();
        let kept = if is_kept { 0 } else { 1 + own.kept };
        held -= done + own.registers + own.passing + kept + 1;
    }
    Vec::new()
}

/// Files that a domain, or one before it, sees, and it or one after it.
fn files_awaited(draft: &Draft<'_>, place: usize) -> usize {
    let names = |(at, domain): (usize, &DraftDomain<'_>), file: &str| {
        (domain.guest_sizes().is_some() && domain.table.guest.files().any(|named| named.value == file))
            .then_some(at)
    };
    let files = draft.guest_files().into_iter();
    let awaited = files.filter(|file| {
        let domains = draft.domains.iter().enumerate();
        let seen: Vec<usize> = domains.filter_map(|domain| names(domain, file)).collect();
        seen.first().is_some_and(|first| *first <= place) && seen.last().is_some_and(|last| *last >= place)
    });
    awaited.count()
}

/// Whether the builder starts a domain again after a fault.
fn is_restarted(domain: &DraftDomain<'_>) -> bool {
    domain.table.on_fault.as_ref().is_some_and(|policy| policy.value == "restart")
}
