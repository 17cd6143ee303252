//! IPv4 and MAC addresses.

use std::net::Ipv4Addr;

use crate::diagnostic::{Diagnostic, Span};
use crate::system::{Draft, DraftPort, DraftSwitch, Network, Read};

use super::each_port;

pub(crate) fn malformed(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for switch in &draft.switches {
        faults.extend(switch.network.as_ref().and_then(|read| unread(read, "a network")));
        faults
            .extend([&switch.gateway, &switch.name_server].into_iter().flatten().filter_map(unread_address));
    }
    for (_, port) in each_port(draft) {
        faults.extend(port.address.as_ref().and_then(unread_address));
        faults.extend(port.mac.as_ref().and_then(|read| unread(read, "a MAC address of one port")));
    }
    faults
}

fn unread_address(read: &Read<'_, Ipv4Addr>) -> Option<Diagnostic> {
    unread(read, "an IPv4 address")
}

fn unread<T>(read: &Read<'_, T>, what: &str) -> Option<Diagnostic> {
    let reason = read.value.as_ref().err()?;
    let message = format!("`{}` is not {what}: {reason}", read.written.value);
    Some(Diagnostic::new(read.written.span, message).help(format!("give {what}, or leave it out")))
}

pub(crate) fn outside(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for switch in &draft.switches {
        faults.extend(switch.gateway.as_ref().and_then(|gateway| no_host(switch, "the gateway", gateway)));
        for port in &switch.ports {
            let Some(address) = &port.address else { continue };
            faults.extend(no_host(switch, &format!("`{}`", port.table.name.value), address));
        }
    }
    faults
}

/// What is wrong with an address that a host of the switch's network is to have.
fn no_host(switch: &DraftSwitch<'_>, whose: &str, address: &Read<'_, Ipv4Addr>) -> Option<Diagnostic> {
    let value = address.good()?;
    let name = &switch.table.name;
    let Some(network) = &switch.network else {
        let message =
            format!("{whose} has the address {value}, but the switch `{}` has no network", name.value);
        let fault = Diagnostic::new(address.written.span, message).label(name.span, "the switch");
        return Some(fault.help("add `network = ` and a network such as \"192.168.0.0/24\" to the switch"));
    };
    let reason = not_in(network.good()?, value)?;
    let message =
        format!("{whose} has the address {value}, {reason} of `{}`, {}", name.value, network.written.value);
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
    for switch in &draft.switches {
        let mut claims: Vec<Claim<Ipv4Addr>> = Vec::new();
        let routers = [("the gateway", &switch.gateway), ("the name server", &switch.name_server)];
        for (whose, address) in routers {
            // One machine can be both.
            claims.extend(address.as_ref().and_then(|address| Claim::of_address(whose.to_owned(), address)));
        }
        for port in &switch.ports {
            let Some(claim) =
                port.address.as_ref().and_then(|address| Claim::of_address(owner(port), address))
            else {
                continue;
            };
            faults.extend(claim.taken("address", &claims));
            claims.push(claim);
        }
    }
    faults
}

pub(crate) fn duplicate_mac(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for switch in &draft.switches {
        let mut claims = Vec::new();
        let ports = switch.ports.iter().enumerate().filter(|(_, port)| !port.table.is_mirror);
        for (number, port) in ports {
            let Some(value) = switch.mac(number) else { continue };
            let stated = port.mac.as_ref().map(|mac| mac.written.span);
            let from_address = || port.address.as_ref().map(|address| address.written.span);
            let at = stated.or_else(from_address).unwrap_or(port.table.name.span);
            let claim = Claim { whose: owner(port), at, value };
            faults.extend(claim.taken("MAC address", &claims));
            claims.push(claim);
        }
    }
    faults
}

fn owner(port: &DraftPort<'_>) -> String {
    format!("`{}`", port.table.name.value)
}

/// An address that somebody has.
struct Claim<T> {
    whose: String,
    at: Span,
    value: T,
}

impl Claim<Ipv4Addr> {
    fn of_address(whose: String, address: &Read<'_, Ipv4Addr>) -> Option<Self> {
        Some(Self { whose, at: address.written.span, value: address.good()? })
    }
}

impl<T: PartialEq + std::fmt::Display> Claim<T> {
    fn taken(&self, what: &str, earlier: &[Self]) -> Option<Diagnostic> {
        let other = earlier.iter().find(|other| other.value == self.value)?;
        let message =
            format!("{} has the {what} {}, which {} has already", self.whose, self.value, other.whose);
        let fault = Diagnostic::new(self.at, message).label(other.at, format!("{} has it", other.whose));
        Some(fault.help("give one of them another; who answers for an address must be clear"))
    }
}
