//! Forwards from the host: to whom, and from which port.

use std::collections::HashMap;

use crate::diagnostic::{At, Diagnostic, Span};
use crate::system::{DomainId, Draft, DraftForward, DraftSwitch, Switch, Unreachable, reach};

use super::clear_switches;

/// Others that one fault shows.
const MOST_LABELS: usize = 8;

/// Judges once all switches make sense: before that, nobody can say who is reached.
pub(crate) fn forward(draft: &Draft<'_>) -> Vec<Diagnostic> {
    if clear_switches(draft).count() < draft.switches.len() || draft.inputs.spoiled.contains_table("switch") {
        return Vec::new();
    }
    let switches: Option<Vec<Switch>> = draft.switches.iter().map(DraftSwitch::resolve).collect();
    let Some(switches) = switches else { return Vec::new() };
    let has_uplink = draft.switches.iter().any(|switch| switch.table.uplink.is_some());
    let mut faults: Vec<Diagnostic> = Vec::new();
    let mut told: HashMap<Option<usize>, usize> = HashMap::new();
    for forward in &draft.forwards {
        let Some(to) = &forward.to else { continue };
        let Some(Err(reason)) = to.found.map(|domain| reach(&switches, DomainId(domain))) else { continue };
        let name = &to.written.value;
        // What keeps one from a domain keeps all from it, and without any uplink from every domain.
        let first = *told.entry(to.found.filter(|_| has_uplink)).or_insert(faults.len());
        if let Some(fault) = faults.get_mut(first) {
            if fault.labels.len() < MOST_LABELS {
                fault.labels.push((to.written.span, "nor can this one".to_owned()));
            }
            continue;
        }
        let message = format!("the forward `{}` cannot lead to `{name}`: {reason}", forward.table.name.value);
        let mut fault = Diagnostic::new(to.written.span, message);
        if let Some(port) = port_of(draft, name) {
            fault = fault.label(port, format!("a port of `{name}`"));
        }
        faults.push(fault.help(remedy(reason, name, draft, &switches)));
    }
    faults
}

fn port_of(draft: &Draft<'_>, domain: &str) -> Option<Span> {
    let mut ports = draft.switches.iter().flat_map(|switch| &switch.ports);
    ports.find(|port| port.table.name.value == domain).map(|port| port.table.name.span)
}

fn remedy(reason: Unreachable, name: &str, draft: &Draft<'_>, switches: &[Switch]) -> String {
    let remedy = match reason {
        Unreachable::NoUplink => return one_with_a_port(name, draft, switches),
        Unreachable::NoAddress => "give the port an `address`",
        Unreachable::OtherVlan => "give both ports one VLAN",
        Unreachable::NoWayIn | Unreachable::NoWayOut => "add it to that list, or remove the forward",
    };
    remedy.to_owned()
}

/// A switch, and who owns its card, have no port to which a forward leads, and can be given none.
fn one_with_a_port(name: &str, draft: &Draft<'_>, switches: &[Switch]) -> String {
    let is_network = draft.switches.iter().any(|switch| {
        let uplink = switch.table.uplink.as_ref().map(|uplink| &uplink.value);
        switch.table.name.value == name || uplink.is_some_and(|uplink| uplink == name)
    });
    let reached = (0..draft.domains.len()).filter(|place| reach(switches, DomainId(*place)).is_ok());
    let reached = reached.map(|place| format!("`{}`", draft.domains[place].table.name.value));
    let reached: Vec<String> = reached.take(MOST_LABELS).collect();
    let give = "give the domain a port on a switch with an uplink";
    match (is_network, &reached[..]) {
        (true, []) => "name a domain with a port on a switch with an uplink".to_owned(),
        (true, _) => format!("name a domain that has one: {}", reached.join(", ")),
        (false, []) => give.to_owned(),
        (false, _) => format!("{give}, or name one that has: {}", reached.join(", ")),
    }
}

pub(crate) fn host_port(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let mut taken: HashMap<u64, Span> = HashMap::new();
    for forward in &draft.forwards {
        let ports = [&forward.table.host_port, &forward.table.port];
        faults.extend(ports.into_iter().flatten().filter_map(no_port));
        let Some(host) = &forward.table.host_port else { continue };
        let first = *taken.entry(host.value).or_insert(host.span);
        if first != host.span && no_port(host).is_none() {
            let message = format!("the host's port {} is forwarded twice", host.value);
            let fault = Diagnostic::new(host.span, message).label(first, "forwarded first here");
            faults.push(fault.help(free_port(forward)));
        }
    }
    faults
}

/// A forward has other words in a manifest than on the command line.
fn free_port(forward: &DraftForward<'_>) -> String {
    let free = match (&forward.to, &forward.table.port) {
        (Some(to), Some(port)) => format!(", or by `--forward 0:{}:{}`,", to.written.value, port.value),
        _ => String::new(),
    };
    format!("give another port; without `host_port`{free} a free one is chosen")
}

fn no_port(port: &At<u64>) -> Option<Diagnostic> {
    let is_port = (1..=u64::from(u16::MAX)).contains(&port.value);
    let fault = || Diagnostic::new(port.span, format!("there is no TCP port {}", port.value));
    (!is_port).then(|| fault().help(format!("give a number from 1 to {}", u16::MAX)))
}
