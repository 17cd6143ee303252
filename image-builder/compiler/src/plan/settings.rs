//! The settings of a domain: what the manifest fixes for it, as the domain reads it.
//!
//! First the ports, which are the switch's or the domain's own; then the policies, if it is the monitor; then who may have
//! what done, if it is the manager; then the directory, if its component needs it; then the arguments; then its guest's
//! command line.

use std::net::Ipv4Addr;

use cloison_abi::Badge;
use cloison_abi::directory::DirectoryEntry;
use cloison_abi::info::{
    Client, SETTINGS_ARGUMENTS, SETTINGS_CMDLINE, SETTINGS_DIRECTORY, SETTINGS_MANAGEMENT, SETTINGS_POLICY,
    SETTINGS_PORTS, Settings,
};
use cloison_abi::management::{Group, MEMBERS, ManagementHeader, Permit};
use cloison_abi::port::PortSettings;
use zerocopy::IntoBytes;

use super::name::name;
use super::policy::PolicyTables;
use crate::caps;
use crate::flow::Flows;
use crate::system::{BMI_GATE, DomainId, PORT_GATE, Port, Switch, System};

/// How many bytes a domain's settings take.
pub(super) fn length(system: &System, id: DomainId) -> u64 {
    let ports = ports_of(system, id).count() * size_of::<PortSettings>();
    let tables = policy(system, id).len() + directory(system, id).len() + management(system, id, &[]).len();
    (ports + tables + texts(system, id).map(|(_, text)| text.len()).iter().sum::<usize>()) as u64
}

/// A domain's settings, to lie at `address`: their bytes, and what the information page says of them. A switch learns
/// from `clients` which of them is at which port.
pub(super) fn settings(
    system: &System,
    id: DomainId,
    address: u64,
    clients: &[Client],
) -> (Vec<u8>, Vec<Settings>) {
    let ports: Vec<_> = ports_of(system, id).map(|port| port.settings(system, clients)).collect();
    let (mut all, mut told) = (Vec::new(), Vec::new());
    let texts = texts(system, id).map(|(kind, text)| (kind, text.as_bytes()));
    let (policy, directory) = (policy(system, id), directory(system, id));
    let management = management(system, id, clients);
    // A directory has texts behind its entries, so it comes last of what has to be aligned.
    let tables = [
        (SETTINGS_PORTS, ports.as_bytes()),
        (SETTINGS_POLICY, &policy),
        (SETTINGS_MANAGEMENT, &management),
        (SETTINGS_DIRECTORY, &directory),
    ];
    for (kind, bytes) in tables.into_iter().chain(texts) {
        if !bytes.is_empty() {
            let (name, address, bytes) = (name(kind), address + all.len() as u64, bytes.len() as u64);
            told.push(Settings { name, address, bytes });
        }
        all.extend_from_slice(bytes);
    }
    (all, told)
}

/// The policies, for the monitor: their tables, one behind the other.
fn policy(system: &System, id: DomainId) -> Vec<u8> {
    let Some(policy) = system.policy().filter(|policy| policy.monitor == id) else { return Vec::new() };
    PolicyTables::new(system, policy, &Flows::new(system)).bytes()
}

/// All domains and whom each can reach, for a component that needs it.
fn directory(system: &System, id: DomainId) -> Vec<u8> {
    if !system.component(system.domain(id).component).directory {
        return Vec::new();
    }
    let (mut entries, mut texts) = (Vec::new(), String::new());
    for (_, domain) in system.domains() {
        // The domain is there, so there is an answer.
        let reach = caps(system, &domain.name).unwrap_or_default();
        entries.push(DirectoryEntry {
            name: name(&domain.name),
            component: name(&system.component(domain.component).name),
            priority: domain.priority as u32,
            entries: system.domains().count() as u32,
            reach_start: texts.len() as u32,
            reach_bytes: reach.len() as u32,
        });
        texts += &reach;
    }
    [entries.as_bytes(), texts.as_bytes()].concat()
}

/// Who may have what done to which domains, for the manager. `clients` is what its information page says of them.
fn management(system: &System, id: DomainId, clients: &[Client]) -> Vec<u8> {
    if system.manager() != Some(id) {
        return Vec::new();
    }
    let mut permits = Vec::new();
    for permit in &system.management().permits {
        let peer = name(&system.domain(permit.client).name);
        let is_its = |client: &&Client| client.name.as_str() == BMI_GATE && client.channel.peer == peer;
        let badge = clients.iter().find(is_its).map_or(0, |client| client.channel.badge.0);
        permits.push(Permit { badge, operations: permit.operations, domains: permit.domains });
    }
    let groups = system.management().groups.iter().map(|group| {
        let mut members = [0; MEMBERS];
        members.iter_mut().zip(&group.members).for_each(|(place, member)| *place = member.0 as u8);
        Group { name: name(&group.name), count: group.members.len() as u32, members }
    });
    let groups: Vec<Group> = groups.collect();
    let header = ManagementHeader { permits: permits.len() as u32, groups: groups.len() as u32 };
    [header.as_bytes(), permits.as_bytes(), groups.as_bytes()].concat()
}

/// The settings that are texts.
fn texts(system: &System, id: DomainId) -> [(&'static str, &str); 2] {
    let domain = system.domain(id);
    let cmdline = domain.guest.as_ref().map_or("", |guest| &guest.cmdline);
    [(SETTINGS_ARGUMENTS, &domain.arguments), (SETTINGS_CMDLINE, cmdline)]
}

/// A port as one side sees it.
enum PortView<'a> {
    Switch(&'a Switch, &'a Port),
    Domain(&'a Switch, &'a Port),
}

/// The ports that a domain's settings tell of: those of the switches that it runs, then its own.
fn ports_of(system: &System, id: DomainId) -> impl Iterator<Item = PortView<'_>> {
    let run = system.switches.iter().filter(move |switch| switch.domain == id);
    let run = run.flat_map(|switch| switch.ports.iter().map(move |port| PortView::Switch(switch, port)));
    let all = system.switches.iter();
    let all = all.flat_map(|switch| switch.ports.iter().map(move |port| PortView::Domain(switch, port)));
    run.chain(all.filter(move |view| matches!(view, PortView::Domain(_, port) if port.domain == id)))
}

impl PortView<'_> {
    fn settings(&self, system: &System, clients: &[Client]) -> PortSettings {
        match self {
            Self::Switch(switch, port) => {
                let name = name(&system.domain(port.domain).name);
                let is_at_port =
                    |client: &&Client| client.name.as_str() == PORT_GATE && client.channel.peer == name;
                PortSettings {
                    name,
                    badge: clients.iter().find(is_at_port).map_or(Badge(0), |client| client.channel.badge),
                    vlan: port.vlan,
                    may_send_to: port.may_send_to,
                    rate_bytes: port.rate_bytes,
                    burst_bytes: port.burst_bytes,
                    ..common(system, switch, port)
                }
            }
            Self::Domain(switch, port) => {
                PortSettings { name: name(&port.local), ..common(system, switch, port) }
            }
        }
    }
}

/// What both sides are told. A domain without a fixed address learns the network from elsewhere, or has no
/// use for it.
fn common(system: &System, switch: &Switch, port: &Port) -> PortSettings {
    let has_network = port.address.is_some();
    let octets =
        |address: Option<Ipv4Addr>| address.filter(|_| has_network).map_or([0; 4], |one| one.octets());
    let network = switch.network.filter(|_| has_network);
    PortSettings {
        switch: name(&system.domain(switch.domain).name),
        flags: port.flags.bits(),
        mac: port.mac.0,
        address: octets(port.address),
        prefix_bits: network.map_or(0, |network| network.prefix_bits),
        gateway: octets(switch.gateway),
        name_server: octets(switch.name_server),
        mtu: port.mtu,
        ..PortSettings::default()
    }
}
