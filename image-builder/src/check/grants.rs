//! What components need against what the system gives them: nothing less, nothing more, nothing twice.

use std::collections::BTreeMap;

use crate::diagnostic::{At, Diagnostic, Span, propose};
use crate::manifest::{Component, GateNeed, OptionRule};
use crate::system::{Draft, DraftDomain, DraftUse, PORT_GATE};

/// Longest arguments of a domain, in bytes.
const MAX_ARGUMENT_BYTES: usize = 1024;

pub(super) fn missing_gate(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each_component(draft, |domain, component, faults| {
        for need in component.gates.iter().filter(|need| !need.is_optional) {
            let local = &need.local.value;
            if domain.uses.iter().any(|grant| grant.table.local.value == *local) {
                continue;
            }
            let servers = servers_of(draft, &need.gate.value);
            let message =
                format!("the domain `{}` was not given the gate `{local}`", domain.table.name.value);
            let fault = Diagnostic::new(domain.table.name.span, message)
                .label(need.local.span, format!("`{}` needs it", component.name));
            faults.push(fault.help(how_to_give(&domain.table.name.value, need, &servers)));
        }
    })
}

/// What to write so that a domain has a gate.
fn how_to_give(domain: &str, need: &GateNeed, servers: &[&str]) -> String {
    let (gate, local) = (&need.gate.value, &need.local.value);
    let key = if local == "log" { "log".to_owned() } else { format!("uses.{local}") };
    match servers {
        [] => format!("no domain of this system offers a gate `{gate}`; add one that does"),
        [switch, ..] if gate == PORT_GATE => format!("add `[switch.{switch}.port.{domain}]`"),
        [server] => format!("add `{key} = \"{server}\"`"),
        all => format!("add `{key} = ` and one of {}", all.join(", ")),
    }
}

/// The domains that offer a gate of this name.
fn servers_of<'a>(draft: &Draft<'a>, gate: &str) -> Vec<&'a str> {
    let offers = |domain: &&DraftDomain<'a>| {
        domain
            .component
            .is_some_and(|component| component.offers.iter().any(|offer| offer.name.value == gate))
    };
    draft.domains.iter().filter(offers).map(|domain| domain.table.name.value.as_str()).collect()
}

pub(super) fn missing_device(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(platform) = draft.platform else { return Vec::new() };
    each_component(draft, |domain, component, faults| {
        for (place, need) in component.devices.iter().enumerate().filter(|(_, need)| !need.is_optional) {
            if domain.devices.iter().any(|device| device.need.is_some_and(|(served, _)| served == place)) {
                continue;
            }
            let class = &need.class.value;
            let (name, local) = (&domain.table.name, &need.local.value);
            let message =
                format!("the domain `{}` was not given a device for `{local}`, a {class}", name.value);
            let fault = Diagnostic::new(name.span, message)
                .label(need.local.span, format!("`{}` needs it", component.name));
            let device = platform.devices.iter().find(|device| device.class.value == *class);
            faults.push(fault.help(match device {
                Some(device) => format!("add \"{}\" to its `devices`", device.name.value),
                None => format!("the platform `{}` has no device of class {class}", platform.name),
            }));
        }
    })
}

pub(super) fn missing_right(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each_component(draft, |domain, component, faults| {
        let is_given = |right: &str| domain.table.rights.iter().any(|given| given.value == right);
        for need in component.rights.iter().filter(|need| !is_given(&need.value)) {
            let name = &domain.table.name;
            let message = format!("the domain `{}` was not given the right `{}`", name.value, need.value);
            let fault = Diagnostic::new(name.span, message)
                .label(need.span, format!("`{}` needs it", component.name));
            faults.push(fault.help(format!("add \"{}\" to its `rights`", need.value)));
        }
    })
}

pub(super) fn superfluous_gate(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each_component(draft, |domain, component, faults| {
        for grant in domain.uses.iter().filter(|grant| grant.need.is_none()) {
            let local = &grant.table.local;
            let message = format!(
                "the domain `{}` is given a gate `{}` that its component did not ask for",
                domain.table.name.value, local.value
            );
            let needs = component.gates.iter().map(|need| need.local.value.as_str());
            let help = propose(&local.value, &format!("gate that `{}` needs", component.name), needs);
            let fault = Diagnostic::new(local.span, message)
                .label(component.summary.span, format!("`{}` is described here", component.name));
            faults.push(fault.help(format!("remove it, or name it in [needs.gates]; {help}")));
        }
    })
}

pub(super) fn superfluous_device(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each_component(draft, |domain, component, faults| {
        for given in domain.devices.iter().filter(|given| given.need.is_none()) {
            let Some((_, device)) = given.found else { continue };
            let message = format!(
                "the domain `{}` is given the device `{}`, a {}, that its component did not ask for",
                domain.table.name.value, given.written.value, device.class.value
            );
            let mut fault = Diagnostic::new(given.written.span, message)
                .label(device.class.span, "its class is stated here");
            for need in &component.devices {
                fault = fault.label(need.class.span, format!("`{}` asks for this class", component.name));
            }
            faults.push(fault.help("remove it, or name its class in [needs.devices]"));
        }
    })
}

pub(super) fn superfluous_right(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each_component(draft, |domain, component, faults| {
        let needs = |right: &str| component.rights.iter().any(|need| need.value == right);
        for right in domain.rights.iter().filter(|right| right.found.is_some()) {
            let name = &right.written.value;
            if !needs(name) {
                let message = format!(
                    "the domain `{}` is given the right `{name}` that its component did not ask for",
                    domain.table.name.value
                );
                let fault = Diagnostic::new(right.written.span, message)
                    .label(component.summary.span, format!("`{}` is described here", component.name));
                faults.push(fault.help("remove it, or name it in `rights` of [needs]"));
            }
        }
    })
}

pub(super) fn arguments(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each_component(draft, |domain, component, faults| {
        let Some(arguments) = &domain.table.arguments else { return };
        let name = &domain.table.name.value;
        if component.arguments.is_none() {
            let message =
                format!("the domain `{name}` is given arguments that its component did not ask for");
            let fault = Diagnostic::new(arguments.span, message)
                .label(component.summary.span, format!("`{}` is described here", component.name));
            faults
                .push(fault.help("remove them, or say in the component's domain.toml what `arguments` mean"));
        }
        let bytes = arguments.value.len();
        if bytes > MAX_ARGUMENT_BYTES {
            let message = format!("the arguments of `{name}` have {bytes} bytes");
            let help = format!("give at most {MAX_ARGUMENT_BYTES}");
            faults.push(Diagnostic::new(arguments.span, message).help(help));
        }
    })
}

pub(super) fn gate_not_offered(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for grant in draft.domains.iter().flat_map(|domain| &domain.uses) {
        let (Some((_, need)), Some(server), None) = (grant.need, grant.server, grant.offer) else { continue };
        let Some(component) = draft.domains[server].component else { continue };
        let gate = &need.gate;
        let message =
            format!("the domain `{}` does not offer a gate `{}`", grant.table.from.value, gate.value);
        let fault = Diagnostic::new(grant.table.from.span, message)
            .label(gate.span, "asked for here")
            .label(component.summary.span, format!("`{}` is described here", component.name));
        let servers = servers_of(draft, &gate.value);
        faults.push(fault.help(match servers.first() {
            Some(other) => format!("`{other}` does"),
            None => propose(
                &gate.value,
                &format!("gate that `{}` offers", component.name),
                component.offers.iter().map(|offer| offer.name.value.as_str()),
            ),
        }));
    }
    faults
}

pub(super) fn given_twice(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let mut owners: BTreeMap<&str, (&At<String>, &str)> = BTreeMap::new();
    for domain in &draft.domains {
        let owner = domain.table.name.value.as_str();
        for device in &domain.table.devices {
            if let Some((first, other)) = owners.get(device.value.as_str()) {
                let message =
                    format!("the device `{}` is given twice, to `{other}` and to `{owner}`", device.value);
                let fault = Diagnostic::new(device.span, message).note("given again here");
                faults.push(
                    fault
                        .label(first.span, "given first here")
                        .help("a device has one owner; let the others reach it through a gate"),
                );
            } else {
                owners.insert(&device.value, (device, owner));
            }
        }
        faults.extend(rights_twice(&domain.table.rights));
    }
    faults
}

fn rights_twice(rights: &[At<String>]) -> Vec<Diagnostic> {
    let again = rights.iter().enumerate().filter_map(|(place, right)| {
        let first = rights[..place].iter().find(|first| first.value == right.value)?;
        Some(twice(
            &format!("the right `{}` is given twice to one domain", right.value),
            right.span,
            first.span,
        ))
    });
    again.collect()
}

pub(super) fn gate_given_twice(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for domain in &draft.domains {
        for (place, grant) in domain.uses.iter().enumerate() {
            let local = &grant.table.local;
            let earlier =
                domain.uses[..place].iter().find(|earlier| earlier.table.local.value == local.value);
            if let Some(earlier) = earlier {
                let message = format!("the gate `{}` is given twice to one domain", local.value);
                faults.push(twice(&message, local.span, earlier.table.local.span));
            }
        }
    }
    faults
}

fn twice(message: &str, again: Span, first: Span) -> Diagnostic {
    let fault = Diagnostic::new(again, message).note("given again here");
    fault.label(first, "given first here").help("remove one of them")
}

pub(super) fn option(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let grants = draft.domains.iter().flat_map(|domain| &domain.uses);
    let mut faults: Vec<_> = grants.flat_map(wrong_options).collect();
    let components = draft.inputs.components.values().filter_map(crate::manifest::Lookup::found);
    for rule in components.flat_map(|component| &component.offers).filter_map(|offer| offer.option.as_ref()) {
        faults.extend(wrong_rule(rule));
    }
    faults
}

fn wrong_options(grant: &DraftUse<'_>) -> Vec<Diagnostic> {
    let Some((_, offer)) = grant.offer else { return Vec::new() };
    let gate = &offer.name.value;
    let wrong = grant.table.options.iter().filter_map(|(name, value)| match &offer.option {
        Some(rule) if rule.name.value == name.value && value.value <= rule.max => None,
        Some(rule) if rule.name.value == name.value => {
            let message = format!("{} = {} is out of range for the gate `{gate}`", name.value, value.value);
            let fault =
                Diagnostic::new(value.span, message).label(rule.name.span, "its range is stated here");
            Some(fault.help(format!("give a number from 0 to {}", rule.max)))
        }
        rule => {
            let message = format!("the gate `{gate}` has no option `{}`", name.value);
            let fault =
                Diagnostic::new(name.span, message).label(offer.name.span, "the gate is offered here");
            let known = rule.iter().map(|rule| rule.name.value.as_str());
            Some(fault.help(propose(&name.value, "option of this gate", known)))
        }
    });
    wrong.collect()
}

fn wrong_rule(rule: &OptionRule) -> Option<Diagnostic> {
    if rule.default <= rule.max && rule.max <= u64::from(u32::MAX) {
        return None;
    }
    let message = format!(
        "the option `{}` has the default {} and the largest value {}",
        rule.name.value, rule.default, rule.max
    );
    let help = format!("let default be at most max, and max at most {}", u32::MAX);
    Some(Diagnostic::new(rule.name.span, message).help(help))
}

fn each_component(
    draft: &Draft<'_>,
    mut judge: impl FnMut(&DraftDomain<'_>, &Component, &mut Vec<Diagnostic>),
) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for domain in &draft.domains {
        if let Some(component) = domain.component {
            judge(domain, component, &mut faults);
        }
    }
    faults
}
