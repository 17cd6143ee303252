//! The types of a policy. One slip is one fault, however often the name is written: who calls a type by another name is told
//! so once, and nothing that follows from it.

use cloison_abi::policy::MAX_TYPES;

use crate::diagnostic::{At, Diagnostic, closest, propose};
use crate::system::{Draft, DraftPolicy};

/// Whether all of the policy could be read.
pub(super) fn is_whole(draft: &Draft<'_>) -> bool {
    !draft.inputs.spoiled.contains_part("policy") && !draft.inputs.spoiled.contains_part("domain")
}

/// The policy, if all of it could be read.
fn in_part<'a>(draft: &Draft<'a>) -> Option<DraftPolicy<'a>> {
    draft.policy().filter(|_| is_whole(draft))
}

/// The same, if it lists types: without them nothing else of it means anything.
pub(super) fn policy<'a>(draft: &Draft<'a>) -> Option<DraftPolicy<'a>> {
    in_part(draft).filter(|policy| !policy.table.types.is_empty())
}

/// Names of types that the policy does not list, or lists by a slip.
pub(super) struct Unknown<'a> {
    /// Where each of them is written first, and how often it is written elsewhere.
    names: Vec<(&'a At<String>, usize)>,
    /// Names that are listed and written nowhere else, each with the one that was meant and how often that is written.
    slips: Vec<(&'a At<String>, &'a At<String>, usize)>,
}

impl<'a> Unknown<'a> {
    pub(super) fn new(policy: &DraftPolicy<'a>, draft: &Draft<'a>) -> Self {
        let mut names: Vec<(&At<String>, usize)> = Vec::new();
        for kind in written(policy, draft).filter(|kind| policy.table.kind(&kind.value).is_none()) {
            match names.iter_mut().find(|(first, _)| first.value == kind.value) {
                Some((_, more)) => *more += 1,
                None => names.push((kind, 0)),
            }
        }
        let idle = |kind: &&At<String>| written(policy, draft).all(|other| other.value != kind.value);
        let idle: Vec<_> = policy.table.types.iter().filter(idle).collect();
        let mut slips = Vec::new();
        names.retain(|(name, more)| {
            // Listed by a slip, if it is that name which is written elsewhere. Of two that are written once either may be.
            let listed = closest(&name.value, idle.iter().map(|kind| kind.value.as_str()));
            let listed = idle.iter().find(|kind| Some(kind.value.as_str()) == listed).filter(|_| *more > 0);
            slips.extend(listed.map(|listed| (*listed, *name, *more + 1)));
            listed.is_none()
        });
        Self { names, slips }
    }

    /// What to say where a name is written: nothing if it is known, or has been told of elsewhere.
    pub(super) fn tell(&self, policy: &DraftPolicy<'_>, kind: &At<String>) -> Option<Diagnostic> {
        let (_, more) = self.names.iter().find(|(first, _)| first.span == kind.span)?;
        let known = policy.table.types.iter().map(|kind| kind.value.as_str());
        let fault = Diagnostic::new(kind.span, format!("there is no type `{}`", kind.value));
        let fault = match more {
            0 => fault,
            1 => fault.note("and in one more place"),
            more => fault.note(format!("and in {more} more places")),
        };
        Some(fault.help(propose(&kind.value, "type", known)))
    }

    /// Whether one of them may be meant by a name that is listed.
    fn may_mean(&self, listed: &str) -> bool {
        self.names.iter().any(|(name, _)| closest(&name.value, [listed]).is_some())
    }
}

/// Every place where the manifest writes a type, but for the list of them.
fn written<'a, 'd>(
    policy: &'d DraftPolicy<'a>,
    draft: &'d Draft<'a>,
) -> impl Iterator<Item = &'a At<String>> + use<'a, 'd> {
    let (table, domains) = (policy.table, draft.domains.iter());
    let of_domains = domains.filter_map(|domain| domain.table.kind.as_ref());
    let rules = table.parts.iter().flat_map(|part| &part.allow);
    let walls = table.parts.iter().flat_map(|part| &part.walls);
    let of_rules = rules.flat_map(|rule| rule.from.iter().chain(&rule.to));
    of_domains.chain(of_rules).chain(walls.flat_map(|wall| &wall.between))
}

pub(super) fn types(draft: &Draft<'_>) -> Vec<Diagnostic> {
    if draft.inputs.manifest.policy.is_none() {
        return without_policy(draft).into_iter().collect();
    }
    let Some(policy) = in_part(draft) else { return Vec::new() };
    if policy.table.types.is_empty() {
        return vec![without_types(&policy, draft)];
    }
    let unknown = Unknown::new(&policy, draft);
    let kinds = draft.domains.iter().filter_map(|domain| domain.table.kind.as_ref());
    let mut faults: Vec<_> = kinds.filter_map(|kind| unknown.tell(&policy, kind)).collect();
    faults.extend(untyped(&policy, draft));
    faults.extend(listed(&policy, draft, &unknown));
    faults
}

fn without_policy(draft: &Draft<'_>) -> Option<Diagnostic> {
    let mut typed = draft.domains.iter().filter_map(|domain| domain.table.kind.as_ref());
    let first = typed.next()?;
    let fault = Diagnostic::new(first.span, "a domain has a type, but there is no policy");
    let fault = match typed.count() {
        0 => fault,
        more => fault.note(format!("and so have {more} more")),
    };
    Some(fault.help("add [policy], or remove it"))
}

fn without_types(policy: &DraftPolicy<'_>, draft: &Draft<'_>) -> Diagnostic {
    let mut names: Vec<&str> = Vec::new();
    for kind in written(policy, draft).map(|kind| kind.value.as_str()) {
        if names.len() < MAX_TYPES && !names.contains(&kind) {
            names.push(kind);
        }
    }
    let fault = Diagnostic::new(policy.table.at, "the policy lists no types");
    fault.help(match names.as_slice() {
        [] => "add `types = [...]` with names of your choice, and give each domain one of them (`type`)"
            .to_owned(),
        names => format!("those that the manifest speaks of: add `types = [\"{}\"]`", names.join("\", \"")),
    })
}

/// Domains without a type.
fn untyped(policy: &DraftPolicy<'_>, draft: &Draft<'_>) -> Option<Diagnostic> {
    let untyped = draft.domains.iter().filter(|domain| domain.table.kind.is_none());
    let names: Vec<_> = untyped.map(|domain| &domain.table.name).collect();
    let (first, others) = names.split_first()?;
    let fault = Diagnostic::new(first.span, format!("the domain `{}` has no type", first.value));
    let fault = fault.label(policy.table.at, "the policy");
    let others: Vec<_> = others.iter().map(|name| format!("`{}`", name.value)).collect();
    let fault = match others.is_empty() {
        true => fault,
        false => fault.note(format!("nor have {}", others.join(", "))),
    };
    Some(fault.help("add `type = ` and one of the policy's types"))
}

/// What is wrong with the list of types itself.
fn listed(policy: &DraftPolicy<'_>, draft: &Draft<'_>, unknown: &Unknown<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let is_untyped = draft.domains.iter().any(|domain| domain.table.kind.is_none());
    // A domain without a type may be the one that it is for.
    let may_be_meant = |kind: &str| {
        unknown.may_mean(kind) || (is_untyped && written(policy, draft).any(|other| other.value == kind))
    };
    for (place, kind) in policy.table.types.iter().enumerate() {
        let slip = unknown.slips.iter().find(|(listed, ..)| listed.span == kind.span);
        if policy.table.kind(&kind.value) != Some(place) {
            let fault = Diagnostic::new(kind.span, format!("the type `{}` is there twice", kind.value));
            faults.push(fault.help("remove one of them"));
        } else if let Some((_, meant, count)) = slip {
            let fault = Diagnostic::new(kind.span, format!("no domain has the type `{}`", kind.value));
            let fault = fault.label(meant.span, format!("`{}` is written in {count} places", meant.value));
            faults.push(fault.help(format!("write `{}`", meant.value)));
        } else if !policy.kinds.contains(&Some(place)) && !may_be_meant(&kind.value) {
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
