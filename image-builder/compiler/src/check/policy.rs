//! The policy: who decides, which types there are, and whether the rules and what is given go together.

use cloison_abi::ObjectKind;
use cloison_abi::access::Classes;
use cloison_abi::policy::MAX_TYPES;

use crate::diagnostic::{At, Diagnostic, propose};
use crate::manifest::RuleTable;
use crate::system::{Draft, DraftDomain, DraftPolicy, HIGHEST_PRIORITY, Right, asked, class, needs};

const RIGHT: Right = Right(ObjectKind::MonitorRight);

/// Whether all of the policy could be read.
fn is_whole(draft: &Draft<'_>) -> bool {
    !draft.inputs.spoiled.contains_part("policy") && !draft.inputs.spoiled.contains_part("domain")
}

fn policy<'a>(draft: &Draft<'a>) -> Option<DraftPolicy<'a>> {
    draft.policy().filter(|_| is_whole(draft))
}

pub(super) fn monitor(draft: &Draft<'_>) -> Vec<Diagnostic> {
    if !is_whole(draft) {
        return Vec::new();
    }
    let policy = draft.policy();
    let named = policy.as_ref().and_then(|policy| policy.monitor);
    let mut faults = Vec::new();
    if let Some(named) = named.filter(|named| !named.is_known) {
        let message = format!("the monitor `{}` is no domain of this system", named.written.value);
        let help = propose(&named.written.value, "domain", draft.domain_names());
        faults.push(Diagnostic::new(named.written.span, message).help(help));
    }
    for (place, domain) in draft.domains.iter().enumerate() {
        let name = &domain.table.name;
        let given = domain.rights.iter().find(|right| right.is_known && right.found == Some(RIGHT));
        let is_named = named.is_some_and(|named| named.found == Some(place));
        match (given, named.filter(|_| is_named)) {
            (None, Some(named)) => {
                let message =
                    format!("the monitor `{}` was not given the right `{}`", name.value, RIGHT.name());
                let fault = Diagnostic::new(named.written.span, message).label(name.span, "the domain");
                faults.push(fault.help(format!("add \"{}\" to its `rights`", RIGHT.name())));
            }
            (Some(given), None) => {
                let message = format!("`{}` may decide for others, but no policy names it", name.value);
                let fault = Diagnostic::new(given.written.span, message);
                faults.push(fault.help(match named {
                    Some(_) => "take the right away: one domain decides".to_owned(),
                    None => format!("write `monitor = \"{}\"` in [policy]", name.value),
                }));
            }
            _ => {}
        }
    }
    faults
}

pub(super) fn types(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let Some(policy) = policy(draft) else {
        let kinds = draft.domains.iter().filter_map(|domain| domain.table.kind.as_ref());
        let without = kinds.filter(|_| draft.inputs.manifest.policy.is_none());
        return without
            .map(|kind| {
                let fault = Diagnostic::new(kind.span, "a domain has a type, but there is no policy");
                fault.help("add [policy], or remove it")
            })
            .collect();
    };
    let known = policy.table.types.iter().map(|kind| kind.value.as_str());
    for (domain, found) in draft.domains.iter().zip(&policy.kinds) {
        let name = &domain.table.name;
        match (&domain.table.kind, found) {
            (None, _) => {
                let message = format!("the domain `{}` has no type", name.value);
                let fault = Diagnostic::new(name.span, message).label(policy.table.at, "the policy");
                faults.push(fault.help("add `type = ` and one of the policy's types"));
            }
            (Some(kind), None) => {
                let fault = Diagnostic::new(kind.span, format!("there is no type `{}`", kind.value));
                faults.push(fault.help(propose(&kind.value, "type", known.clone())));
            }
            _ => {}
        }
    }
    for (place, kind) in policy.table.types.iter().enumerate() {
        if policy.table.kind(&kind.value) != Some(place) {
            let fault = Diagnostic::new(kind.span, format!("the type `{}` is there twice", kind.value));
            faults.push(fault.help("remove one of them"));
        } else if !policy.kinds.contains(&Some(place)) {
            let fault = Diagnostic::new(kind.span, format!("no domain has the type `{}`", kind.value));
            faults.push(fault.help("remove it"));
        }
    }
    if let Some(first) = policy.table.types.get(MAX_TYPES) {
        let message = format!("the policy has {} types", policy.table.types.len());
        faults.push(Diagnostic::new(first.span, message).help(format!("a policy can have {MAX_TYPES}")));
    }
    faults
}

pub(super) fn rules(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(policy) = policy(draft) else { return Vec::new() };
    let mut faults = Vec::new();
    let known = policy.table.types.iter().map(|kind| kind.value.as_str());
    for rule in &policy.table.allow {
        let before = faults.len();
        let kinds = rule.from.iter().chain(&rule.to);
        for kind in kinds.filter(|kind| policy.table.kind(&kind.value).is_none()) {
            let fault = Diagnostic::new(kind.span, format!("there is no type `{}`", kind.value));
            faults.push(fault.help(propose(&kind.value, "type", known.clone())));
        }
        for name in rule.may.iter().filter(|name| class(&name.value).is_none()) {
            let message = format!("`{}` is nothing that a policy decides", name.value);
            let names = asked().map(|class| class.name());
            faults.push(Diagnostic::new(name.span, message).help(propose(&name.value, "class", names)));
        }
        if faults.len() == before {
            faults.extend(useless(draft, &policy, rule));
        }
    }
    faults
}

/// What two types do to each other by the gates that domains use.
fn used(draft: &Draft<'_>, policy: &DraftPolicy<'_>, from: usize, to: usize) -> Classes {
    let mut used = Classes::empty();
    for (client, domain) in draft.domains.iter().enumerate() {
        for gate_use in &domain.uses {
            let (Some(server), Some((there, back))) = (gate_use.server, needs(gate_use)) else { continue };
            let kinds = (policy.kinds[client], policy.kinds[server]);
            if kinds == (Some(from), Some(to)) {
                used |= there;
            }
            if kinds == (Some(to), Some(from)) {
                used |= back;
            }
        }
    }
    used
}

/// A rule between types of which no domain does to another what it allows.
fn useless(draft: &Draft<'_>, policy: &DraftPolicy<'_>, rule: &RuleTable) -> Option<Diagnostic> {
    let kind = |name: &At<String>| policy.table.kind(&name.value);
    let pairs = rule.from.iter().flat_map(|from| rule.to.iter().map(move |to| (from, to)));
    let mut idle = pairs.filter(|(from, to)| {
        let (Some(from), Some(to)) = (kind(from), kind(to)) else { return false };
        !used(draft, policy, from, to).intersects(rule.classes())
    });
    let (from, to) = idle.next().filter(|_| !draft.has_unknown_domain())?;
    let message = format!("no domain of type `{}` is given a gate to one of type `{}`", from.value, to.value);
    let fault = Diagnostic::new(rule.at, message).note("what this rule allows");
    Some(fault.help("remove the rule, or the type from it: it would allow what nobody can do"))
}

pub(super) fn uses(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(policy) = policy(draft) else { return Vec::new() };
    let mut faults = Vec::new();
    for (client, domain) in draft.domains.iter().enumerate() {
        for gate_use in &domain.uses {
            let (Some(server), Some((there, back))) = (gate_use.server, needs(gate_use)) else { continue };
            let ends = [(client, server, there), (server, client, back)];
            for (from, to, needed) in ends.into_iter().filter(|(from, ..)| policy.judged[*from]) {
                let (Some(from_kind), Some(to_kind)) = (policy.kinds[from], policy.kinds[to]) else {
                    continue;
                };
                let missing = needed - policy.allows(from_kind, to_kind);
                if missing.is_empty() {
                    continue;
                }
                let names: Vec<_> =
                    asked().filter(|class| missing.contains(class.bit())).map(|class| class.name()).collect();
                let (name, other) = (name(&draft.domains[from]), name(&draft.domains[to]));
                let what = names.join("\", \"");
                let message = format!(
                    "the gate `{}` is of no use: the policy denies `{name}` to {} `{other}`",
                    gate_use.table.local.value,
                    names.join(", ")
                );
                let types = &policy.table.types;
                faults.push(Diagnostic::new(gate_use.table.local.span, message).help(format!(
                    "add {{ from = [\"{}\"], to = [\"{}\"], may = [\"{what}\"] }} to `allow`, or take the gate away",
                    types[from_kind].value, types[to_kind].value
                )));
            }
        }
    }
    faults
}

fn name<'a>(domain: &'a DraftDomain<'_>) -> &'a str {
    &domain.table.name.value
}

/// One that is judged and runs before its monitor would wait longer for an answer than it may take.
pub(super) fn priority(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(policy) = policy(draft) else { return Vec::new() };
    let Some(monitor) = policy.monitor.and_then(|monitor| monitor.found) else { return Vec::new() };
    let priorities = draft.priorities();
    let judged = draft.domains.iter().enumerate().filter(|(place, _)| policy.judged[*place]);
    let above = judged.filter(|(place, _)| priorities[*place] >= priorities[monitor]);
    above
        .map(|(place, domain)| {
            let message = format!(
                "`{}` (priority {}) is judged by `{}` (priority {}), which is not above it",
                name(domain),
                priorities[place],
                name(&draft.domains[monitor]),
                priorities[monitor]
            );
            let at = domain.table.priority.as_ref().map_or(domain.table.name.span, |priority| priority.span);
            let fault = Diagnostic::new(at, message);
            let fault = fault.label(draft.domains[monitor].table.name.span, "the monitor");
            let least = priorities[place] + 1;
            fault.help(format!(
                "give the monitor a number from {least} to {HIGHEST_PRIORITY}, or this one less"
            ))
        })
        .collect()
}
