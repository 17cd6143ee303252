//! The policies as the monitor reads them.

use cloison_abi::access::Classes;
use cloison_abi::policy::{FIRST_INDEX, PolicyDomain, PolicyHeader, PolicyRule, PolicyStart, PolicyWall};
use zerocopy::IntoBytes;

use super::name::name;
use crate::flow::{Flow, Flows, Kind, Node, NodeId};
use crate::system::{DomainId, Part, Policy, System};

/// All policies of a system, as tables.
#[derive(Debug)]
pub(crate) struct PolicyTables {
    pub(crate) header: PolicyHeader,
    pub(crate) domains: Vec<PolicyDomain>,
    pub(crate) parts: Vec<PartTables>,
}

/// One policy, as tables.
#[derive(Debug)]
pub(crate) struct PartTables {
    pub(crate) start: PolicyStart,
    pub(crate) rules: Vec<PolicyRule>,
    pub(crate) walls: Vec<PolicyWall>,
}

impl PolicyTables {
    /// The policies of a system. `flows`: all that can flow in it.
    pub(crate) fn new(system: &System, policy: &Policy, flows: &Flows) -> Self {
        let mut header = PolicyHeader {
            domains: policy.domains.len() as u32,
            policies: policy.parts.len() as u32,
            ..PolicyHeader::default()
        };
        for (place, kind) in header.types.iter_mut().zip(&policy.types) {
            *place = name(kind);
        }
        let domains = system.domains().zip(&policy.domains);
        let domains = domains.map(|((id, domain), (kind, _))| PolicyDomain {
            name: name(&domain.name),
            kind: *kind as u32,
            asked: system.asked(id).bits(),
            apart: apart(flows, id),
            tells: tells(system, flows, id),
        });
        Self { header, domains: domains.collect(), parts: policy.parts.iter().map(PartTables::new).collect() }
    }

    /// The tables, one behind the other.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let parts = self
            .parts
            .iter()
            .flat_map(|part| [part.start.as_bytes(), part.rules.as_bytes(), part.walls.as_bytes()].concat());
        [self.header.as_bytes(), self.domains.as_bytes()].concat().into_iter().chain(parts).collect()
    }
}

impl PartTables {
    fn new(part: &Part) -> Self {
        let (rules, walls) = (part.rules.len() as u32, part.walls.len() as u32);
        let start = PolicyStart { name: name(&part.name), rules, walls };
        let rules = part.rules.iter().map(|rule| PolicyRule {
            from: rule.from as u32,
            to: rule.to as u32,
            may: rule.may.bits(),
            line: rule.line as u32,
        });
        let walls = part.walls.iter().map(|wall| PolicyWall {
            name: name(&wall.name),
            between: wall.between.iter().fold(0, |all, kind| all | 1 << kind),
            line: wall.line as u32,
        });
        Self { start, rules: rules.collect(), walls: walls.collect() }
    }
}

/// The clients that a domain keeps apart, as bits by their indices.
fn apart(flows: &Flows, id: DomainId) -> u32 {
    let Some(node) = flows.find(Node::Domain(id)).filter(|node| flows.keeps_apart(*node)) else { return 0 };
    bits(flows.clients(node).filter_map(|client| domain_at(flows, client)))
}

/// To whom a domain can tell something about which the monitor is not asked, as bits by their indices.
fn tells(system: &System, flows: &Flows, id: DomainId) -> u32 {
    let is_judged = |node| domain_at(flows, node).is_some_and(|id| system.asked(id) == Classes::ASKED);
    let is_asked = |flow: &Flow| match flow.kind {
        // A reply is judged with its call, and who is judged calls those who are not.
        Kind::Call | Kind::Loan => flow.by.is_none() && (is_judged(flow.from) || is_judged(flow.to)),
        Kind::Signal => is_judged(flow.from),
        _ => false,
    };
    let from = flows.find(Node::Domain(id));
    let own = flows.flows().iter().filter(|flow| Some(flow.from) == from && !flow.is_hostile);
    bits(own.filter(|flow| !is_asked(flow)).filter_map(|flow| domain_at(flows, flow.to)))
}

fn domain_at(flows: &Flows, node: NodeId) -> Option<DomainId> {
    match flows.node_at(node) {
        Node::Domain(id) => Some(id),
        _ => None,
    }
}

fn bits(domains: impl Iterator<Item = DomainId>) -> u32 {
    domains.fold(0, |all, id| all | 1_u32.checked_shl(id.0 as u32 + FIRST_INDEX).unwrap_or(0))
}
