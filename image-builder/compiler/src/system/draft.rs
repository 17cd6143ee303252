//! Names looked up as far as they can be.
//!
//! Says nothing about what it could not find: that is for the checks, which see a name and, beside it, what
//! it led to or that it led nowhere. So one wrong name does not hide what is wrong elsewhere. A name that nobody
//! has leads to a thing whose name is close to it: the wrong name is reported once, and all else is judged as if it
//! were mended.

use std::collections::{HashMap, HashSet};

use cloison_abi::{directory::DirectoryEntry, limits::MAX_DOMAINS, port::PortSettings};

use crate::diagnostic::{At, Span, closest};
use crate::manifest::{
    Component, Device, DeviceNeed, DomainTable, GateNeed, Inputs, Offer, Platform, UseTable,
};

use super::guest::page_count;
use super::{GuestSizes, Right};

mod disk;
mod switch;

pub use disk::DraftDisk;
pub use switch::{DHCP, DraftForward, DraftPort, DraftSwitch, Read};

/// A name and what it led to.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a, T> {
    /// The name as written.
    pub written: &'a At<String>,
    /// The thing with this name, or with one that is close to it.
    pub found: Option<T>,
    /// Whether something has this very name.
    pub is_known: bool,
}

/// A system whose names have been looked up.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct Draft<'a> {
    /// The files that were read.
    pub inputs: &'a Inputs,
    /// Its platform, if that could be read.
    pub platform: Option<&'a Platform>,
    pub domains: Vec<DraftDomain<'a>>,
    pub switches: Vec<DraftSwitch<'a>>,
    pub disks: Vec<DraftDisk<'a>>,
    /// Ports of the host that lead into it.
    pub forwards: Vec<DraftForward<'a>>,
    /// The domain whose end is the end of the run.
    pub ends_with: Option<Named<'a, usize>>,
}

/// A domain whose names have been looked up.
#[derive(Debug)]
pub struct DraftDomain<'a> {
    /// As written.
    pub table: &'a DomainTable,
    /// Its component, if that could be read.
    pub component: Option<&'a Component>,
    /// The gates that it was given.
    pub uses: Vec<DraftGateUse<'a>>,
    /// The devices that it was given.
    pub devices: Vec<DraftDevice<'a>>,
    /// The rights that it was given.
    pub rights: Vec<Named<'a, Right>>,
    /// The domain that decides when it faults.
    pub fault_handler: Option<Named<'a, usize>>,
    /// Other components that it can run.
    pub images: Vec<Named<'a, &'a Component>>,
}

/// A gate that a domain was given.
#[derive(Debug, Clone, Copy)]
pub struct DraftGateUse<'a> {
    /// As written.
    pub table: &'a UseTable,
    /// The component's need under this name, and its place among the needs.
    pub need: Option<(usize, &'a GateNeed)>,
    /// Whether that is its very name.
    pub is_needed: bool,
    /// The server.
    pub server: Option<usize>,
    /// Whether that is the server's very name.
    pub is_known: bool,
    /// The gate of the server: its place among the offers, and the offer.
    pub offer: Option<(usize, &'a Offer)>,
}

/// A device that a domain was given.
#[derive(Debug, Clone, Copy)]
pub struct DraftDevice<'a> {
    /// The name as written.
    pub written: &'a At<String>,
    /// The device: its place in the platform, and the device.
    pub found: Option<(usize, &'a Device)>,
    /// Whether that is its very name.
    pub is_known: bool,
    /// The component's need that it meets.
    pub need: Option<(usize, &'a DeviceNeed)>,
}

/// A domain's permission to call another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The caller.
    pub client: usize,
    /// The domain that is called.
    pub server: usize,
    /// Where the manifest says so.
    pub at: Span,
}

impl<'a> Draft<'a> {
    /// Looks up every name.
    #[must_use]
    pub fn new(inputs: &'a Inputs) -> Self {
        let platform = inputs.platform.found().or(inputs.meant_platform.as_ref());
        let manifest = &inputs.manifest;
        let names = Names::new(manifest.domains.iter().map(|domain| domain.name.value.as_str()));
        let devices = platform.iter().flat_map(|platform| &platform.devices);
        let devices = Names::new(devices.map(|device| device.name.value.as_str()));
        let machine = platform.map(|platform| (platform, &devices));
        let domains = manifest.domains.iter();
        let domains = domains.map(|table| DraftDomain::new(inputs, &names, machine, table)).collect();
        let ends_with = manifest.ends_with.as_ref().map(|written| names.find(written));
        let switches = manifest.switches.iter().enumerate();
        Self {
            inputs,
            platform,
            domains,
            switches: switches.map(|(place, table)| DraftSwitch::new(&names, place, table)).collect(),
            disks: manifest.disks.iter().map(|table| disk::find_disk(inputs, &names, table)).collect(),
            forwards: manifest.forwards.iter().map(|table| DraftForward::new(&names, table)).collect(),
            ends_with,
        }
    }

    /// Every call that the manifest allows.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let uses = self
            .domains
            .iter()
            .enumerate()
            .flat_map(|(client, domain)| domain.uses.iter().map(move |gate_use| (client, gate_use)));
        uses.filter_map(|(client, gate_use)| {
            let server = gate_use.server?;
            // Whether it is offered is not known of what cannot be read.
            let is_call = gate_use.offer.is_some() || self.domains[server].component.is_none();
            is_call.then_some(Call { client, server, at: gate_use.table.from.span })
        })
        .collect()
    }

    /// Whether the value of a domain's key could not be read.
    #[must_use]
    pub fn is_spoiled(&self, domain: &DomainTable, key: &str) -> bool {
        let (source, path) = domain.path(key);
        self.inputs.spoiled.contains(source, &path)
    }

    /// Whether some domain is not known for what it is: what it has or offers cannot be told.
    #[must_use]
    pub fn has_unknown_domain(&self) -> bool {
        self.inputs.spoiled.contains_table("domain")
            || self.domains.iter().any(|domain| domain.component.is_none())
    }

    /// The files that guests begin with, each once.
    #[must_use]
    pub fn guest_files(&self) -> Vec<&'a str> {
        let guests = self.domains.iter().filter(|domain| domain.guest_sizes().is_some());
        let mut files: Vec<&str> = Vec::new();
        for file in guests.flat_map(|domain| domain.table.guest.files()) {
            if !files.contains(&file.value.as_str()) {
                files.push(&file.value);
            }
        }
        files
    }

    /// Pages that the files take that guests begin with.
    #[must_use]
    pub fn file_pages(&self) -> u64 {
        let files =
            self.guest_files().into_iter().filter_map(|name| self.inputs.guest_files.get(name)?.bytes());
        files.map(|bytes| page_count(bytes.len() as u64)).sum()
    }

    /// Whether some domain has this name. Of more domains than there can be, only some are looked at.
    #[must_use]
    pub fn has_domain(&self, name: &str) -> bool {
        self.domain_names().take(2 * MAX_DOMAINS).any(|domain| domain == name)
    }

    /// The domain with this name, or with one that is close to it.
    #[must_use]
    pub fn find_domain<'w>(&self, written: &'w At<String>) -> Named<'w, usize> {
        let place = |name: &str| self.domain_names().position(|domain| domain == name);
        let exact = place(&written.value);
        let close = || place(closest(&written.value, self.domain_names())?);
        Named { written, found: exact.or_else(close), is_known: exact.is_some() }
    }

    /// Names of all domains, for proposals.
    pub fn domain_names(&self) -> impl Iterator<Item = &'a str> + Clone {
        self.inputs.manifest.domains.iter().map(|table| table.name.value.as_str())
    }
}

/// The owner of each name.
struct Names<'a> {
    all: Vec<&'a str>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn new(names: impl Iterator<Item = &'a str>) -> Self {
        let all: Vec<_> = names.collect();
        let mut places = HashMap::new();
        for (place, name) in all.iter().enumerate() {
            places.entry(*name).or_insert(place);
        }
        Self { all, places }
    }

    fn find<'w>(&self, written: &'w At<String>) -> Named<'w, usize> {
        let exact = self.places.get(written.value.as_str()).copied();
        let close = || self.places.get(closest(&written.value, self.all.iter().copied())?).copied();
        Named { written, found: exact.or_else(close), is_known: exact.is_some() }
    }
}

impl<'a> DraftDomain<'a> {
    fn new(
        inputs: &'a Inputs,
        names: &Names<'_>,
        machine: Option<(&'a Platform, &Names<'_>)>,
        table: &'a DomainTable,
    ) -> Self {
        let component = component_of(inputs, table);
        let given: HashSet<&str> = table.uses.iter().map(|written| written.local.value.as_str()).collect();
        let uses = table.uses.iter();
        let uses = uses.map(|written| find_gate(inputs, names, component, &given, written));
        Self {
            table,
            component,
            uses: uses.collect(),
            devices: find_devices(machine, component, &table.devices),
            rights: table.rights.iter().map(find_right).collect(),
            fault_handler: table.fault_handler.as_ref().map(|written| names.find(written)),
            images: find_images(inputs, table),
        }
    }
}

impl DraftDomain<'_> {
    /// What its guest takes, if its component runs one.
    #[must_use]
    pub fn guest_sizes(&self) -> Option<GuestSizes> {
        let need = self.component?.guest.as_ref()?;
        let table = &self.table.guest;
        let memory_mib = table.memory_mib.as_ref().map_or(0, |mib| mib.value);
        Some(GuestSizes::new(need, memory_mib, table.saves.is_some()))
    }
}

/// How many bytes the settings of each domain take: ports, policy, arguments, its guest's command line, directory without
/// its texts, which are not known yet, and who may have what done.
#[must_use]
pub fn settings(draft: &Draft<'_>) -> Vec<[usize; 6]> {
    let length = |text: &Option<At<String>>| text.as_ref().map_or(0, |text| text.value.len());
    let texts = |domain: &DraftDomain<'_>| {
        let cmdline = domain.guest_sizes().map_or(0, |_| length(&domain.table.guest.cmdline));
        let is_told = domain.component.is_some_and(|component| component.directory);
        let directory = if is_told { draft.domains.len() * size_of::<DirectoryEntry>() } else { 0 };
        [0, 0, length(&domain.table.arguments), cmdline, directory, 0]
    };
    let mut settings: Vec<_> = draft.domains.iter().map(texts).collect();
    for switch in &draft.switches {
        // A switch is told of all its ports, a domain of its own.
        let owners = switch.ports.iter().filter_map(|port| port.domain);
        let switches = switch.ports.iter().filter_map(|_| switch.domain);
        owners.chain(switches).for_each(|domain| settings[domain][0] += size_of::<PortSettings>());
    }
    if let Some(policy) = draft.policy()
        && let Some(monitor) = policy.monitor.and_then(|monitor| monitor.found)
    {
        settings[monitor][1] = policy.bytes();
    }
    if let Some(manager) = draft.manager() {
        settings[manager][5] = draft.management_bytes();
    }
    settings
}

fn component_of<'a>(inputs: &'a Inputs, table: &DomainTable) -> Option<&'a Component> {
    let name = &table.component.as_ref()?.value;
    let component = inputs.component(name)?;
    (component.name == *name || is_asked_for(component, table)).then_some(component)
}

/// Whether a component asks for the gates that a domain has, and for no others: if its name is only close to the one
/// that is written, it is hardly meant without that.
fn is_asked_for(component: &Component, table: &DomainTable) -> bool {
    let has = |local: &str| table.uses.iter().any(|written| written.local.value == local);
    let asks = |local: &str| component.gates.iter().any(|need| need.local.value == local);
    component.gates.iter().all(|need| need.is_optional || has(&need.local.value))
        && table.uses.iter().all(|written| asks(&written.local.value))
}

fn find_images<'a>(inputs: &'a Inputs, table: &'a DomainTable) -> Vec<Named<'a, &'a Component>> {
    let images = table.guest.images.iter().filter(|_| inputs.runs_programs(table));
    let find = |written: &'a At<String>| {
        let found = inputs.component(&written.value);
        Named { written, found, is_known: found.is_some_and(|component| component.name == written.value) }
    };
    images.map(find).collect()
}

fn find_right(written: &At<String>) -> Named<'_, Right> {
    let exact = Right::from_name(&written.value);
    let close = || {
        let names = Right::ALL.iter().map(|right| right.name());
        Right::from_name(closest(&written.value, names).filter(|_| !Right::is_builders(&written.value))?)
    };
    Named { written, found: exact.or_else(close), is_known: exact.is_some() }
}

/// The need decides which gate of the server is meant: the manifest names only the two domains.
fn find_gate<'a>(
    inputs: &'a Inputs,
    names: &Names<'_>,
    component: Option<&'a Component>,
    given: &HashSet<&str>,
    table: &'a UseTable,
) -> DraftGateUse<'a> {
    let server = names.find(&table.from);
    let offers = server.found.and_then(|server| component_of(inputs, &inputs.manifest.domains[server]));
    let needs = || component.iter().flat_map(|component| component.gates.iter().enumerate());
    let called = |name: &str| needs().find(|(_, need)| need.local.value == name);
    let exact = called(&table.local.value);
    let open = || needs().filter(|(_, need)| !given.contains(need.local.value.as_str()));
    let close = || called(closest(&table.local.value, open().map(|(_, need)| need.local.value.as_str()))?);
    let is_offered =
        |gate: &str| offers.is_some_and(|server| server.offers.iter().any(|offer| offer.name.value == gate));
    let fitting = || open().find(|(_, need)| is_offered(&need.gate.value));
    let need = exact.or_else(close).or_else(fitting);
    let offer = need.zip(offers).and_then(|((_, need), server)| {
        server.offers.iter().enumerate().find(|(_, offer)| offer.name.value == need.gate.value)
    });
    let (is_needed, is_known) = (exact.is_some(), server.is_known);
    DraftGateUse { table, need, is_needed, server: server.found, is_known, offer }
}

/// Each device serves the first need of its class that has none yet.
fn find_devices<'a>(
    machine: Option<(&'a Platform, &Names<'_>)>,
    component: Option<&'a Component>,
    written: &'a [At<String>],
) -> Vec<DraftDevice<'a>> {
    let mut open: Vec<_> =
        component.iter().flat_map(|component| component.devices.iter().enumerate()).collect();
    let mut devices = Vec::new();
    for name in written {
        let named = machine.map(|(platform, names)| (platform, names.find(name)));
        let found = named.and_then(|(platform, named)| Some((named.found?, &platform.devices[named.found?])));
        let fits = |(_, need): &(usize, &DeviceNeed)| {
            found.is_some_and(|(_, device)| device.class.value == need.class.value)
        };
        let need = open.iter().position(fits).map(|place| open.remove(place));
        let is_known = named.is_some_and(|(_, named)| named.is_known);
        devices.push(DraftDevice { written: name, found, is_known, need });
    }
    devices
}
