//! Who offers which gate, for proposals that can be followed.

use std::collections::HashMap;

use cloison_abi::limits::MAX_DOMAINS;

use crate::system::Draft;

/// The domains that offer each gate.
pub(super) struct Servers<'d, 'a> {
    draft: &'d Draft<'a>,
    offering: HashMap<&'a str, Vec<usize>>,
    calls_of: Vec<Vec<usize>>,
    /// Whether some domain is not known for what it is, so that it may offer anything.
    pub(super) has_unknown: bool,
}

impl<'d, 'a> Servers<'d, 'a> {
    pub(super) fn new(draft: &'d Draft<'a>) -> Self {
        let mut offering: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, domain) in draft.domains.iter().enumerate() {
            for offer in domain.component.iter().flat_map(|component| &component.offers) {
                offering.entry(&offer.name.value).or_default().push(place);
            }
        }
        let mut calls_of = vec![Vec::new(); draft.domains.len()];
        for call in draft.calls() {
            calls_of[call.client].push(call.server);
        }
        Self { draft, offering, calls_of, has_unknown: draft.has_unknown_domain() }
    }

    /// Names of those that offer a gate and that a domain can call without a circle.
    pub(super) fn of(&self, gate: &str, client: usize) -> Vec<&'a str> {
        // More domains than there can be are refused anyway.
        let all = self.offering.get(gate).map_or(&[][..], |all| &all[..all.len().min(MAX_DOMAINS)]);
        let fit = all.iter().filter(|server| !self.calls(**server, client));
        fit.map(|server| self.draft.domains[*server].table.name.value.as_str()).collect()
    }

    /// Whether a domain calls another, or one that does, or is the same.
    fn calls(&self, client: usize, server: usize) -> bool {
        if client == server || self.draft.domains.len() > MAX_DOMAINS {
            return client == server;
        }
        let mut seen = vec![false; self.calls_of.len()];
        let mut open = vec![client];
        while let Some(domain) = open.pop() {
            for next in &self.calls_of[domain] {
                if !std::mem::replace(&mut seen[*next], true) {
                    open.push(*next);
                }
            }
        }
        seen[server]
    }
}
