//! Forwards from the host: to whom, and from which port.

use std::collections::HashMap;

use crate::diagnostic::{At, Diagnostic, Span};
use crate::system::{DomainId, Draft, DraftSwitch, Switch, Unreachable, reach};

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
        faults.push(fault.help(remedy(reason)));
    }
    faults
}

fn port_of(draft: &Draft<'_>, domain: &str) -> Option<Span> {
    let mut ports = draft.switches.iter().flat_map(|switch| &switch.ports);
    ports.find(|port| port.table.name.value == domain).map(|port| port.table.name.span)
}

fn remedy(reason: Unreachable) -> &'static str {
    match reason {
        Unreachable::NoUplink => "give the domain a port on a switch with an uplink",
        Unreachable::NoAddress => "give the port an `address`",
        Unreachable::OtherVlan => "give both ports one VLAN",
        Unreachable::NoWayIn | Unreachable::NoWayOut => "add it to that list, or remove the forward",
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
            faults.push(fault.help("give another port, or leave host_port out: a free one is chosen then"));
        }
    }
    faults
}

fn no_port(port: &At<u64>) -> Option<Diagnostic> {
    let is_port = (1..=u64::from(u16::MAX)).contains(&port.value);
    let fault = || Diagnostic::new(port.span, format!("there is no TCP port {}", port.value));
    (!is_port).then(|| fault().help(format!("give a number from 1 to {}", u16::MAX)))
}
