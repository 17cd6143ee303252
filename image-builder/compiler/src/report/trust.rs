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
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn programs(system: &System, facts: &Facts) -> String {
    let mut table = Table::new(["program", ">lines", ">unsafe", ">crates", ">bytes"]);
    let components = system.components.iter().map(|component| component.name.as_str());
    for name in [KERNEL, LOADER].into_iter().chain(components) {
        let [lines, sites, crates, bytes] = cells(facts.amount(&BTreeSet::from([name])));
        table.row([name.to_owned(), lines, sites, crates, bytes]);
    }
    table.render("Programs, with all that they are linked of but Rust's own library")
}

fn seen(system: &System, flows: &Flows) -> String {
    let mut table = Table::new(["memory of", "is read by", "what of it"]);
    for (id, domain) in system.domains() {
        for reader in readers(system, flows, id) {
            let all = if reader.program.is_some() { "all: " } else { "" };
            table.row([domain.name.clone(), reader.name.to_owned(), format!("{all}{}", reader.what)]);
        }
    }
    table.render("Who can read memory of a domain, beside the kernel, and the builder until all is built")
}

fn sums(system: &System, flows: &Flows, facts: &Facts) -> String {
    let mut table =
        Table::new(["memory of", ">lines", ">unsafe", ">crates", ">bytes", "at most", "the programs are"]);
    for (id, domain) in system.domains() {
        let programs = rests_on(system, flows, id);
        let [lines, sites, crates, bytes] = cells(facts.amount(&programs));
        let bounds = domain.rests_on_at_most.iter().flat_map(|budget| budget.bounds());
        let bounds: Vec<_> = bounds.map(|(key, bound)| format!("{key} {}", bound.value)).collect();
        let names: Vec<&str> = programs.into_iter().collect();
        let (name, bounds) = (domain.name.clone(), bounds.join(", "));
        table.row([name, lines, sites, crates, bytes, bounds, names.join(", ")]);
    }
    table.render("All of it rests on this much code; what several programs have counts once")
}

fn cells(amount: Amount) -> [String; 4] {
    [amount.lines, amount.unsafe_sites, amount.crates, amount.bytes].map(|figure| figure.to_string())
}
