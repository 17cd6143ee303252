//! IPv4 and MAC addresses.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::net::Ipv4Addr;

use crate::diagnostic::{Diagnostic, Span, did_you_mean};
use crate::system::{DHCP, Draft, DraftPort, DraftSwitch, Network, Read, read_address};

use super::{each_port, each_switch};

pub(crate) fn malformed(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for switch in each_switch(draft) {
        faults.extend(switch.network.as_ref().and_then(|read| unread(read, "a network", network_help)));
        let others = [&switch.gateway, &switch.name_server].into_iter().flatten();
        faults.extend(others.filter_map(|read| unread(read, "an IPv4 address", |_| ADDRESS_HELP.to_owned())));
    }
    for (_, port) in each_port(draft) {
        let address = port.address.as_ref();
        faults.extend(address.and_then(|read| unread(read, "an IPv4 address", port_address_help)));
        let mac = port.mac.as_ref();
        faults
            .extend(mac.and_then(|read| unread(read, "a MAC address of one port", |_| MAC_HELP.to_owned())));
    }
    faults
}

const ADDRESS_HELP: &str = "give an IPv4 address, or leave it out";
const MAC_HELP: &str = "give a MAC address such as \"02:00:00:00:00:0b\", or leave it out";

fn unread<T>(read: &Read<'_, T>, what: &str, help: impl Fn(&str) -> String) -> Option<Diagnostic> {
    let reason = read.value.as_ref().err()?;
    let written = &read.written.value;
    let message = format!("`{written}` is not {what}: {reason}");
    Some(Diagnostic::new(read.written.span, message).help(help(written)))
}

fn port_address_help(written: &str) -> String {
    did_you_mean(written, [DHCP])
        .unwrap_or_else(|| format!("give an IPv4 address, or `{DHCP}`, or leave it out"))
}

/// The network that the address is in, if it names a host of one.
fn network_help(written: &str) -> String {
    let parts = written.split_once('/');
    let read = parts.and_then(|(address, bits)| Some((read_address(address).ok()?, bits.parse().ok()?)));
    let around = read.filter(|(_, bits)| (1..=30).contains(bits));
    let around = around.map(|(address, bits)| Network::around(address, bits).to_string());
    match around.filter(|network| network.parse::<Network>().is_ok()) {
        Some(network) => format!("give \"{network}\""),
        None => "give a network such as \"192.168.0.0/24\"".to_owned(),
    }
}

pub(crate) fn outside(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for switch in each_switch(draft) {
        let gateway = switch.gateway.iter().map(|gateway| ("the gateway".to_owned(), gateway));
        let ports = switch.ports.iter();
        let ports = ports.filter_map(|port| Some((owner(port), port.address.as_ref()?)));
        let mut hosts = gateway.chain(ports);
        match &switch.network {
            Some(network) => {
                faults.extend(hosts.filter_map(|(whose, address)| no_host(switch, &whose, address, network)))
            }
            // One network is missing, whatever number of addresses it would be for.
            None if is_spoiled(draft, switch) || draft.switches.iter().any(|switch| !switch.is_known) => {}
            None => faults.extend(hosts.find_map(|(whose, address)| no_network(switch, &whose, address))),
        }
    }
    faults
}

fn is_spoiled(draft: &Draft<'_>, switch: &DraftSwitch<'_>) -> bool {
    let (source, path) = switch.table.path();
    draft.inputs.spoiled.contains(source, &format!("{path}.network"))
}

fn no_network(switch: &DraftSwitch<'_>, whose: &str, address: &Read<'_, Ipv4Addr>) -> Option<Diagnostic> {
    let value = address.good()?;
    let name = &switch.table.name;
    let message = format!("{whose} has the address {value}, but the switch `{}` has no network", name.value);
    let fault = Diagnostic::new(address.written.span, message).label(name.span, "the switch");
    Some(fault.help(match network_for(value) {
        Some(network) => format!("add `network = \"{network}\"` to the switch"),
        None => "remove the address: no network has such a host".to_owned(),
    }))
}

/// A network in which a host can have the address, of 254 hosts if possible.
fn network_for(address: Ipv4Addr) -> Option<Network> {
    let sizes = (8..=24).rev().chain(25..=30);
    let networks = sizes.map(|bits| Network::around(address, bits));
    networks
        .into_iter()
        .find(|network| network.has_host(address) && network.to_string().parse::<Network>().is_ok())
}

/// The fault of an address that a host of the switch's network should have.
fn no_host(
    switch: &DraftSwitch<'_>,
    whose: &str,
    address: &Read<'_, Ipv4Addr>,
    network: &Read<'_, Network>,
) -> Option<Diagnostic> {
    let (name, value) = (&switch.table.name.value, address.good()?);
    let reason = not_in(network.good()?, value)?;
    let message = format!("{whose} has the address {value}, {reason} of `{name}`, {}", network.written.value);
    let fault = Diagnostic::new(address.written.span, message).label(network.written.span, "the network");
    Some(fault.help(hosts(network.good()?)))
}

fn not_in(network: Network, address: Ipv4Addr) -> Option<&'static str> {
    if address == network.address {
        Some("which names the network")
    } else if address == network.broadcast() {
        Some("which stands for all in the network")
    } else {
        (!network.contains(address)).then_some("which is not in the network")
    }
}

fn hosts(network: Network) -> String {
    let first = Ipv4Addr::from_bits(network.address.to_bits() + 1);
    let last = Ipv4Addr::from_bits(network.broadcast().to_bits() - 1);
    format!("give an address from {first} to {last}")
}

pub(crate) fn duplicate_address(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for switch in each_switch(draft) {
        let mut claims = Claims::new("address");
        let routers = [("the gateway", &switch.gateway), ("the name server", &switch.name_server)];
        for (whose, address) in routers {
            // One machine can be both.
            if let Some((value, at)) = address.as_ref().and_then(place_of) {
                let _ = claims.claim(value, whose.to_owned(), at);
            }
        }
        for port in &switch.ports {
            let address = port.address.as_ref().and_then(place_of);
            faults.extend(address.and_then(|(value, at)| claims.claim(value, owner(port), at)));
        }
    }
    faults
}

fn place_of(address: &Read<'_, Ipv4Addr>) -> Option<(Ipv4Addr, Span)> {
    Some((address.good()?, address.written.span))
}

pub(crate) fn duplicate_mac(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for switch in each_switch(draft) {
        let mut claims = Claims::new("MAC address");
        let mut addresses = HashSet::new();
        let ports = switch.ports.iter().enumerate().filter(|(_, port)| !port.table.is_mirror);
        for (number, port) in ports {
            let Some(value) = switch.mac(number) else { continue };
            let stated = port.mac.as_ref().map(|mac| mac.written.span);
            let address = port.address.as_ref().and_then(place_of);
            // Two that are worked out are equal if the addresses are, which is another check's.
            if stated.is_none() && address.is_some_and(|(address, _)| !addresses.insert(address)) {
                continue;
            }
            let at = stated.or(address.map(|(_, at)| at)).unwrap_or(port.table.name.span);
            faults.extend(claims.claim(value, owner(port), at));
        }
    }
    faults
}

fn owner(port: &DraftPort<'_>) -> String {
    format!("`{}`", port.table.name.value)
}

/// Addresses, and who has them.
struct Claims<T> {
    what: &'static str,
    owners: HashMap<T, (String, Span)>,
}

impl<T: Copy + Eq + Hash + Display> Claims<T> {
    fn new(what: &'static str) -> Self {
        Self { what, owners: HashMap::new() }
    }

    /// Notes that somebody has an address. Returns what is wrong if another has it already.
    fn claim(&mut self, value: T, whose: String, at: Span) -> Option<Diagnostic> {
        let Some((other, first)) = self.owners.get(&value) else {
            self.owners.insert(value, (whose, at));
            return None;
        };
        let message = format!("{whose} has the {} {value}, which {other} has already", self.what);
        let fault = Diagnostic::new(at, message).label(*first, format!("{other} has it"));
        Some(fault.help("give one of them another; who answers for an address must be clear"))
    }
}
