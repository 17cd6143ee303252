//! The policy: the types of domains, what they may do to each other, and who is judged.

use cloison_abi::access::{Class, Classes};
use cloison_abi::policy::{PolicyDomain, PolicyHeader, PolicyRule, PolicyStart, PolicyWall};

use super::{Call, DomainId, Draft, DraftGateUse, Named, System};
use crate::diagnostic::{At, Span, closest};
use crate::manifest::{PartTable, PolicyTable, RuleTable, WallTable};

/// A policy that has passed every check.
#[derive(Debug)]
pub struct Policy {
    /// The domain that decides.
    pub monitor: DomainId,
    /// Names of the types.
    pub types: Vec<String>,
    /// The type of each domain, and whether it is judged.
    pub domains: Vec<(usize, bool)>,
    /// The policy that is in force at first, then those that can be loaded.
    pub parts: Vec<Part>,
}

/// One policy.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct Part {
    pub name: String,
    /// Where the manifest begins it.
    pub at: Span,
    /// What is allowed.
    pub rules: Vec<Rule>,
    /// What is kept apart, whatever is allowed.
    pub walls: Vec<Wall>,
}

/// Types of which no domain may learn of more than one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct Wall {
    pub name: String,
    /// The types.
    pub between: Vec<usize>,
    /// Where the manifest says so.
    pub at: Span,
    /// The line of that.
    pub line: usize,
}

/// What domains of one type may do to those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The type of who does it.
    pub from: usize,
    /// The type to which it is done.
    pub to: usize,
    /// What.
    pub may: Classes,
    /// The line of the manifest that says so.
    pub line: usize,
}

impl Part {
    /// What domains of one type may do to those of another.
    #[must_use]
    pub fn allows(&self, from: usize, to: usize) -> Classes {
        let rules = self.rules.iter().filter(|rule| (rule.from, rule.to) == (from, to));
        rules.fold(Classes::empty(), |all, rule| all | rule.may)
    }
}

impl Policy {
    /// Whether a policy lets a domain do so to another one. Who is not judged may do what the manifest gives it.
    #[must_use]
    pub fn lets(&self, part: &Part, subject: DomainId, object: DomainId, class: Class) -> bool {
        let [(from, is_judged), (to, _)] = [subject, object].map(|id| self.domains[id.0]);
        !is_judged || part.allows(from, to).contains(class.bit())
    }
}

/// A policy whose names have been looked up.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct DraftPolicy<'a> {
    pub table: &'a PolicyTable,
    /// The domain that decides.
    pub monitor: Option<Named<'a, usize>>,
    /// The type of each domain, as far as it is known.
    pub kinds: Vec<Option<usize>>,
    /// The domains about which the monitor is asked: all but itself and those that it calls, and they call.
    pub judged: Vec<bool>,
}

/// The class of access that a manifest calls so, if it is one about which a monitor is asked.
#[must_use]
pub fn class(name: &str) -> Option<Class> {
    asked().find(|class| class.name() == name)
}

/// The classes about which a monitor is asked.
pub fn asked() -> impl Iterator<Item = Class> + Clone {
    Class::ALL.into_iter().filter(|class| Classes::ASKED.contains(class.bit()))
}

impl<'a> Draft<'a> {
    /// The policy, if there is one.
    #[must_use]
    pub fn policy(&self) -> Option<DraftPolicy<'a>> {
        let table = self.inputs.manifest.policy.as_ref()?;
        let monitor = table.monitor.as_ref().map(|written| self.find_domain(written));
        let kind = |written: &Option<At<String>>| table.kind(&written.as_ref()?.value);
        let kinds = self.domains.iter().map(|domain| kind(&domain.table.kind)).collect();
        let judged = self.judged(monitor.and_then(|monitor| monitor.found));
        Some(DraftPolicy { table, monitor, kinds, judged })
    }

    /// What the policy has domains ask the monitor, as calls.
    pub(crate) fn questions(&self) -> Vec<Call> {
        let Some(policy) = self.policy() else { return Vec::new() };
        let Some(Named { written, found: Some(server), .. }) = policy.monitor else { return Vec::new() };
        let judged = policy.judged.iter().enumerate().filter(|(_, judged)| **judged);
        judged.map(|(client, _)| Call { client, server, at: written.span }).collect()
    }

    fn judged(&self, monitor: Option<usize>) -> Vec<bool> {
        let (calls, mut judged) = (self.calls(), vec![true; self.domains.len()]);
        let mut open: Vec<usize> = monitor.into_iter().collect();
        while let Some(domain) = open.pop() {
            if std::mem::replace(&mut judged[domain], false) {
                open.extend(calls.iter().filter(|call| call.client == domain).map(|call| call.server));
            }
        }
        judged
    }
}

impl PolicyTable {
    /// The number of the type with this name, or with one that is close to it.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<usize> {
        self.very_kind(name).or_else(|| self.very_kind(closest(name, self.type_names())?))
    }

    /// The number of the type with this very name.
    #[must_use]
    pub fn very_kind(&self, name: &str) -> Option<usize> {
        self.types.iter().position(|kind| kind.value == name)
    }

    /// Names of its types.
    pub fn type_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.types.iter().map(|kind| kind.value.as_str())
    }
}

impl PartTable {
    /// How many pairs of types its rules name.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.allow.iter().map(|rule| rule.from.len() * rule.to.len()).sum()
    }
}

impl RuleTable {
    /// What it allows, as far as it is known.
    #[must_use]
    pub fn classes(&self) -> Classes {
        self.may
            .iter()
            .filter_map(|name| class(&name.value))
            .fold(Classes::empty(), |all, one| all | one.bit())
    }
}

impl DraftPolicy<'_> {
    /// What domains of one type may do to those of another at first.
    #[must_use]
    pub fn allows(&self, from: usize, to: usize) -> Classes {
        let names =
            |list: &[At<String>], kind| list.iter().any(|name| self.table.kind(&name.value) == Some(kind));
        let rules =
            self.table.first().allow.iter().filter(|rule| names(&rule.from, from) && names(&rule.to, to));
        rules.fold(Classes::empty(), |all, rule| all | rule.classes())
    }

    /// How many bytes the monitor is told of it.
    pub(super) fn bytes(&self) -> usize {
        let of_part = |part: &PartTable| {
            size_of::<PolicyStart>()
                + part.rule_count() * size_of::<PolicyRule>()
                + part.walls.len() * size_of::<PolicyWall>()
        };
        size_of::<PolicyHeader>()
            + self.kinds.len() * size_of::<PolicyDomain>()
            + self.table.parts.iter().map(of_part).sum::<usize>()
    }

    pub(super) fn resolve(&self, draft: &Draft<'_>) -> Option<Policy> {
        let domains = self.kinds.iter().zip(&self.judged).map(|(kind, judged)| Some(((*kind)?, *judged)));
        Some(Policy {
            monitor: DomainId(self.monitor?.found?),
            types: self.table.types.iter().map(|kind| kind.value.clone()).collect(),
            domains: domains.collect::<Option<_>>()?,
            parts: self.table.parts.iter().map(|part| self.part(draft, part)).collect::<Option<_>>()?,
        })
    }

    fn part(&self, draft: &Draft<'_>, part: &PartTable) -> Option<Part> {
        let mut rules = Vec::new();
        for rule in &part.allow {
            let (line, _) = draft.inputs.sources.position(rule.at);
            for from in &rule.from {
                for to in &rule.to {
                    let (from, to) = (self.table.kind(&from.value)?, self.table.kind(&to.value)?);
                    rules.push(Rule { from, to, may: rule.classes(), line });
                }
            }
        }
        let wall = |wall: &WallTable| {
            Some(Wall {
                name: wall.name.as_ref()?.value.clone(),
                between: wall
                    .between
                    .iter()
                    .map(|kind| self.table.kind(&kind.value))
                    .collect::<Option<_>>()?,
                at: wall.at,
                line: draft.inputs.sources.position(wall.at).0,
            })
        };
        let walls = part.walls.iter().map(wall).collect::<Option<_>>()?;
        Some(Part { name: part.name.value.clone(), at: part.name.span, rules, walls })
    }
}

/// What the client does to the server by using its gate, and the server to the client.
#[must_use]
pub fn needs(gate_use: &DraftGateUse<'_>) -> Option<(Classes, Classes)> {
    let (_, offer) = gate_use.offer?;
    let only = |classes, is_so| if is_so { classes } else { Classes::empty() };
    let shares = offer.region_pages() > 0 || offer.grant_slots > 0;
    let there = Classes::CALL | only(Classes::SIGNAL, offer.signals_server) | only(Classes::SHARE, shares);
    Some((there, only(Classes::SIGNAL, offer.signals_client)))
}

impl System {
    /// The policy, if there is one.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    /// About what the monitor is asked before a domain does so.
    #[must_use]
    pub fn asked(&self, id: DomainId) -> Classes {
        let is_judged = self.policy.as_ref().is_some_and(|policy| policy.domains[id.0].1);
        if is_judged { Classes::ASKED } else { Classes::empty() }
    }
}
