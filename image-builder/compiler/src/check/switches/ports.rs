//! What ports and their switch need from components, and whether what a port says goes together.

use std::collections::{BTreeMap, BTreeSet};

use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::port::{ETHERNET_HEADER_BYTES, MAX_PORTS, MAX_VLAN};

use crate::diagnostic::{Diagnostic, Span, propose};
use crate::manifest::{Component, DEFAULT_GATE, GateNeed, NETWORK_CARD};
use crate::system::{Device, Draft, DraftDomain, DraftGateUse, DraftPort, DraftSwitch, PORT_GATE};

use super::super::grants::missing_gate;
use super::{clear_switches, each_port, each_switch};

/// Smallest and largest packets: RFC 791 lets every host rely on the one, the length field ends with the
/// other.
const MTU_RANGE: std::ops::RangeInclusive<u64> = 576..=65_535;
/// Bytes of one direction's memory that hold no frames: the words of its ring.
const RING_WORDS_BYTES: u64 = 64;
/// Bytes in front of each frame in a ring.
const FRAME_HEADER_BYTES: u64 = 8;
/// Highest rate, in Mbit/s, and largest burst, in KiB.
const MAX_RATE: u64 = 1_000_000;
/// Ports or VLANs that one fault lists.
const MOST_LABELS: usize = 8;

/// A switch is a domain that offers the gate, with memory that one side writes.
pub(crate) fn gate(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for switch in each_switch(draft) {
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
    for domain in &draft.domains {
        let ports = domain.uses.iter().filter(|gate_use| gate_use.table.is_port && gate_use.is_needed);
        for gate_use in ports {
            let Some((_, need)) = gate_use.need.filter(|(_, need)| need.gate.value != PORT_GATE) else {
                continue;
            };
            let message = format!("the gate `{}` is no port of a switch", gate_use.table.local.value);
            let fault = Diagnostic::new(gate_use.table.local.span, message)
                .label(need.gate.span, format!("it is a gate `{}`", need.gate.value));
            faults.push(fault.help(how_to_name_the_gate(draft, domain, need, gate_use.server)));
        }
    }
    faults
}

/// The component's gates that can be a port and are none yet. Without one, the gate that was named is to be given as
/// what it is, by the switch if that offers it.
fn how_to_name_the_gate(
    draft: &Draft<'_>,
    domain: &DraftDomain<'_>,
    named: &GateNeed,
    switch: Option<usize>,
) -> String {
    let is_given = |name: &str| domain.uses.iter().any(|gate_use| gate_use.table.local.value == name);
    let needs = domain.component.iter().flat_map(|component| &component.gates);
    let mut open = needs.filter(|need| need.gate.value == PORT_GATE && !is_given(&need.local.value));
    match open.next() {
        Some(need) => format!("say `gate = \"{}\"`", need.local.value),
        None => {
            let (local, gate) = (&named.local.value, &named.gate.value);
            let offers =
                |component: &Component| component.offers.iter().any(|offer| offer.name.value == *gate);
            match switch
                .map(|switch| &draft.domains[switch])
                .filter(|switch| switch.component.is_some_and(offers))
            {
                Some(switch) => format!(
                    "write `uses.{local} = \"{}\"` of the domain in place of the port",
                    switch.table.name.value
                ),
                None if named.is_optional => "remove the port: the component has no gate for it".to_owned(),
                None => format!("remove the port, and give the domain its gate by `uses.{local}`"),
            }
        }
    }
}

/// A client of which the switch knows nothing could send nothing.
pub(crate) fn without_port(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (place, domain) in draft.domains.iter().enumerate() {
        let ports = || domain.uses.iter().filter(|gate_use| gate_use.table.is_port);
        for gate_use in domain.uses.iter().filter(|gate_use| !gate_use.table.is_port && gate_use.is_known) {
            let local = &gate_use.table.local;
            let is_port = gate_use.need.is_some_and(|(_, need)| need.gate.value == PORT_GATE);
            // That it is given twice is another check's.
            if is_port && ports().all(|port| port.table.local.value != local.value) {
                faults.extend(gate_use.server.map(|server| use_without_port(draft, place, server, gate_use)));
            }
        }
    }
    faults
}

fn use_without_port(
    draft: &Draft<'_>,
    place: usize,
    server: usize,
    gate_use: &DraftGateUse<'_>,
) -> Diagnostic {
    let (name, switch, local) =
        (&draft.domains[place].table.name.value, &gate_use.table.from, &gate_use.table.local.value);
    let mut switches = draft.switches.iter().filter(|known| known.domain == Some(server));
    let port = switches.find_map(|known| known.ports.iter().find(|port| port.domain == Some(place)));
    if let Some(port) = port {
        let message = format!(
            "the domain `{name}` uses the switch `{}` by `{local}` without a port of that name",
            switch.value
        );
        let fault = Diagnostic::new(switch.span, message).label(port.table.name.span, "its port");
        return fault.help("remove this use: a domain has one port on a switch");
    }
    let message = format!("the domain `{name}` uses the switch `{}`, but has no port there", switch.value);
    let gate = if local == DEFAULT_GATE { String::new() } else { format!(" with `gate = \"{local}\"`") };
    let help =
        format!("add `[switch.{}.port.{name}]`{gate} and remove this use: the port implies it", switch.value);
    Diagnostic::new(switch.span, message).help(help)
}

pub(crate) fn lonely(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults: Vec<_> = each_switch(draft).flat_map(vlans_out_of_range).collect();
    // Somebody whose port is missing may be the one that would be there, too.
    if !missing_gate(draft).is_empty() {
        return faults;
    }
    let in_range = clear_switches(draft).filter(|switch| vlans_out_of_range(switch).is_empty());
    faults.extend(in_range.filter_map(lonely_ports));
    faults
}

/// Ports that are in a VLAN: a mirror port is in none.
fn ports_in_vlans<'d, 'a>(switch: &'d DraftSwitch<'a>) -> impl Iterator<Item = &'d DraftPort<'a>> {
    switch.ports.iter().filter(|port| !port.table.is_mirror)
}

fn is_vlan(number: u64) -> bool {
    (1..=MAX_VLAN.into()).contains(&number)
}

fn vlans_out_of_range(switch: &DraftSwitch<'_>) -> Vec<Diagnostic> {
    let mut others: Vec<_> =
        ports_in_vlans(switch).map(|port| port.vlan).filter(|vlan| is_vlan(*vlan)).collect();
    others.sort_unstable();
    others.dedup();
    let wrong = ports_in_vlans(switch).filter(|port| !is_vlan(port.vlan));
    let faults = wrong.map(|port| {
        let name = &port.table.name;
        let message = format!("the VLAN {} of `{}` is out of range", port.vlan, name.value);
        let fault = Diagnostic::new(port.vlan_at.unwrap_or(name.span), message);
        fault.help(match others[..] {
            [] => format!("give a number from 1 to {MAX_VLAN}"),
            _ => format!("give the VLAN of another port: {}", list(&others)),
        })
    });
    faults.collect()
}

/// Ports that nobody can reach, and that reach nobody. If there are several, one mistake is the likely cause.
fn lonely_ports(switch: &DraftSwitch<'_>) -> Option<Diagnostic> {
    let mut members: BTreeMap<u64, usize> = BTreeMap::new();
    ports_in_vlans(switch).for_each(|port| *members.entry(port.vlan).or_default() += 1);
    // A switch with one port is its owner's business.
    if members.values().sum::<usize>() < 2 {
        return None;
    }
    let place = |port: &DraftPort<'_>| port.vlan_at.unwrap_or(port.table.name.span);
    let mut alone: Vec<_> = ports_in_vlans(switch).filter(|port| members[&port.vlan] == 1).collect();
    alone.sort_by_key(|port| (port.vlan_at.is_none(), place(port)));
    let (first, others) = alone.split_first()?;
    let shared: Vec<u64> = members.iter().filter(|(_, count)| **count > 1).map(|(vlan, _)| *vlan).collect();
    let message = format!(
        "`{}` is alone in the VLAN {} of the switch `{}`",
        first.table.name.value, first.vlan, switch.table.name.value
    );
    let mut fault = Diagnostic::new(place(first), message);
    for other in others.iter().take(MOST_LABELS) {
        let text = format!("`{}` is alone in {}, too", other.table.name.value, other.vlan);
        fault = fault.label(place(other), text);
    }
    Some(match (shared.is_empty(), others.is_empty()) {
        (false, true) => fault.help(format!("give it the VLAN of other ports: {}", list(&shared))),
        (false, false) => {
            fault.help(format!("give them one VLAN, or that of other ports: {}", list(&shared)))
        }
        (true, _) => fault.help("give them one VLAN"),
    })
}

fn list(numbers: &[u64]) -> String {
    let numbers: Vec<_> = numbers.iter().take(MOST_LABELS).map(u64::to_string).collect();
    numbers.join(", ")
}

pub(crate) fn access(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let ports = clear_switches(draft).flat_map(|switch| switch.ports.iter().map(move |port| (switch, port)));
    ports.flat_map(|(switch, port)| wrong_receivers(draft, switch, port)).collect()
}

fn wrong_receivers(draft: &Draft<'_>, switch: &DraftSwitch<'_>, port: &DraftPort<'_>) -> Vec<Diagnostic> {
    let name = &port.table.name;
    let mut faults = Vec::new();
    // However often a name is there, it is told once.
    let (mut named, mut told) = (BTreeMap::new(), BTreeSet::new());
    for receiver in port.sends_to.iter().flatten() {
        let written = receiver.written;
        if let Some(first) = named.get(written.value.as_str()) {
            if !told.insert(written.value.as_str()) {
                continue;
            }
            let message = format!("`{}` names `{}` twice in `sends_to`", name.value, written.value);
            let fault = Diagnostic::new(written.span, message).label(*first, "named first here");
            faults.push(fault.note("named again here").help("remove one of them"));
            continue;
        }
        named.insert(written.value.as_str(), written.span);
        let found = receiver.found.filter(|_| receiver.is_known);
        let reason = match found.map(|number| &switch.ports[number]) {
            None => {
                let message = format!(
                    "the switch `{}` has no port of a domain `{}`",
                    switch.table.name.value, written.value
                );
                let help = if draft.has_domain(&written.value) {
                    "give it a port, or remove it from the list".to_owned()
                } else {
                    propose(&written.value, "other port", reachable(switch, port))
                };
                faults.push(Diagnostic::new(written.span, message).help(help));
                continue;
            }
            Some(other) if std::ptr::eq(other, port) => "nobody sends to itself".to_owned(),
            Some(other) if other.table.is_mirror => "a mirror port gets a copy of all anyway".to_owned(),
            // That a number is no VLAN is another check's.
            Some(other) if !is_vlan(other.vlan) || !is_vlan(port.vlan) => continue,
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

/// Names of the ports to which a port can send.
fn reachable<'a>(switch: &DraftSwitch<'a>, from: &DraftPort<'_>) -> Vec<&'a str> {
    let others = switch.ports.iter().filter(|other| !std::ptr::eq(*other, from) && !other.table.is_mirror);
    others.filter(|other| other.vlan == from.vlan).map(|other| other.table.name.value.as_str()).collect()
}

pub(crate) fn uplink(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (_, port) in each_port(draft).filter(|(_, port)| port.is_uplink) {
        let Some(domain) = port.domain.map(|domain| &draft.domains[domain]) else { continue };
        let is_card = |device: &Device| device.class.value == NETWORK_CARD;
        let mut devices = domain.devices.iter().filter_map(|device| Some(device.found?.1));
        // That a device is missing or unknown is another check's.
        let needs_card = domain.component.is_some_and(|component| {
            component.devices.iter().any(|need| !need.is_optional && need.class.value == NETWORK_CARD)
        });
        let is_told = needs_card
            || domain.component.is_none()
            || domain.devices.iter().any(|device| !device.is_known)
            || draft.is_spoiled(domain.table, "devices");
        if is_told || devices.any(is_card) {
            continue;
        }
        let help = how_to_get_a_card(draft, domain);
        let name = &port.table.name;
        let message = format!("the domain `{}` cannot be an uplink: it owns no network card", name.value);
        let fault = Diagnostic::new(name.span, message).label(domain.table.name.span, "the domain");
        faults.push(fault.help(help));
    }
    faults
}

fn how_to_get_a_card(draft: &Draft<'_>, uplink: &DraftDomain<'_>) -> String {
    let is_card = |device: &Device| device.class.value == NETWORK_CARD;
    let owns_card = |domain: &&DraftDomain<'_>| {
        domain.devices.iter().any(|device| device.found.is_some_and(|(_, device)| is_card(device)))
    };
    let mut owners = draft.domains.iter().filter(owns_card);
    let takes_card = |domain: &DraftDomain<'_>| {
        let needs = domain.component.iter().flat_map(|component| &component.devices);
        needs.into_iter().any(|need| need.class.value == NETWORK_CARD)
    };
    let devices = draft.platform.iter().flat_map(|platform| &platform.devices);
    match (owners.next(), devices.into_iter().find(|device| is_card(device))) {
        (Some(owner), _) => format!("name `{}`, which owns one", owner.table.name.value),
        (None, Some(card)) if takes_card(uplink) => {
            format!("add `devices = [\"{}\"]` to it", card.name.value)
        }
        (None, Some(_)) => "name a domain whose component drives a network card, such as `nic`".to_owned(),
        (None, None) => {
            format!("the platform has no device of the class `{NETWORK_CARD}`; remove the uplink")
        }
    }
}

pub(crate) fn number(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let too_many = each_switch(draft).filter_map(|switch| Some((switch, switch.ports.get(MAX_PORTS)?)));
    let faults = too_many.map(|(switch, first)| {
        let (name, count) = (&switch.table.name.value, switch.ports.len());
        let message = format!("the switch `{name}` has {count} ports, it can have {MAX_PORTS}");
        let fault = Diagnostic::new(first.table.name.span, message).note("the first that does not fit");
        fault.help("use a second switch; MAX_PORTS of the ABI crate sets the limit")
    });
    faults.collect()
}

/// Statements that contradict each other in one port.
pub(crate) fn contradictions(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for switch in each_switch(draft) {
        let (source, path) = switch.table.path();
        if let (Some(vlan), true) = (&switch.table.uplink_vlan, lacks_uplink(draft, switch)) {
            let message = format!(
                "the switch `{}` states the VLAN of an uplink, but has none",
                switch.table.name.value
            );
            let fault = Diagnostic::new(vlan.span, message);
            faults.push(fault.help("add `uplink = ` and a domain, or remove it"));
        }
        if draft.inputs.spoiled.contains(source, &path) {
            continue;
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

fn lacks_uplink(draft: &Draft<'_>, switch: &DraftSwitch<'_>) -> bool {
    let (source, path) = switch.table.path();
    switch.lacks_uplink() && !draft.inputs.spoiled.contains(source, &format!("{path}.uplink"))
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
    let mut faults: Vec<_> = each_switch(draft).filter_map(|switch| wrong_mtu(draft, switch)).collect();
    let ports = clear_switches(draft).flat_map(|switch| switch.ports.iter().map(move |port| (switch, port)));
    faults.extend(ports.filter_map(|(switch, port)| wrong_rate(switch, port)));
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
    // An mtu that is none says nothing of frames.
    (MTU_RANGE.contains(&switch.mtu) && !range.contains(&burst)).then(|| {
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
