//! The policy: who decides, which types there are, and whether the rules and what is given go together.

use cloison_abi::ObjectKind;
use cloison_abi::access::Classes;
use cloison_abi::policy::MAX_TYPES;

use crate::diagnostic::{At, Diagnostic, propose};
use crate::manifest::{RuleTable, UseTable};
use crate::system::{Draft, DraftDomain, DraftPolicy, HIGHEST_PRIORITY, Right, asked, class, needs};

const RIGHT: Right = Right(ObjectKind::MonitorRight);

/// Whether all of the policy could be read.
fn is_whole(draft: &Draft<'_>) -> bool {
    !draft.inputs.spoiled.contains_part("policy") && !draft.inputs.spoiled.contains_part("domain")
}

pub(super) fn policy<'a>(draft: &Draft<'a>) -> Option<DraftPolicy<'a>> {
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
    for (domain, found) in draft.domains.iter().zip(&policy.kinds) {
        let name = &domain.table.name;
        match (&domain.table.kind, found) {
            (None, _) => {
                let message = format!("the domain `{}` has no type", name.value);
                let fault = Diagnostic::new(name.span, message).label(policy.table.at, "the policy");
                faults.push(fault.help("add `type = ` and one of the policy's types"));
            }
            (Some(kind), None) => faults.push(unknown_type(&policy, kind)),
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

pub(super) fn unknown_type(policy: &DraftPolicy<'_>, kind: &At<String>) -> Diagnostic {
    let known = policy.table.types.iter().map(|kind| kind.value.as_str());
    let fault = Diagnostic::new(kind.span, format!("there is no type `{}`", kind.value));
    fault.help(propose(&kind.value, "type", known))
}

pub(super) fn rules(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(policy) = policy(draft) else { return Vec::new() };
    let mut faults = Vec::new();
    for rule in policy.table.parts.iter().flat_map(|part| &part.allow) {
        let before = faults.len();
        let kinds = rule.from.iter().chain(&rule.to);
        for kind in kinds.filter(|kind| policy.table.kind(&kind.value).is_none()) {
            faults.push(unknown_type(&policy, kind));
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

/// A gate that its client, or the server toward its client, may not use.
pub(super) fn uses(draft: &Draft<'_>) -> Vec<Diagnostic> {
    unallowed(draft, true)
}

/// A gate that is used unasked, as the monitor needs it: it is allowed all the same.
pub(super) fn exempt(draft: &Draft<'_>) -> Vec<Diagnostic> {
    unallowed(draft, false)
}

/// Uses of gates that no rule allows, of those that are judged, or of the others.
fn unallowed(draft: &Draft<'_>, are_judged: bool) -> Vec<Diagnostic> {
    let Some(policy) = policy(draft) else { return Vec::new() };
    let mut faults = Vec::new();
    for (client, domain) in draft.domains.iter().enumerate() {
        for gate_use in &domain.uses {
            let (Some(server), Some((there, back))) = (gate_use.server, needs(gate_use)) else { continue };
            let ends = [(client, server, there), (server, client, back)];
            let ends = ends.into_iter().filter(|(from, ..)| policy.judged[*from] == are_judged);
            faults.extend(ends.filter_map(|(from, to, needed)| {
                let missing = needed - policy.allows(policy.kinds[from]?, policy.kinds[to]?);
                let denied = Denied { ends: [from, to], missing, gate: gate_use.table };
                (!missing.is_empty()).then(|| denied.tell(draft, &policy, are_judged))
            }));
        }
    }
    faults
}

/// What no rule allows between two domains of which one uses the other's gate.
struct Denied<'a> {
    ends: [usize; 2],
    missing: Classes,
    gate: &'a UseTable,
}

impl Denied<'_> {
    fn tell(&self, draft: &Draft<'_>, policy: &DraftPolicy<'_>, is_judged: bool) -> Diagnostic {
        let classes = asked().filter(|class| self.missing.contains(class.bit()));
        let names: Vec<_> = classes.map(|class| class.name()).collect();
        let [from, to] = self.ends.map(|place| name(&draft.domains[place]));
        let kinds = self.ends.map(|place| policy.kinds[place].map(|kind| &policy.table.types[kind].value));
        let [from_kind, to_kind] = kinds.map(|kind| kind.map_or("", String::as_str));
        let (what, gate) = (names.join(", "), &self.gate.local);
        let message = if is_judged {
            format!("the gate `{}` is of no use: the policy denies `{from}` to {what} `{to}`", gate.value)
        } else {
            format!(
                "nobody asks whether `{from}` may {what} `{to}` by the gate `{}`, and no rule says so",
                gate.value
            )
        };
        let what = names.join("\", \"");
        Diagnostic::new(gate.span, message).help(format!(
            "add {{ from = [\"{from_kind}\"], to = [\"{to_kind}\"], may = [\"{what}\"] }} to `allow`, or take the gate away"
        ))
    }
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
