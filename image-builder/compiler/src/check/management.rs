//! What the manager's clients may ask for, and groups of domains.

use cloison_abi::management::{MEMBERS, Operation};

use crate::diagnostic::{At, Diagnostic, propose};
use crate::manifest::ON_REQUEST;
use crate::system::{BMI_GATE, Draft, DraftGateUse, MANAGE_RIGHT};

/// Every use of a gate, with whether it is the manager's.
fn uses<'a, 'd>(draft: &'d Draft<'a>) -> impl Iterator<Item = (&'d DraftGateUse<'a>, bool)> {
    let manager = draft.manager();
    let uses = draft.domains.iter().flat_map(|domain| &domain.uses);
    uses.map(move |gate_use| {
        let is_managers = gate_use.server.is_some() && gate_use.server == manager;
        (gate_use, is_managers && offers_management(gate_use))
    })
}

/// Whether a gate is one by which domains are started and ended.
fn offers_management(gate_use: &DraftGateUse<'_>) -> bool {
    gate_use.offer.is_some_and(|(_, offer)| offer.name.value == BMI_GATE)
}

pub(super) fn unknown(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for permit in uses(draft).filter_map(|(gate_use, _)| gate_use.table.permit.as_ref()) {
        for written in permit.may.iter().filter(|written| Operation::from_name(&written.value).is_none()) {
            let names = Operation::ALL.map(Operation::name);
            let fault = Diagnostic::new(written.span, format!("there is no operation `{}`", written.value));
            faults.push(fault.help(propose(&written.value, "operation", names)));
        }
        faults.extend(permit.on.iter().flatten().filter_map(|written| unmanaged(draft, written)));
    }
    faults
}

/// A name that is no domain's that is started on request.
fn unmanaged(draft: &Draft<'_>, written: &At<String>) -> Option<Diagnostic> {
    let domain = draft.domains.iter().find(|domain| domain.table.name.value == written.value);
    let Some(domain) = domain else {
        let fault = Diagnostic::new(written.span, format!("there is no domain `{}`", written.value));
        return Some(fault.help(propose(&written.value, "domain", draft.domain_names())));
    };
    if domain.table.on_request().is_some() {
        return None;
    }
    let message = format!("`{}` is started at boot: nobody starts or ends it", written.value);
    let fault = Diagnostic::new(written.span, message).label(domain.table.name.span, "the domain");
    Some(fault.help(format!("give it `start = \"{ON_REQUEST}\"`, or leave it out")))
}

pub(super) fn misplaced(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let misplaced = uses(draft).filter(|(gate_use, is_managers)| {
        // Of an unknown server it is not known what it is; of a manager without its right that is told elsewhere.
        let is_meant = draft.manager().is_none() && offers_management(gate_use);
        !is_managers && !is_meant && gate_use.table.permit.is_some() && gate_use.offer.is_some()
    });
    let faults = misplaced.map(|(gate_use, _)| {
        let from = &gate_use.table.from;
        let message = format!("`may` and `on` are for a gate into the manager, and `{}` is none", from.value);
        let help = format!("remove them; the manager is the domain with the right `{}`", MANAGE_RIGHT.name());
        Diagnostic::new(from.span, message).help(help)
    });
    faults.collect()
}

pub(super) fn useless(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let useless = uses(draft).filter(|(gate_use, is_managers)| {
        *is_managers && gate_use.table.permit.as_ref().is_none_or(|permit| permit.may.is_empty())
    });
    let faults = useless.map(|(gate_use, _)| {
        let from = &gate_use.table.from;
        let message = format!("nothing is said of what `{}` does for this domain", from.value);
        let example = format!("{{ from = \"{}\", may = [\"list\", \"start\"] }}", from.value);
        Diagnostic::new(from.span, message).help(format!("write {example}, with what it may ask for"))
    });
    faults.collect()
}

pub(super) fn groups(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for group in &draft.inputs.manifest.groups {
        faults.extend(group.start.iter().filter_map(|written| unmanaged(draft, written)));
        if group.start.is_empty() || group.start.len() > MEMBERS {
            let message = format!("the group `{}` has {} domains", group.name.value, group.start.len());
            let help = format!("name 1 to {MEMBERS} domains in `start`, in their order");
            faults.push(Diagnostic::new(group.at, message).help(help));
        }
        if draft.manager().is_none()
            && !draft.domains.iter().any(|domain| domain.table.on_request().is_some())
        {
            let message = format!("nobody can start the group `{}`", group.name.value);
            let help = format!("give a domain the right `{}`", MANAGE_RIGHT.name());
            faults.push(Diagnostic::new(group.at, message).help(help));
        }
    }
    faults
}
