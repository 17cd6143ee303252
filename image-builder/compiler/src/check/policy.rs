//! The policy: who decides, which types there are, and whether the rules and what is given go together.

use cloison_abi::ObjectKind;
use cloison_abi::access::Classes;

use super::kinds::{Unknown, is_whole, policy};
use crate::diagnostic::{At, Diagnostic, propose};
use crate::manifest::{RuleTable, UseTable};
use crate::system::{Draft, DraftDomain, DraftPolicy, HIGHEST_PRIORITY, Right, asked, class, needs};

const RIGHT: Right = Right(ObjectKind::MonitorRight);

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

pub(super) fn rules(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(policy) = policy(draft) else { return Vec::new() };
    let mut faults = Vec::new();
    let unknown = Unknown::new(&policy, draft);
    for rule in policy.table.parts.iter().flat_map(|part| &part.allow) {
        let before = faults.len();
        let kinds = || rule.from.iter().chain(&rule.to);
        faults.extend(kinds().filter_map(|kind| unknown.tell(&policy, kind)));
        for name in rule.may.iter().filter(|name| class(&name.value).is_none()) {
            let message = format!("`{}` is nothing that a policy decides", name.value);
            let names = asked().map(|class| class.name());
            faults.push(Diagnostic::new(name.span, message).help(propose(&name.value, "class", names)));
        }
        let is_known = kinds().all(|kind| policy.table.kind(&kind.value).is_some());
        if is_known && faults.len() == before {
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
    // Of a domain whose type is not known it is not known what it would use the rule for.
    let is_known = !draft.has_unknown_domain() && policy.kinds.iter().all(Option::is_some);
    let (from, to) = idle.next().filter(|_| is_known)?;
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

/// Uses of gates that no rule allows, of those that are judged, or of the others: one fault for each rule that is missing.
fn unallowed(draft: &Draft<'_>, are_judged: bool) -> Vec<Diagnostic> {
    let Some(policy) = policy(draft) else { return Vec::new() };
    let mut missing: Vec<Missing<'_>> = Vec::new();
    for (client, domain) in draft.domains.iter().enumerate() {
        for gate_use in &domain.uses {
            let (Some(server), Some((there, back))) = (gate_use.server, needs(gate_use)) else { continue };
            let ends = [(client, server, there), (server, client, back)];
            for (from, to, needed) in ends.into_iter().filter(|(from, ..)| policy.judged[*from] == are_judged)
            {
                let (Some(from_kind), Some(to_kind)) = (policy.kinds[from], policy.kinds[to]) else {
                    continue;
                };
                let classes = needed - policy.allows(from_kind, to_kind);
                if classes.is_empty() {
                    continue;
                }
                let used = Used { ends: [from, to], gate: gate_use.table };
                let kinds = [from_kind, to_kind];
                match missing.iter_mut().find(|rule| rule.kinds == kinds) {
                    Some(rule) => rule.add(classes, used),
                    None => missing.push(Missing { kinds, classes, first: used, others: Vec::new() }),
                }
            }
        }
    }
    missing.iter().map(|rule| rule.tell(draft, &policy, are_judged)).collect()
}

/// What no rule allows between two types, and the uses of gates that need it.
struct Missing<'a> {
    kinds: [usize; 2],
    classes: Classes,
    first: Used<'a>,
    others: Vec<Used<'a>>,
}

/// A gate by which one domain does something to another.
struct Used<'a> {
    ends: [usize; 2],
    gate: &'a UseTable,
}

impl<'a> Missing<'a> {
    fn add(&mut self, classes: Classes, used: Used<'a>) {
        self.classes |= classes;
        self.others.push(used);
    }

    fn tell(&self, draft: &Draft<'_>, policy: &DraftPolicy<'_>, is_judged: bool) -> Diagnostic {
        let Used { ends, gate } = &self.first;
        let classes = asked().filter(|class| self.classes.contains(class.bit()));
        let names: Vec<_> = classes.map(|class| class.name()).collect();
        let [from, to] = ends.map(|place| name(&draft.domains[place]));
        let [from_kind, to_kind] = self.kinds.map(|kind| &policy.table.types[kind].value);
        let (what, gate) = (names.join(", "), &gate.local);
        let message = if is_judged {
            format!("the gate `{}` is of no use: the policy denies `{from}` to {what} `{to}`", gate.value)
        } else {
            format!(
                "nobody asks whether `{from}` may {what} `{to}` by the gate `{}`, and no rule says so",
                gate.value
            )
        };
        let fault = Diagnostic::new(gate.span, message);
        let fault = if self.others.is_empty() { fault } else { fault.note(also(draft, &self.others)) };
        let what = names.join("\", \"");
        fault.help(format!(
            "add {{ from = [\"{from_kind}\"], to = [\"{to_kind}\"], may = [\"{what}\"] }} to `allow`, or take the gate away"
        ))
    }
}

/// Uses that are named beside the first.
const MOST_ALSO: usize = 3;

/// The other uses that need the same rule.
fn also(draft: &Draft<'_>, others: &[Used<'_>]) -> String {
    let ends = |used: &Used<'_>| used.ends.map(|place| name(&draft.domains[place]));
    let shown: Vec<_> =
        others.iter().take(MOST_ALSO).map(ends).map(|[from, to]| format!("`{from}` to `{to}`")).collect();
    let more = match others.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("the same of {}{more}", shown.join(", "))
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
    let above: Vec<_> = judged.filter(|(place, _)| priorities[*place] >= priorities[monitor]).collect();
    let Some(((first, domain), others)) = above.split_first() else { return Vec::new() };
    let name_of = |domain: &DraftDomain<'_>, place: usize| {
        format!("`{}` (priority {})", name(domain), priorities[place])
    };
    let message = format!(
        "{} is judged by {}, which is not above it",
        name_of(domain, *first),
        name_of(&draft.domains[monitor], monitor)
    );
    let at = domain.table.priority.as_ref().map_or(domain.table.name.span, |priority| priority.span);
    let fault = Diagnostic::new(at, message).label(draft.domains[monitor].table.name.span, "the monitor");
    let others: Vec<_> = others.iter().map(|(place, domain)| name_of(domain, *place)).collect();
    let fault =
        if others.is_empty() { fault } else { fault.note(format!("nor above {}", others.join(", "))) };
    let least = above.iter().map(|(place, _)| priorities[*place]).max().unwrap_or_default() + 1;
    vec![fault.help(if least <= HIGHEST_PRIORITY {
        format!("give the monitor a number from {least} to {HIGHEST_PRIORITY}, or those that it judges less")
    } else {
        "give those that it judges less than the monitor has".to_owned()
    })]
}
