//! What the manager's clients may ask for, and groups of domains.

use std::collections::{HashMap, HashSet};

use cloison_abi::management::{MEMBERS, Operation};

use super::names::unknown_domain;
use crate::diagnostic::{At, Diagnostic, Span, propose};
use crate::manifest::{ON_REQUEST, STARTS};
use crate::system::{BMI_GATE, Draft, DraftDomain, DraftGateUse, MANAGE_RIGHT};

/// Every use of a gate, with its domain, and whether it is the manager's.
fn uses<'a, 'd>(
    draft: &'d Draft<'a>,
) -> impl Iterator<Item = (&'d DraftDomain<'a>, &'d DraftGateUse<'a>, bool)> {
    let manager = draft.manager();
    let uses = draft.domains.iter().flat_map(|domain| domain.uses.iter().map(move |given| (domain, given)));
    uses.map(move |(domain, gate_use)| {
        let is_offered = gate_use.offer.is_some_and(|(_, offer)| offer.name.value == BMI_GATE);
        (domain, gate_use, is_offered && gate_use.server.is_some() && gate_use.server == manager)
    })
}

pub(super) fn unknown(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for permit in uses(draft).filter_map(|(_, gate_use, _)| gate_use.table.permit.as_ref()) {
        for written in permit.may.iter().filter(|written| Operation::from_name(&written.value).is_none()) {
            let names = Operation::ALL.map(Operation::name);
            let fault = Diagnostic::new(written.span, format!("there is no operation `{}`", written.value));
            faults.push(fault.help(propose(&written.value, "operation", names)));
        }
    }
    faults.extend(unmanaged(draft, permitted(draft)));
    faults
}

/// The domains that `on` names.
fn permitted<'d>(draft: &'d Draft<'_>) -> impl Iterator<Item = &'d At<String>> {
    uses(draft).filter_map(|(_, gate_use, _)| gate_use.table.permit.as_ref()?.on.as_ref()).flatten()
}

/// Names of domains that are started at boot, each told once.
fn unmanaged<'d>(draft: &'d Draft<'_>, names: impl Iterator<Item = &'d At<String>>) -> Vec<Diagnostic> {
    let domains = draft.domains.iter().filter(|domain| is_started_at_boot(draft, domain));
    let domains: HashMap<&str, Span> =
        domains.map(|domain| (domain.table.name.value.as_str(), domain.table.name.span)).collect();
    let mut told = HashSet::new();
    let mut faults = Vec::new();
    for written in names.filter(|written| told.insert(written.value.as_str())) {
        let Some(domain) = domains.get(written.value.as_str()) else { continue };
        let message = format!("`{}` is started at boot: nobody starts or ends it", written.value);
        let fault = Diagnostic::new(written.span, message).label(*domain, "the domain");
        faults.push(fault.help(format!("give it `start = \"{ON_REQUEST}\"`, or leave it out")));
    }
    faults
}

/// Whether a domain is started at boot, as far as it can be read.
fn is_started_at_boot(draft: &Draft<'_>, domain: &DraftDomain<'_>) -> bool {
    let start = domain.table.start.as_ref();
    let is_sure = start.is_none_or(|start| STARTS.contains(&start.value.as_str()));
    is_sure && domain.table.on_request().is_none() && !draft.is_spoiled(domain.table, "start")
}

pub(super) fn misplaced(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let misplaced = uses(draft).filter(|(_, gate_use, is_managers)| {
        // Of an unknown server it is not known what it is.
        !is_managers && gate_use.table.permit.is_some() && gate_use.offer.is_some()
    });
    let faults = misplaced.map(|(_, gate_use, _)| {
        let from = &gate_use.table.from;
        let message = format!("`may` and `on` are for a gate into the manager, and `{}` is none", from.value);
        let help = format!("remove them; the manager is the domain with the right `{}`", MANAGE_RIGHT.name());
        Diagnostic::new(from.span, message).help(help)
    });
    faults.collect()
}

pub(super) fn useless(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let useless = uses(draft).filter(|(domain, gate_use, is_managers)| {
        let key = format!("uses.{}.may", gate_use.table.local.value);
        let says_nothing = gate_use.table.permit.as_ref().is_none_or(|permit| permit.may.is_empty());
        *is_managers && says_nothing && !draft.is_spoiled(domain.table, &key)
    });
    let faults = useless.map(|(_, gate_use, _)| {
        let from = &gate_use.table.from;
        let message = format!("nothing is said of what `{}` does for this domain", from.value);
        let example = format!("{{ from = \"{}\", may = [\"list\", \"start\"] }}", from.value);
        Diagnostic::new(from.span, message).help(format!("write {example}, with what it may ask for"))
    });
    faults.collect()
}

pub(super) fn groups(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let groups = &draft.inputs.manifest.groups;
    // What is wrong with a domain that `on` names is told there.
    let told: HashSet<&str> = permitted(draft).map(|written| written.value.as_str()).collect();
    let members = groups.iter().flat_map(|group| &group.start);
    let mut faults = unmanaged(draft, members.filter(|member| !told.contains(member.value.as_str())));
    for group in groups.iter().filter(|group| !(1..=MEMBERS).contains(&group.start.len())) {
        let (source, path) = (group.at.source, format!("group.{}.start", group.name.value));
        if !draft.inputs.spoiled.contains(source, &path) {
            let message = format!("the group `{}` has {} domains", group.name.value, group.start.len());
            let help = format!("name 1 to {MEMBERS} domains in `start`, in their order");
            faults.push(Diagnostic::new(group.at, message).help(help));
        }
    }
    let are_known = !draft.inputs.spoiled.contains_part("domain") && unknown_domain(draft).is_empty();
    let is_told = draft.domains.iter().any(|domain| domain.table.on_request().is_some());
    if let Some(group) = groups.first().filter(|_| draft.manager().is_none() && are_known && !is_told) {
        let message = format!("nobody can start the group `{}`", group.name.value);
        let help = format!("give a domain the right `{}`", MANAGE_RIGHT.name());
        faults.push(Diagnostic::new(group.at, message).help(help));
    }
    faults
}
