//! Switches, their ports, and what leads to them from the host.

use cloison_abi::port::PortFlags;

use crate::system::{Port, Switch, System};
use crate::table::Table;

/// One table for each switch.
pub(super) fn switches(system: &System) -> String {
    system.switches().iter().map(|switch| ports(system, switch)).collect()
}

fn ports(system: &System, switch: &Switch) -> String {
    let mut table = Table::new([">port", "domain", "address", "MAC", ">VLAN", ">MTU", "rate", "may send to"]);
    for (number, port) in switch.ports.iter().enumerate() {
        let is_mirror = port.flags.contains(PortFlags::MIRROR);
        let unless_mirror = |text: String| if is_mirror { String::new() } else { text };
        table.row([
            number.to_string(),
            system.domain(port.domain).name.clone(),
            address(port),
            unless_mirror(port.mac.to_string()),
            unless_mirror(port.vlan.to_string()),
            port.mtu.to_string(),
            rate(port),
            receivers(system, switch, number),
        ]);
    }
    table.render(&title(system, switch))
}

fn title(system: &System, switch: &Switch) -> String {
    let facts = [
        switch.network.map(|network| format!("network {network}")),
        switch.gateway.map(|gateway| format!("gateway {gateway}")),
        switch.name_server.map(|server| format!("name server {server}")),
        Some(match switch.uplink() {
            Some(port) => format!("uplink {}", system.domain(switch.ports[port].domain).name),
            None => "no uplink".to_owned(),
        }),
    ];
    let facts: Vec<_> = facts.into_iter().flatten().collect();
    format!("Ports of the switch {}: {}", system.domain(switch.domain).name, facts.join(", "))
}

fn address(port: &Port) -> String {
    let special = [
        (PortFlags::UPLINK, "the world outside"),
        (PortFlags::DHCP, "asks a server"),
        (PortFlags::MIRROR, "gets a copy of all"),
    ];
    let special = special.into_iter().find(|(flag, _)| port.flags.contains(*flag));
    match (port.address, special) {
        (Some(address), _) => address.to_string(),
        (None, Some((_, text))) => text.to_owned(),
        (None, None) => "none".to_owned(),
    }
}

fn rate(port: &Port) -> String {
    match port.rate_bytes {
        0 => String::new(),
        rate => format!("{} KB/s, {} KiB at once", rate / 1000, port.burst_bytes / 1024),
    }
}

fn receivers(system: &System, switch: &Switch, number: usize) -> String {
    let receivers = (0..switch.ports.len()).filter(|to| switch.may_send(number, *to));
    let names: Vec<_> = receivers.map(|to| system.domain(switch.ports[to].domain).name.as_str()).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

/// Nothing if there are none.
pub(super) fn forwards(system: &System) -> String {
    if system.forwards().is_empty() {
        return String::new();
    }
    let mut table = Table::new(["name", "port of the host", "domain", "address", ">port"]);
    for forward in system.forwards() {
        table.row([
            forward.name.clone(),
            forward.host_port.map_or("a free one".to_owned(), |port| port.to_string()),
            system.domain(forward.to).name.clone(),
            system.reach(forward.to).map_or(String::new(), |address| address.to_string()),
            forward.port.to_string(),
        ]);
    }
    table.render("Forwards from the host")
}
