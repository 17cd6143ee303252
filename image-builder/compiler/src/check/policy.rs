//! The policy: who decides, which types there are, and whether the rules and what is given go together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cloison_abi::ObjectKind;
use cloison_abi::access::Classes;
use cloison_abi::policy::MAX_TYPES;

use super::grants::missing_gate;
use super::names::{is_meant_for_malformed, unknown_domain};
use crate::diagnostic::{At, Diagnostic, closest, propose};
use crate::manifest::{Inputs, ProblemKind, RuleTable, UseTable};
use crate::system::{Draft, DraftDomain, DraftPolicy, HIGHEST_PRIORITY, Right, asked, class, needs};

const RIGHT: Right = Right(ObjectKind::MonitorRight);
/// Others that one fault shows.
const MOST_LABELS: usize = 8;

/// Whether all of the policy could be read. Of a domain that is there twice, nobody knows which type counts.
fn is_whole(draft: &Draft<'_>) -> bool {
    let Inputs { spoiled, problems, .. } = draft.inputs;
    let is_twice = problems.iter().any(|problem| matches!(problem.kind, ProblemKind::Duplicate(..)));
    !is_twice && !spoiled.contains_part("policy") && !spoiled.contains_part("domain")
}

/// The policy, if all of it could be read and it has types.
pub(super) fn policy<'a>(draft: &Draft<'a>) -> Option<DraftPolicy<'a>> {
    draft.policy().filter(|policy| is_whole(draft) && !policy.table.types.is_empty())
}

pub(super) fn monitor(draft: &Draft<'_>) -> Vec<Diagnostic> {
    if !is_whole(draft) {
        return Vec::new();
    }
    let policy = draft.policy();
    let named = policy.as_ref().and_then(|policy| policy.monitor);
    // That there is no such domain is another check's.
    if named.is_some_and(|named| !named.is_known) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (place, domain) in draft.domains.iter().enumerate() {
        let name = &domain.table.name;
        let given = domain.rights.iter().find(|right| right.found == Some(RIGHT));
        match (given, named.filter(|named| named.found == Some(place))) {
            (None, Some(named)) if !needs_right(domain) => {
                let message =
                    format!("the monitor `{}` was not given the right `{}`", name.value, RIGHT.name());
                let fault = Diagnostic::new(named.written.span, message).label(name.span, "the domain");
                faults.push(fault.help(how_to_get_a_monitor(draft)));
            }
            // A policy that is missing is told of at the types.
            (Some(given), None) if policy.is_some() || !has_types(draft) => {
                let message = format!("`{}` may decide for others, but no policy names it", name.value);
                let fault = Diagnostic::new(given.written.span, message);
                faults.push(fault.help(match named {
                    Some(_) => "take the right away: one domain decides".to_owned(),
                    None => format!("add [policy] with `monitor = \"{}\"` and `types`", name.value),
                }));
            }
            _ => {}
        }
    }
    faults
}

fn has_types(draft: &Draft<'_>) -> bool {
    draft.domains.iter().any(|domain| domain.table.kind.is_some())
}

/// Whether its component asks for the right, so that another check tells if it has none.
fn needs_right(domain: &DraftDomain<'_>) -> bool {
    let needs = domain.component.iter().flat_map(|component| &component.rights);
    needs.into_iter().any(|need| Right::from_name(&need.value) == Some(RIGHT))
}

fn how_to_get_a_monitor(draft: &Draft<'_>) -> String {
    match draft.domains.iter().find(|domain| needs_right(domain)) {
        Some(domain) => format!("name `{}`, whose component asks for it", name(domain)),
        None => format!("name a domain whose component asks for \"{}\", such as `ipcmon`", RIGHT.name()),
    }
}

pub(super) fn types(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(policy) = policy(draft) else { return no_types(draft) };
    let mut faults = unknown_types(&policy, By::Domain, draft);
    faults.extend(untyped(&policy, draft));
    let is_clear = is_clear(draft, &policy);
    for (place, kind) in policy.table.types.iter().enumerate() {
        if policy.table.kind(&kind.value) != Some(place) {
            let fault = Diagnostic::new(kind.span, format!("the type `{}` is there twice", kind.value));
            faults.push(fault.help("remove one of them"));
        } else if is_clear && !policy.kinds.contains(&Some(place)) {
            let fault = Diagnostic::new(kind.span, format!("no domain has the type `{}`", kind.value));
            faults.push(fault.help("give it to a domain, or remove it here and from the rules"));
        }
    }
    if let Some(first) = policy.table.types.get(MAX_TYPES) {
        let message = format!("the policy has {} types", policy.table.types.len());
        faults.push(Diagnostic::new(first.span, message).help(format!("a policy can have {MAX_TYPES}")));
    }
    faults
}

/// Domains without a type.
fn untyped(policy: &DraftPolicy<'_>, draft: &Draft<'_>) -> Option<Diagnostic> {
    let mut untyped = draft.domains.iter().filter(|domain| domain.table.kind.is_none());
    let first = &untyped.next()?.table.name;
    let message = format!("the domain `{}` has no type", first.value);
    let mut fault = Diagnostic::new(first.span, message).label(policy.table.at, "the policy");
    for other in untyped.take(MOST_LABELS) {
        fault.labels.push((other.table.name.span, "nor has this one".to_owned()));
    }
    let names: Vec<_> = policy.table.type_names().take(MOST_LABELS).map(|name| format!("`{name}`")).collect();
    Some(fault.help(format!("add `type = ` and one of {}", names.join(", "))))
}

/// Types of domains where no policy has any, or a policy without types.
fn no_types(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let spoiled = &draft.inputs.spoiled;
    let kinds: Vec<_> = draft.domains.iter().filter_map(|domain| domain.table.kind.as_ref()).collect();
    let fault = match (&draft.inputs.manifest.policy, kinds.split_first()) {
        (None, Some((first, others))) if !spoiled.contains_part("policy") => {
            let fault = Diagnostic::new(first.span, "a domain has a type, but there is no policy");
            let others = others.iter().take(MOST_LABELS).map(|other| (other.span, "and here".to_owned()));
            let fault = Diagnostic { labels: others.collect(), ..fault };
            fault.help("add [policy] with `monitor` and `types`, or remove them")
        }
        (Some(policy), _) if policy.types.is_empty() && is_whole(draft) => {
            let mut names: Vec<_> = kinds.iter().map(|kind| format!("{:?}", kind.value)).collect();
            names.sort();
            names.dedup();
            let fault = Diagnostic::new(policy.at, "the policy lists no types");
            fault.help(match names.is_empty() {
                true => "add `types = ` and a list, and give each domain a `type`".to_owned(),
                false => format!("add `types = [{}]`", names.join(", ")),
            })
        }
        _ => return Vec::new(),
    };
    vec![fault]
}

/// Whether it is clear which domains there are, of which types, and by which gates.
fn is_clear(draft: &Draft<'_>, policy: &DraftPolicy<'_>) -> bool {
    // A port of a switch is a gate as well.
    policy.kinds.iter().all(Option::is_some)
        && !draft.inputs.spoiled.contains_part("switch")
        && !draft.has_unknown_domain()
        && unknown_domain(draft).is_empty()
        && missing_gate(draft).is_empty()
}

/// Who names a type.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum By {
    Domain,
    Rule,
    Wall,
}

/// Names that no type has, which something names, and nothing before it: each is told once.
pub(super) fn unknown_types(policy: &DraftPolicy<'_>, by: By, draft: &Draft<'_>) -> Vec<Diagnostic> {
    let of_domains = draft.domains.iter().filter_map(|domain| domain.table.kind.as_ref());
    let rules = policy.table.parts.iter().flat_map(|part| &part.allow);
    let of_rules = rules.flat_map(|rule| rule.from.iter().chain(&rule.to));
    let walls = policy.table.parts.iter().flat_map(|part| &part.walls);
    let of_walls = walls.flat_map(|wall| &wall.between);
    let all = of_domains.map(|kind| (By::Domain, kind));
    let all = all.chain(of_rules.map(|kind| (By::Rule, kind)));
    let all = all.chain(of_walls.map(|kind| (By::Wall, kind)));
    let known: HashSet<&str> = policy.table.type_names().collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    all.clone().for_each(|(_, kind)| *counts.entry(kind.value.as_str()).or_default() += 1);
    let idle = policy.table.types.iter().filter(|kind| !counts.contains_key(kind.value.as_str()));
    let idle: Vec<_> = idle.take(MAX_TYPES).collect();
    let mut faults: Vec<Diagnostic> = Vec::new();
    let mut told: HashMap<&str, Option<usize>> = HashMap::new();
    for (who, kind) in all.filter(|(_, kind)| !known.contains(kind.value.as_str())) {
        match told.get(kind.value.as_str()) {
            Some(Some(place)) if faults[*place].labels.len() < MOST_LABELS => {
                faults[*place].labels.push((kind.span, "here, too".to_owned()));
            }
            Some(_) => {}
            None if who == by && !is_meant_for_malformed(&kind.value, "type", policy.table.type_names()) => {
                told.insert(&kind.value, Some(faults.len()));
                // What is listed and written nowhere else, while a close name is written often, is the slip itself.
                let slip = closest(&kind.value, idle.iter().map(|listed| listed.value.as_str()));
                let slip = idle.iter().find(|listed| Some(listed.value.as_str()) == slip);
                if let Some(listed) = slip.filter(|_| counts[kind.value.as_str()] > 1) {
                    let message = format!("no domain has the type `{}`", listed.value);
                    let fault =
                        Diagnostic::new(listed.span, message).label(kind.span, "this is written elsewhere");
                    faults.push(fault.help(format!("write `{}`", kind.value)));
                    continue;
                }
                let fault = Diagnostic::new(kind.span, format!("there is no type `{}`", kind.value));
                let proposal = propose(&kind.value, "type", policy.table.type_names());
                faults.push(fault.help(format!("{proposal} (a new one is added to `types` of [policy])")));
            }
            None => drop(told.insert(&kind.value, None)),
        }
    }
    faults
}

pub(super) fn rules(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(policy) = policy(draft) else { return Vec::new() };
    let mut faults = unknown_types(&policy, By::Rule, draft);
    let is_clear = is_clear(draft, &policy);
    for rule in policy.table.parts.iter().flat_map(|part| &part.allow) {
        let before = faults.len();
        for name in rule.may.iter().filter(|name| class(&name.value).is_none()) {
            let message = format!("`{}` is nothing that a policy decides", name.value);
            let names = asked().map(|class| class.name());
            faults.push(Diagnostic::new(name.span, message).help(propose(&name.value, "class", names)));
        }
        let lists = [("from", &rule.from), ("to", &rule.to), ("may", &rule.may)];
        let empty = lists.iter().find(|(_, list)| list.is_empty()).map(|(key, _)| {
            let message = format!("a rule names nothing in `{key}`, so it allows nothing");
            Diagnostic::new(rule.at, message).help(format!("name something in `{key}`, or remove the rule"))
        });
        faults.extend(empty);
        if faults.len() == before && is_clear {
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
    // That no domain has a type is another check's.
    let kind =
        |name: &At<String>| policy.table.kind(&name.value).filter(|kind| policy.kinds.contains(&Some(*kind)));
    let pairs = rule.from.iter().flat_map(|from| rule.to.iter().map(move |to| (from, to)));
    let mut idle = pairs.filter(|(from, to)| {
        let (Some(from), Some(to)) = (kind(from), kind(to)) else { return false };
        !used(draft, policy, from, to).intersects(rule.classes())
    });
    let (from, to) = idle.next()?;
    let message = format!("no domain of type `{}` is given a gate to one of type `{}`", from.value, to.value);
    let fault = Diagnostic::new(rule.at, message).note("what this rule allows");
    Some(fault.help("remove the rule, or the type from it: it would allow what nobody can do"))
}

/// Gates that their clients, or servers toward their clients, may not use.
pub(super) fn uses(draft: &Draft<'_>) -> Vec<Diagnostic> {
    unallowed(draft).filter(|denied| denied.is_judged).map(|denied| denied.fault).into_iter().collect()
}

/// Gates that are used unasked, as the monitor needs it: they are allowed all the same.
pub(super) fn exempt(draft: &Draft<'_>) -> Vec<Diagnostic> {
    unallowed(draft).filter(|denied| !denied.is_judged).map(|denied| denied.fault).into_iter().collect()
}

/// What no rule allows, and gates need.
struct Unallowed {
    /// Whether the monitor is asked about one of these gates.
    is_judged: bool,
    fault: Diagnostic,
}

/// Uses of gates that no rule allows, in one fault: a rule that is missing, or says too little, is the likely cause.
fn unallowed(draft: &Draft<'_>) -> Option<Unallowed> {
    let policy = policy(draft)?;
    let mut all = Vec::new();
    for (client, domain) in draft.domains.iter().enumerate() {
        // Where a name was misspelled, the domain that is probably meant may be of another type than the one that is.
        for gate_use in domain.uses.iter().filter(|gate_use| gate_use.is_known) {
            let (Some(server), Some((there, back))) = (gate_use.server, needs(gate_use)) else { continue };
            for (from, to, needed) in [(client, server, there), (server, client, back)] {
                let (Some(from_kind), Some(to_kind)) = (policy.kinds[from], policy.kinds[to]) else {
                    continue;
                };
                let missing = needed - policy.allows(from_kind, to_kind);
                if !missing.is_empty() {
                    let kinds = [from_kind, to_kind];
                    all.push(Denied { ends: [from, to], kinds, missing, gate: gate_use.table });
                }
            }
        }
    }
    all.sort_by_key(|denied| (!policy.judged[denied.ends[0]], denied.gate.local.span));
    let (first, others) = all.split_first()?;
    let is_judged = policy.judged[first.ends[0]];
    let mut fault = Diagnostic::new(first.gate.local.span, first.message(draft, is_judged));
    for other in others.iter().take(MOST_LABELS) {
        let [from, to] = other.ends.map(|place| name(&draft.domains[place]));
        let text = format!("nor `{from}` to {} `{to}`", names_of(other.missing).join(", "));
        fault.labels.push((other.gate.local.span, text));
    }
    let rules = missing_rules(&policy, &all);
    let gates = if others.is_empty() { "the gate" } else { "the gates" };
    let fault = fault.help(format!("add {rules} to `allow`, or take {gates} away"));
    Some(Unallowed { is_judged, fault })
}

/// What no rule allows between two domains of which one uses the other's gate.
struct Denied<'a> {
    ends: [usize; 2],
    kinds: [usize; 2],
    missing: Classes,
    gate: &'a UseTable,
}

impl Denied<'_> {
    fn message(&self, draft: &Draft<'_>, is_judged: bool) -> String {
        let [from, to] = self.ends.map(|place| name(&draft.domains[place]));
        let (what, gate) = (names_of(self.missing).join(", "), &self.gate.local.value);
        if is_judged {
            format!("the gate `{gate}` is of no use: the policy denies `{from}` to {what} `{to}`")
        } else {
            format!(
                "nobody asks whether `{from}` may {what} `{to}` by the gate `{gate}`, and no rule says so"
            )
        }
    }
}

/// Rules that allow all of it: one for each type to which something is done.
fn missing_rules(policy: &DraftPolicy<'_>, all: &[Denied<'_>]) -> String {
    let mut by_target: BTreeMap<(usize, u32), BTreeSet<usize>> = BTreeMap::new();
    for denied in all {
        let [from, to] = denied.kinds;
        by_target.entry((to, denied.missing.bits())).or_default().insert(from);
    }
    let type_name = |kind: &usize| format!("{:?}", policy.table.types[*kind].value);
    let rules = by_target.iter().map(|((to, classes), from)| {
        let from: Vec<_> = from.iter().map(type_name).collect();
        let may = names_of(Classes::from_bits_retain(*classes)).join("\", \"");
        format!("{{ from = [{}], to = [{}], may = [\"{may}\"] }}", from.join(", "), type_name(to))
    });
    rules.collect::<Vec<_>>().join(", ")
}

fn names_of(classes: Classes) -> Vec<&'static str> {
    asked().filter(|class| classes.contains(class.bit())).map(|class| class.name()).collect()
}

fn name<'a>(domain: &'a DraftDomain<'_>) -> &'a str {
    &domain.table.name.value
}

/// One that is judged and runs before its monitor would wait longer for an answer than it may take.
pub(super) fn priority(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(policy) = policy(draft) else { return Vec::new() };
    let Some(monitor) = policy.monitor.and_then(|monitor| monitor.found) else { return Vec::new() };
    let priorities = draft.priorities();
    let judged = (0..draft.domains.len()).filter(|place| policy.judged[*place]);
    let mut above: Vec<_> = judged.filter(|place| priorities[*place] >= priorities[monitor]).collect();
    above.sort_by_key(|place| Reverse(priorities[*place]));
    let Some((first, others)) = above.split_first() else { return Vec::new() };
    let (highest, own) = (priorities[*first], priorities[monitor]);
    let title = |place: usize| format!("`{}` (priority {})", name(&draft.domains[place]), priorities[place]);
    let message = format!("the monitor {} is not above {}, which it judges", title(monitor), title(*first));
    let stated = |place: usize| draft.domains[place].table.priority.as_ref().map(|priority| priority.span);
    let place_of = |place: usize| stated(place).unwrap_or(draft.domains[place].table.name.span);
    // Whose statement is the cause.
    let (at, other, help) = match (stated(monitor), stated(*first)) {
        (Some(at), _) if highest < HIGHEST_PRIORITY => {
            let help =
                format!("give it a number from {} to {HIGHEST_PRIORITY}, or leave it out", highest + 1);
            (at, *first, help)
        }
        (_, Some(at)) => (at, monitor, format!("give it a number below {own}, or leave it out")),
        (_, None) => (place_of(monitor), *first, "keep what it judges below it".to_owned()),
    };
    let mut fault = Diagnostic::new(at, message).label(place_of(other), format!("this is {}", title(other)));
    for other in others.iter().take(MOST_LABELS) {
        fault.labels.push((place_of(*other), format!("nor above {}", title(*other))));
    }
    vec![fault.help(help)]
}
