//! The policy: who is judged, and by which rules.

use crate::system::{Policy, System, asked};
use crate::table::Table;

/// The types of domains, and the rules between them; nothing without a policy.
pub(super) fn policy(system: &System) -> String {
    system.policy().map_or_else(String::new, |policy| types(system, policy) + &rules(policy))
}

fn types(system: &System, policy: &Policy) -> String {
    let mut table = Table::new(["domain", "type", "judged"]);
    for ((id, domain), (kind, is_judged)) in system.domains().zip(&policy.domains) {
        let judged = match is_judged {
            true => "yes",
            false if id == policy.monitor => "decides",
            false => "no: the monitor needs it",
        };
        table.row([domain.name.clone(), policy.types[*kind].clone(), judged.to_owned()]);
    }
    table.render(&format!("Policy, by {}", system.domain(policy.monitor).name))
}

fn rules(policy: &Policy) -> String {
    let mut table = Table::new(["from", "to", "may", ">line"]);
    for rule in &policy.rules {
        let may: Vec<_> =
            asked().filter(|class| rule.may.contains(class.bit())).map(|class| class.name()).collect();
        let [from, to] = [rule.from, rule.to].map(|kind| policy.types[kind].clone());
        table.row([from, to, may.join(", "), rule.line.to_string()]);
    }
    table.render("Rules (all else is denied)")
}
