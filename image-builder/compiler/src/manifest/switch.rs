//! Switches, their ports and the forwards from the host, as the manifest states them.

use std::collections::HashMap;

use super::reader::{Item, Reader};
use super::{DomainTable, UseTable};
use crate::diagnostic::{At, SourceId, closest};

/// A component's name for its gate to a switch, unless the port gives another.
pub const DEFAULT_GATE: &str = "net";

/// One `[switch.NAME]`.
#[derive(Debug, Clone)]
pub struct SwitchTable {
    /// Its name, which is that of the domain that runs it.
    pub name: At<String>,
    /// The network that the addresses of its ports are from.
    pub network: Option<At<String>>,
    /// The router to elsewhere.
    pub gateway: Option<At<String>>,
    /// A name server.
    pub name_server: Option<At<String>>,
    /// The domain with the network card.
    pub uplink: Option<At<String>>,
    /// The VLAN of its port.
    pub uplink_vlan: Option<At<u64>>,
    /// Largest packet between domains, in bytes.
    pub mtu: Option<At<u64>>,
    /// Its ports, that of the uplink among them.
    pub ports: Vec<PortTable>,
}

/// One `[switch.NAME.port.DOMAIN]`.
#[derive(Debug, Clone)]
pub struct PortTable {
    /// The domain at the port.
    pub name: At<String>,
    /// An IPv4 address, or `dhcp`.
    pub address: Option<At<String>>,
    /// A MAC address.
    pub mac: Option<At<String>>,
    /// The VLAN.
    pub vlan: Option<At<u64>>,
    /// The ports to which it may send, if not to all of its VLAN.
    pub sends_to: Option<Vec<At<String>>>,
    /// How much it may send, in Mbit/s.
    pub rate_mbit: Option<At<u64>>,
    /// How much of that at once after a rest, in KiB.
    pub burst_kib: Option<At<u64>>,
    /// The component's name for the gate.
    pub gate: Option<At<String>>,
    /// Whether it gets a copy of all that the switch takes in.
    pub is_mirror: bool,
}

/// One `[forward.NAME]`.
#[derive(Debug, Clone)]
pub struct ForwardTable {
    /// Its name.
    pub name: At<String>,
    /// The TCP port of the host.
    pub host_port: Option<At<u64>>,
    /// The domain that it leads to.
    pub to: Option<At<String>>,
    /// That domain's TCP port.
    pub port: Option<At<u64>>,
}

impl SwitchTable {
    /// A switch or port of which nothing can be read has its name nevertheless: others may refer to it.
    pub(super) fn read(name: At<String>, item: Item<'_, '_, '_>) -> Self {
        item.table(|reader| Self::read_table(name.clone(), reader)).unwrap_or_else(|| Self {
            name,
            network: None,
            gateway: None,
            name_server: None,
            uplink: None,
            uplink_vlan: None,
            mtu: None,
            ports: Vec::new(),
        })
    }

    fn read_table(name: At<String>, reader: &mut Reader<'_, '_>) -> Self {
        let mut table = Self {
            name,
            network: reader.text("network"),
            gateway: reader.text("gateway"),
            name_server: reader.text("name_server"),
            uplink: reader.text("uplink"),
            uplink_vlan: reader.number("uplink_vlan"),
            mtu: reader.number("mtu"),
            ports: reader.entries("port", |name, item| Some(PortTable::read(name, item))),
        };
        table.ports.sort_by_key(|port| port.name.span);
        table.add_uplink();
        table
    }

    /// Where it is among all keys of the manifest.
    #[must_use]
    pub fn path(&self) -> (SourceId, String) {
        (self.name.span.source, format!("switch.{}", self.name.value))
    }

    /// The domain with the network card has a port even if nothing more is said of it.
    fn add_uplink(&mut self) {
        let Some(uplink) = &self.uplink else { return };
        if !self.ports.iter().any(|port| port.name.value == uplink.value) {
            self.ports.insert(0, PortTable::plain(uplink.clone()));
        }
    }
}

impl PortTable {
    fn plain(name: At<String>) -> Self {
        Self {
            name,
            address: None,
            mac: None,
            vlan: None,
            sends_to: None,
            rate_mbit: None,
            burst_kib: None,
            gate: None,
            is_mirror: false,
        }
    }

    fn read(name: At<String>, item: Item<'_, '_, '_>) -> Self {
        let read = item.table(|reader| Self {
            address: reader.text("address"),
            mac: reader.text("mac"),
            vlan: reader.number("vlan"),
            sends_to: reader.has("sends_to").then(|| reader.texts("sends_to")),
            rate_mbit: reader.number("rate_mbit"),
            burst_kib: reader.number("burst_kib"),
            gate: reader.text("gate"),
            is_mirror: reader.flag("mirror"),
            ..Self::plain(name.clone())
        });
        read.unwrap_or_else(|| Self::plain(name))
    }

    /// The component's name for its gate to the switch.
    #[must_use]
    pub fn gate(&self) -> &str {
        self.gate.as_ref().map_or(DEFAULT_GATE, |gate| &gate.value)
    }

    /// The use of the switch's gate that the port implies.
    fn implied_use(&self, switch: &At<String>) -> UseTable {
        let default = At { value: DEFAULT_GATE.to_owned(), span: self.name.span };
        UseTable {
            local: self.gate.clone().unwrap_or(default),
            from: At { value: switch.value.clone(), span: self.name.span },
            options: Vec::new(),
            permit: None,
            is_port: true,
            is_disk: false,
        }
    }
}

impl ForwardTable {
    pub(super) fn read(name: At<String>, reader: &mut Reader<'_, '_>) -> Self {
        Self {
            name,
            host_port: reader.number("host_port"),
            to: reader.required_text("to"),
            port: reader.required_number("port"),
        }
    }

    /// Whether it leads to the same port of the same domain.
    pub(super) fn leads_where(&self, other: &Self) -> bool {
        let place = |forward: &Self| {
            let domain = forward.to.as_ref().map(|to| to.value.clone());
            domain.zip(forward.port.as_ref().map(|port| port.value))
        };
        place(self).is_some() && place(self) == place(other)
    }
}

/// Gives each domain the gates that its ports imply. A port of nobody is probably that of whose name is close.
pub(super) fn connect(switches: &[SwitchTable], domains: &mut [DomainTable]) {
    let mut places = HashMap::new();
    for (place, domain) in domains.iter_mut().enumerate() {
        // Those of before something was added to the manifest.
        domain.uses.retain(|given| !given.is_port);
        places.entry(domain.name.value.clone()).or_insert(place);
    }
    let ports = switches.iter().flat_map(|switch| switch.ports.iter().map(move |port| (switch, port)));
    for (switch, port) in ports {
        if let Some(place) = places.get(&port.name.value) {
            domains[*place].uses.push(port.implied_use(&switch.name));
        } else if let Some(meant) = meant(domains, port) {
            domains[meant].uses.push(port.implied_use(&switch.name));
        }
    }
}

fn meant(domains: &[DomainTable], port: &PortTable) -> Option<usize> {
    let name = closest(&port.name.value, domains.iter().map(|domain| domain.name.value.as_str()))?;
    let place = domains.iter().position(|domain| domain.name.value == name)?;
    let has_gate = domains[place].uses.iter().any(|given| given.local.value == port.gate());
    (!has_gate).then_some(place)
}
