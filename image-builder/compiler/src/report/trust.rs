//! What each domain's memory rests on, for a person to judge.

use std::collections::BTreeSet;

use crate::flow::Flows;
use crate::system::System;
use crate::table::Table;
use crate::trust::{Amount, Facts, KERNEL, LOADER, readers, rests_on};

/// Who can read whose memory, and how much code it rests on.
#[must_use]
pub fn trust(system: &System, facts: &Facts) -> String {
    let flows = Flows::new(system);
    let mut text = format!("system {}: what the memory of each domain rests on\n\n", system.name());
    text += &programs(system, facts);
    text += &seen(system, &flows);
    text += &sums(system, &flows, facts);
    text += &crates(facts);
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn programs(system: &System, facts: &Facts) -> String {
    let mut table = Table::new(["program", ">lines", ">our own", ">unsafe", ">crates", ">bytes"]);
    let components = system.components.iter().map(|component| component.name.as_str());
    for name in [KERNEL, LOADER].into_iter().chain(components) {
        let [lines, own, sites, crates, bytes] = cells(facts.amount(&BTreeSet::from([name])));
        table.row([name.to_owned(), lines, own, sites, crates, bytes]);
    }
    table.render("Programs, with all that they are linked of but Rust's own library")
}

fn seen(system: &System, flows: &Flows) -> String {
    let mut table = Table::new(["memory of", "is read by", "what of it"]);
    for (id, domain) in system.domains() {
        for reader in readers(system, flows, id) {
            let all = if reader.programs.is_empty() { "" } else { "all: " };
            table.row([domain.name.clone(), reader.name.to_owned(), format!("{all}{}", reader.what)]);
        }
    }
    table.render("Who can read memory of a domain, beside the kernel, and the builder until all is built")
}

fn sums(system: &System, flows: &Flows, facts: &Facts) -> String {
    let mut table = Table::new([
        "memory of",
        ">lines",
        ">our own",
        ">unsafe",
        ">crates",
        ">bytes",
        "at most",
        "programs",
    ]);
    for (id, domain) in system.domains() {
        let programs = rests_on(system, flows, id);
        let [lines, own, sites, crates, bytes] = cells(facts.amount(&programs));
        let bounds = domain.rests_on_at_most.iter().flat_map(|budget| budget.bounds());
        let bounds: Vec<_> = bounds.map(|(key, bound)| format!("{key} {}", bound.value)).collect();
        let names: Vec<&str> = programs.into_iter().collect();
        let (name, bounds) = (domain.name.clone(), bounds.join(", "));
        table.row([name, lines, own, sites, crates, bytes, bounds, names.join(", ")]);
    }
    table.render("All of it rests on this much code; what several programs have counts once")
}

/// Each crate, and the programs that are linked of it.
fn crates(facts: &Facts) -> String {
    let mut table = Table::new(["crate", ">lines", ">unsafe", "in"]);
    for (name, source) in &facts.crates {
        let users = facts.programs.iter().filter(|(_, made)| made.crates.contains(name));
        let users: Vec<&str> = users.map(|(program, _)| program.as_str()).collect();
        let users = if users.len() == facts.programs.len() { "all".to_owned() } else { users.join(", ") };
        table.row([name.clone(), source.lines.to_string(), source.unsafe_sites.to_string(), users]);
    }
    table.render("Crates, each whole")
}

fn cells(amount: Amount) -> [String; 5] {
    let Amount { lines, own_lines, unsafe_sites, crates, bytes } = amount;
    [lines, own_lines, unsafe_sites, crates, bytes].map(|figure| figure.to_string())
}
