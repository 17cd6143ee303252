//! The policy: who is judged, and by which rules.

use cloison_abi::policy::FIRST_POLICY;

use crate::system::{Part, Policy, System, asked};
use crate::table::Table;

/// The types of domains, and the rules between them; nothing without a policy.
pub(super) fn policy(system: &System) -> String {
    system.policy().map_or_else(String::new, |policy| {
        let parts = policy.parts.iter().map(|part| rules(policy, part) + &walls(policy, part));
        types(system, policy) + &parts.collect::<String>()
    })
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

fn rules(policy: &Policy, part: &Part) -> String {
    let mut table = Table::new(["from", "to", "may", ">line"]);
    for rule in &part.rules {
        let may: Vec<_> =
            asked().filter(|class| rule.may.contains(class.bit())).map(|class| class.name()).collect();
        let [from, to] = [rule.from, rule.to].map(|kind| policy.types[kind].clone());
        table.row([from, to, may.join(", "), rule.line.to_string()]);
    }
    let of = if part.name == FIRST_POLICY { String::new() } else { format!(" of policy {}", part.name) };
    table.render(&format!("Rules{of} (all else is denied)"))
}

fn walls(policy: &Policy, part: &Part) -> String {
    if part.walls.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["wall", "between", ">line"]);
    for wall in &part.walls {
        let between: Vec<_> = wall.between.iter().map(|kind| policy.types[*kind].as_str()).collect();
        table.row([wall.name.clone(), between.join(", "), wall.line.to_string()]);
    }
    table.render("Walls (nobody learns of more than one side)")
}
