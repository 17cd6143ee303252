//! Names looked up as far as they can be.
//!
//! Says nothing about what it could not find: that is for the checks, which see a name and, beside it, what
//! it led to or that it led nowhere. So one wrong name does not hide what is wrong elsewhere.

use cloison_abi::port::PortSettings;

use crate::diagnostic::{At, Span};
use crate::manifest::{
    Component, Device, DeviceNeed, DomainTable, GateNeed, Inputs, Lookup, Offer, Platform, UseTable,
};

use super::Right;

mod switch;

pub use switch::{DraftForward, DraftPort, DraftSwitch, Read};

/// A name and what it led to.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a, T> {
    /// The name as written.
    pub written: &'a At<String>,
    /// What has this name.
    pub found: Option<T>,
}

/// A system whose names have been looked up.
#[derive(Debug)]
pub struct Draft<'a> {
    /// What was read.
    pub inputs: &'a Inputs,
    /// Its platform, if that could be read.
    pub platform: Option<&'a Platform>,
    /// Its domains.
    pub domains: Vec<DraftDomain<'a>>,
    /// Its switches.
    pub switches: Vec<DraftSwitch<'a>>,
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
    pub uses: Vec<DraftUse<'a>>,
    /// The devices that it was given.
    pub devices: Vec<DraftDevice<'a>>,
    /// The rights that it was given.
    pub rights: Vec<Named<'a, Right>>,
    /// The domain that decides when it faults.
    pub fault_handler: Option<Named<'a, usize>>,
}

/// A gate that a domain was given.
#[derive(Debug, Clone, Copy)]
pub struct DraftUse<'a> {
    /// As written.
    pub table: &'a UseTable,
    /// What the component needs under this name: its place among the needs, and the need.
    pub need: Option<(usize, &'a GateNeed)>,
    /// The server.
    pub server: Option<usize>,
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
    /// What the component needs it for.
    pub need: Option<(usize, &'a DeviceNeed)>,
}

/// That one domain may call another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Who calls.
    pub client: usize,
    /// Who is called.
    pub server: usize,
    /// Where the manifest says so.
    pub at: Span,
}

impl<'a> Draft<'a> {
    /// Looks up every name.
    #[must_use]
    pub fn new(inputs: &'a Inputs) -> Self {
        let platform = inputs.platform.found();
        let manifest = &inputs.manifest;
        let domains =
            manifest.domains.iter().map(|table| DraftDomain::new(inputs, platform, table)).collect();
        let ends_with = manifest.ends_with.as_ref().map(|written| find_domain(inputs, written));
        let switches = manifest.switches.iter().enumerate();
        Self {
            inputs,
            platform,
            domains,
            switches: switches.map(|(place, table)| DraftSwitch::new(inputs, place, table)).collect(),
            forwards: manifest.forwards.iter().map(|table| DraftForward::new(inputs, table)).collect(),
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
            .flat_map(|(client, domain)| domain.uses.iter().map(move |grant| (client, grant)));
        uses.filter_map(|(client, grant)| {
            Some(Call { client, server: grant.server?, at: grant.table.from.span })
        })
        .collect()
    }

    /// Names of all domains, for proposals.
    pub fn domain_names(&self) -> impl Iterator<Item = &'a str> + Clone {
        self.inputs.manifest.domains.iter().map(|table| table.name.value.as_str())
    }

    /// Every gate that leads into a domain, with the offer.
    pub fn clients(&self, server: usize) -> impl Iterator<Item = &'a Offer> {
        let uses = self.domains.iter().flat_map(|domain| &domain.uses);
        uses.filter(move |grant| grant.server == Some(server)).filter_map(|grant| Some(grant.offer?.1))
    }
}

impl<'a> DraftDomain<'a> {
    /// How many bytes its settings take: ports, arguments. The domain's place among all is `place`.
    pub fn settings(&self, draft: &Draft<'_>, place: usize) -> [usize; 2] {
        let ports = |switch: &DraftSwitch<'_>| {
            let own = switch.ports.iter().filter(|port| port.domain == Some(place)).count();
            own + if switch.domain == Some(place) { switch.ports.len() } else { 0 }
        };
        let ports: usize = draft.switches.iter().map(ports).sum();
        let arguments = self.table.arguments.as_ref().map_or(0, |arguments| arguments.value.len());
        [ports * size_of::<PortSettings>(), arguments]
    }

    fn new(inputs: &'a Inputs, platform: Option<&'a Platform>, table: &'a DomainTable) -> Self {
        let component = component_of(inputs, table);
        Self {
            table,
            component,
            uses: table.uses.iter().map(|written| find_gate(inputs, component, written)).collect(),
            devices: find_devices(platform, component, &table.devices),
            rights: table.rights.iter().map(find_right).collect(),
            fault_handler: table.fault_handler.as_ref().map(|written| find_domain(inputs, written)),
        }
    }
}

fn component_of<'a>(inputs: &'a Inputs, table: &DomainTable) -> Option<&'a Component> {
    inputs.components.get(&table.component.as_ref()?.value).and_then(Lookup::found)
}

fn find_domain<'a>(inputs: &Inputs, written: &'a At<String>) -> Named<'a, usize> {
    let domains = &inputs.manifest.domains;
    Named { written, found: domains.iter().position(|domain| domain.name.value == written.value) }
}

fn find_right(written: &At<String>) -> Named<'_, Right> {
    Named { written, found: Right::from_name(&written.value) }
}

/// The need decides which gate of the server is meant: the manifest names only the two domains.
fn find_gate<'a>(inputs: &'a Inputs, component: Option<&'a Component>, table: &'a UseTable) -> DraftUse<'a> {
    let server = find_domain(inputs, &table.from).found;
    let offers = server.and_then(|server| component_of(inputs, &inputs.manifest.domains[server]));
    let needs = component.iter().flat_map(|component| component.gates.iter().enumerate());
    let need = needs.into_iter().find(|(_, need)| need.local.value == table.local.value);
    let offer = need.zip(offers).and_then(|((_, need), server)| {
        server.offers.iter().enumerate().find(|(_, offer)| offer.name.value == need.gate.value)
    });
    DraftUse { table, need, server, offer }
}

/// Each device serves the first need of its class that has none yet.
fn find_devices<'a>(
    platform: Option<&'a Platform>,
    component: Option<&'a Component>,
    written: &'a [At<String>],
) -> Vec<DraftDevice<'a>> {
    let mut open: Vec<_> =
        component.iter().flat_map(|component| component.devices.iter().enumerate()).collect();
    let mut devices = Vec::new();
    for name in written {
        let all = platform.iter().flat_map(|platform| platform.devices.iter().enumerate());
        let found = all.into_iter().find(|(_, device)| device.name.value == name.value);
        let fits = |(_, need): &(usize, &DeviceNeed)| {
            found.is_some_and(|(_, device)| device.class.value == need.class.value)
        };
        let need = open.iter().position(fits).map(|place| open.remove(place));
        devices.push(DraftDevice { written: name, found, need });
    }
    devices
}
