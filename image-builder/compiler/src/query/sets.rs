//! The nodes that a question names.

use super::Misunderstood;
use super::parse::{Set, Term};
use crate::diagnostic::propose;
use crate::flow::{Flows, NodeId};

/// What is in a set, one flag for each node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Members(pub(super) Vec<bool>);

impl Members {
    pub(super) fn none(flows: &Flows) -> Self {
        Self(vec![false; flows.node_count()])
    }

    /// Looks up what a set names.
    pub(super) fn of(flows: &Flows, set: &Set) -> Result<Self, Misunderstood> {
        let mut members = Self::none(flows);
        for (terms, is_in) in [(&set.all, true), (&set.but, false)] {
            for term in terms {
                nodes(flows, term)?.into_iter().for_each(|node| members.0[node.0] = is_in);
            }
        }
        Ok(members)
    }

    pub(super) fn has(&self, node: NodeId) -> bool {
        self.0[node.0]
    }

    pub(super) fn all(&self) -> impl Iterator<Item = NodeId> {
        self.0.iter().enumerate().filter(|(_, is_in)| **is_in).map(|(place, _)| NodeId(place))
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().filter(|is_in| **is_in).count()
    }

    /// Whether a node is in both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(mine, other)| *mine && *other)
    }

    /// Those of its nodes that have a bit of this value in their number.
    pub(super) fn half(&self, bit: u32, value: usize) -> Self {
        let members = self.0.iter().enumerate();
        Self(members.map(|(place, is_in)| *is_in && place >> bit & 1 == value).collect())
    }

    pub(super) fn remove(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(mine, other)| *mine &= !*other);
    }

    pub(super) fn add(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(mine, other)| *mine |= *other);
    }
}

fn nodes(flows: &Flows, term: &Term) -> Result<Vec<NodeId>, Misunderstood> {
    let named = |prefix: &str, name: &str| find(flows, prefix, name).map(|node| vec![node]);
    match term {
        Term::Any => Ok(flows.nodes().map(|(id, _)| id).collect()),
        Term::Outside => Ok(with_prefix(flows, "outside:").map(|(id, _)| id).collect()),
        Term::Name(name) | Term::Domain(name) => named("", name),
        Term::Guest(name) => named("guest:", name),
        Term::Device(name) => named("device:", name),
        Term::Behind(name) => named("outside:", name),
        Term::Type(name) => of_type(flows, name),
    }
}

fn of_type(flows: &Flows, name: &str) -> Result<Vec<NodeId>, Misunderstood> {
    if flows.types().is_empty() {
        let message = format!("`type:{name}` means nothing: the domains of this system have no types");
        return Err(Misunderstood::new(message, "name the domains, with commas between them"));
    }
    let known = flows.types().iter().find(|(known, _)| known == name);
    known.map(|(_, nodes)| nodes.clone()).ok_or_else(|| {
        let names = flows.types().iter().map(|(known, _)| known.as_str());
        Misunderstood::new(format!("there is no type `{name}` in this system"), propose(name, "type", names))
    })
}

/// The node whose name is a prefix and this name. Without a prefix: a domain, or the builder.
fn find(flows: &Flows, prefix: &str, name: &str) -> Result<NodeId, Misunderstood> {
    let known = || with_prefix(flows, prefix).filter(|(_, name)| !name.contains(':'));
    if let Some((id, _)) = known().find(|(_, known)| *known == name) {
        return Ok(id);
    }
    let names: Vec<_> = known().map(|(_, name)| name).collect();
    let kind = if prefix.is_empty() { "domain" } else { prefix.trim_end_matches(':') };
    if kind == "outside" {
        let message = format!("nothing is connected to a device `{name}` of this system");
        return Err(Misunderstood::new(message, propose(name, "device with a wire", names)));
    }
    let message = format!("there is no {kind} `{name}` in this system");
    Err(Misunderstood::new(message, propose(name, kind, names)))
}

fn with_prefix<'f>(flows: &'f Flows, prefix: &'f str) -> impl Iterator<Item = (NodeId, &'f str)> {
    flows.nodes().filter_map(move |(id, _)| Some((id, flows.name(id).strip_prefix(prefix)?)))
}
