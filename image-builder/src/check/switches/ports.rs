//! What ports and their switch need from components, and whether what a port says goes together.

use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::port::{ETHERNET_HEADER_BYTES, MAX_PORTS, MAX_VLAN};

use crate::diagnostic::{Diagnostic, Span, propose};
use crate::run::NETWORK_CARD;
use crate::system::{Draft, DraftPort, DraftSwitch, PORT_GATE};

use super::each_port;

/// Smallest and largest packets: RFC 791 lets every host rely on the one, the length field ends with the
/// other.
const MTU_RANGE: std::ops::RangeInclusive<u64> = 576..=65_535;
/// Bytes of one direction's memory that hold no frames: the words of its ring.
const RING_WORDS_BYTES: u64 = 64;
/// Bytes in front of each frame in a ring.
const FRAME_HEADER_BYTES: u64 = 8;
/// Highest rate, in Mbit/s, and largest burst, in KiB.
const MAX_RATE: u64 = 1_000_000;

/// A switch is whoever offers the gate, with memory that one side writes.
pub(crate) fn gate(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for switch in &draft.switches {
        let name = &switch.table.name;
        let Some(component) = switch.domain.and_then(|domain| draft.domains[domain].component) else {
            continue;
        };
        let offer = component.offers.iter().find(|offer| offer.name.value == PORT_GATE);
        let (at, reason) = match offer {
            None => (component.summary.span, "offers no gate `port`"),
            Some(offer) if offer.one_way_pages == 0 => {
                (offer.name.span, "gives its gate `port` no one-way memory")
            }
            Some(_) => continue,
        };
        let message = format!(
            "the domain `{}` cannot be a switch: its component `{}` {reason}",
            name.value, component.name
        );
        let fault = Diagnostic::new(name.span, message).label(at, "here");
        faults
            .push(fault.help("let it run a component that offers `port` with one_way_pages, such as `ore`"));
    }
    let uses = draft.domains.iter().flat_map(|domain| &domain.uses);
    for grant in uses.filter(|grant| grant.table.is_port) {
        let Some((_, need)) = grant.need.filter(|(_, need)| need.gate.value != PORT_GATE) else { continue };
        let message = format!("the gate `{}` is no port of a switch", grant.table.local.value);
        let fault = Diagnostic::new(grant.table.local.span, message)
            .label(need.gate.span, format!("it is a gate `{}`", need.gate.value));
        faults.push(fault.help("name the component's gate to a switch with `gate = `"));
    }
    faults
}

/// A client of which the switch knows nothing could send nothing.
pub(crate) fn without_port(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for domain in &draft.domains {
        for grant in domain.uses.iter().filter(|grant| !grant.table.is_port) {
            let is_port = grant.need.is_some_and(|(_, need)| need.gate.value == PORT_GATE);
            if is_port && grant.server.is_some() {
                let (name, switch) = (&domain.table.name.value, &grant.table.from);
                let message =
                    format!("the domain `{name}` uses the switch `{}`, but has no port there", switch.value);
                let help = format!(
                    "add `[switch.{}.port.{name}]` and remove this use: the port implies it",
                    switch.value
                );
                faults.push(Diagnostic::new(switch.span, message).help(help));
            }
        }
    }
    faults
}

pub(crate) fn lonely(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (switch, port) in each_port(draft).filter(|(_, port)| !port.table.is_mirror) {
        let (name, vlan) = (&port.table.name, port.vlan);
        let at = port.vlan_at.unwrap_or(name.span);
        if vlan == 0 || vlan > MAX_VLAN.into() {
            let message = format!("the VLAN {vlan} of `{}` is out of range", name.value);
            faults.push(Diagnostic::new(at, message).help(format!("give a number from 1 to {MAX_VLAN}")));
            continue;
        }
        let others =
            || switch.ports.iter().filter(|other| !std::ptr::eq(*other, port) && !other.table.is_mirror);
        if others().next().is_some() && others().all(|other| other.vlan != vlan) {
            let message = format!(
                "`{}` is alone in the VLAN {vlan} of the switch `{}`",
                name.value, switch.table.name.value
            );
            let mut known: Vec<_> = others().map(|other| other.vlan).collect();
            known.sort_unstable();
            known.dedup();
            let known: Vec<_> = known.iter().map(u64::to_string).collect();
            let help =
                format!("give it the VLAN of somebody else ({}), or remove the port", known.join(", "));
            faults.push(Diagnostic::new(at, message).help(help));
        }
    }
    faults
}

pub(crate) fn access(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each_port(draft).flat_map(|(switch, port)| wrong_receivers(switch, port)).collect()
}

fn wrong_receivers(switch: &DraftSwitch<'_>, port: &DraftPort<'_>) -> Vec<Diagnostic> {
    let name = &port.table.name;
    let names = || switch.ports.iter().map(|port| port.table.name.value.as_str());
    let mut faults = Vec::new();
    for receiver in port.sends_to.iter().flatten() {
        let written = receiver.written;
        let reason = match receiver.found.map(|number| &switch.ports[number]) {
            None => {
                let message = format!(
                    "the switch `{}` has no port of a domain `{}`",
                    switch.table.name.value, written.value
                );
                let help = propose(&written.value, "port", names().collect::<Vec<_>>());
                faults.push(Diagnostic::new(written.span, message).help(help));
                continue;
            }
            Some(other) if std::ptr::eq(other, port) => "nobody sends to itself".to_owned(),
            Some(other) if other.table.is_mirror => "a mirror port gets a copy of all anyway".to_owned(),
            Some(other) if other.vlan != port.vlan => {
                format!("it is in the VLAN {}, `{}` in {}", other.vlan, name.value, port.vlan)
            }
            Some(_) => continue,
        };
        let message = format!("`{}` cannot send to `{}`: {reason}", name.value, written.value);
        faults.push(Diagnostic::new(written.span, message).help("remove it from the list"));
    }
    faults
}

pub(crate) fn uplink(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (_, port) in each_port(draft).filter(|(_, port)| port.is_uplink) {
        let Some(domain) = port.domain.map(|domain| &draft.domains[domain]) else { continue };
        let mut devices = domain.devices.iter().filter_map(|device| Some(device.found?.1));
        if devices.any(|device| device.class.value == NETWORK_CARD) {
            continue;
        }
        let cards = draft.platform.iter().flat_map(|platform| &platform.devices);
        let card = cards.into_iter().find(|device| device.class.value == NETWORK_CARD);
        let help = match card {
            Some(card) => format!("add `devices = [\"{}\"]` to it", card.name.value),
            None => format!("the platform has no device of the class `{NETWORK_CARD}`; remove the uplink"),
        };
        let name = &port.table.name;
        let message = format!("the domain `{}` cannot be an uplink: it owns no network card", name.value);
        let fault = Diagnostic::new(name.span, message).label(domain.table.name.span, "the domain");
        faults.push(fault.help(help));
    }
    faults
}

pub(crate) fn number(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let too_many = draft.switches.iter().filter_map(|switch| Some((switch, switch.ports.get(MAX_PORTS)?)));
    let faults = too_many.map(|(switch, first)| {
        let (name, count) = (&switch.table.name.value, switch.ports.len());
        let message = format!("the switch `{name}` has {count} ports, it can have {MAX_PORTS}");
        let fault = Diagnostic::new(first.table.name.span, message).note("the first that does not fit");
        fault.help("use a second switch; MAX_PORTS of the ABI crate sets the limit")
    });
    faults.collect()
}

/// What cannot be said of one port at once.
pub(crate) fn contradictions(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for switch in &draft.switches {
        if let (Some(vlan), None) = (&switch.table.uplink_vlan, &switch.table.uplink) {
            let message = format!(
                "the switch `{}` states the VLAN of an uplink, but has none",
                switch.table.name.value
            );
            faults
                .push(Diagnostic::new(vlan.span, message).help("add `uplink = ` and a domain, or remove it"));
        }
        for port in &switch.ports {
            let all = contradictions_of(switch, port).into_iter();
            faults.extend(all.filter_map(|(stated, key, reason)| {
                let message = format!("the port of `{}` has `{key}`, but {reason}", port.table.name.value);
                Some(Diagnostic::new(stated?, message).help(format!("remove `{key}`")))
            }));
        }
    }
    faults
}

/// Where each is stated, if it is; the key; why it must not be.
fn contradictions_of(
    switch: &DraftSwitch<'_>,
    port: &DraftPort<'_>,
) -> Vec<(Option<Span>, &'static str, &'static str)> {
    let table = port.table;
    let address = table.address.as_ref().map(|address| address.span);
    let mac = table.mac.as_ref().map(|mac| mac.span);
    let vlan = table.vlan.as_ref().map(|vlan| vlan.span);
    let mut all = Vec::new();
    if table.is_mirror {
        let list = table.sends_to.as_ref().map(|_| table.name.span);
        let rate = table.rate_mbit.as_ref().map(|rate| rate.span);
        let keys =
            [(address, "address"), (mac, "mac"), (vlan, "vlan"), (list, "sends_to"), (rate, "rate_mbit")];
        all.extend(keys.map(|(at, key)| (at, key, "it is a mirror port, which sends nothing")));
    }
    if port.is_uplink {
        let what = "behind an uplink there are many addresses";
        all.extend([(address, "address", what), (mac, "mac", what)]);
        let mirror = table.is_mirror.then_some(table.name.span);
        all.push((mirror, "mirror", "it is the uplink"));
        let again = vlan.filter(|_| switch.table.uplink_vlan.is_some());
        all.push((again, "vlan", "the switch states `uplink_vlan` already"));
    }
    let burst = table.burst_kib.as_ref().map(|burst| burst.span);
    all.push((burst.filter(|_| table.rate_mbit.is_none()), "burst_kib", "it has no `rate_mbit`"));
    all
}

/// Packets that fit their rings and rates that let them through.
pub(crate) fn sizes(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults: Vec<_> = draft.switches.iter().filter_map(|switch| wrong_mtu(draft, switch)).collect();
    faults.extend(each_port(draft).filter_map(|(switch, port)| wrong_rate(switch, port)));
    faults
}

fn wrong_mtu(draft: &Draft<'_>, switch: &DraftSwitch<'_>) -> Option<Diagnostic> {
    let at = switch.table.mtu.as_ref().map_or(switch.table.name.span, |mtu| mtu.span);
    let (name, mtu) = (&switch.table.name.value, switch.mtu);
    if !MTU_RANGE.contains(&mtu) {
        let message = format!("the mtu of the switch `{name}`, {mtu}, is out of range");
        let help = format!("give a number from {} to {}", MTU_RANGE.start(), MTU_RANGE.end());
        return Some(Diagnostic::new(at, message).help(help));
    }
    let component = draft.domains[switch.domain?].component?;
    let offer = component.offers.iter().find(|offer| offer.name.value == PORT_GATE)?;
    let pages = ring_pages(mtu + u64::from(ETHERNET_HEADER_BYTES));
    let (there, gate) = (offer.one_way_pages, offer.name.span);
    (there > 0 && there < pages).then(|| {
        let message = format!(
            "frames with the mtu {mtu} of the switch `{name}` need {pages} pages, a port has {there}"
        );
        let fault = Diagnostic::new(at, message).label(gate, "the pages are stated here");
        fault.help("give a smaller `mtu`, or the component's gate more one_way_pages")
    })
}

/// Pages of the smallest ring for frames so long. It holds two of them, and its length is a power of two, as
/// the library's `frames` says.
fn ring_pages(frame_bytes: u64) -> u64 {
    let ring = (2 * (frame_bytes + FRAME_HEADER_BYTES)).next_power_of_two();
    (RING_WORDS_BYTES + ring).div_ceil(PAGE_BYTES)
}

/// A frame longer than the burst would never be let through.
fn wrong_rate(switch: &DraftSwitch<'_>, port: &DraftPort<'_>) -> Option<Diagnostic> {
    let rate = port.table.rate_mbit.as_ref()?;
    let name = &port.table.name.value;
    if rate.value == 0 || rate.value > MAX_RATE {
        let message = format!("the rate of `{name}`, {} Mbit/s, is out of range", rate.value);
        return Some(Diagnostic::new(rate.span, message).help(format!("give a number from 1 to {MAX_RATE}")));
    }
    let frame = switch.port_mtu(port).saturating_add(ETHERNET_HEADER_BYTES.into());
    let burst = port.burst_kib();
    let range = frame.div_ceil(1024)..=MAX_RATE;
    (!range.contains(&burst)).then(|| {
        let at = port.table.burst_kib.as_ref().map_or(rate.span, |burst| burst.span);
        let message = format!(
            "the burst of `{name}`, {burst} KiB, does not fit frames of {frame} bytes, or is too large"
        );
        Diagnostic::new(at, message).help(format!(
            "give `burst_kib` from {} to {}",
            range.start(),
            range.end()
        ))
    })
}
