//! What a domain's memory rests on follows from the system, and a bound of it is kept to the last line.

mod support;

use std::collections::BTreeSet;

use image_compiler::{
    System,
    flow::Flows,
    trust::{self, Amount, Facts, KERNEL, LOADER, Made, Source, readers, rests_on},
};

/// Kernel, loader, builder and components that have one crate each and share another, with figures by which one can tell
/// whose they are.
fn facts(system: &System) -> Facts {
    let components = system.components();
    let names =
        [KERNEL, LOADER].into_iter().chain(components.iter().map(|component| component.name.as_str()));
    let mut facts = Facts::default();
    facts.crates.insert("abi 1".into(), Source { lines: 1, unsafe_sites: 0 });
    facts.own.insert("abi 1".into());
    for (place, name) in names.enumerate() {
        let own = format!("{name} 1");
        let lines = 10 << place;
        facts.crates.insert(own.clone(), Source { lines, unsafe_sites: 1 });
        let crates = BTreeSet::from(["abi 1".to_owned(), own]);
        facts.programs.insert(name.to_owned(), Made { crates, bytes: 1024 });
    }
    facts
}

/// What a domain of the manifest with every key rests on.
fn programs(system: &System, name: &str) -> Vec<String> {
    let flows = Flows::new(system);
    let (id, _) = system.domains().find(|(_, domain)| domain.name == name).unwrap();
    rests_on(system, &flows, id).into_iter().map(str::to_owned).collect()
}

#[test]
fn all_memory_rests_on_those_who_see_all_of_it() {
    let system = support::everything();
    // The card reads and writes all memory by itself, so all rests on its driver.
    assert_eq!(programs(&system, "quiet"), ["boot-efi", "builder", "card", "core-kernel", "quiet"]);
    assert_eq!(programs(&system, "nic"), ["boot-efi", "builder", "card", "core-kernel"]);
    assert_eq!(programs(&system, "stpm"), ["boot-efi", "builder", "card", "core-kernel", "stpm"]);
}

#[test]
fn each_reader_is_named_with_what_it_sees() {
    let system = support::everything();
    let flows = Flows::new(&system);
    let of = |name: &str| {
        let (id, _) = system.domains().find(|(_, domain)| domain.name == name).unwrap();
        let readers = readers(&system, &flows, id);
        let readers = readers.into_iter().map(|reader| (reader.name, reader.what, reader.programs));
        readers.collect::<Vec<_>>()
    };
    let card = ("device:nic0", "reads and writes all memory", vec!["card"]);
    let kept = ("builder", "memory and faults, to start it again", vec!["builder"]);
    let shared = |with| (with, "memory of gate tpm", vec![]);
    assert_eq!(of("stpm"), [shared("client"), kept, card]);
    assert!(of("client").contains(&shared("stpm")), "{:?}", of("client"));
    assert_eq!(of("nic").iter().filter(|reader| !reader.2.is_empty()).count(), 0, "the card is its own");
}

#[test]
fn a_crate_counts_once() {
    let system = support::everything();
    let facts = facts(&system);
    let two = facts.amount(&BTreeSet::from([KERNEL, LOADER]));
    assert_eq!(two, Amount { lines: 1 + 10 + 20, own_lines: 1, unsafe_sites: 2, crates: 3, bytes: 2048 });
    assert_eq!(facts.amount(&BTreeSet::from(["nobody"])), Amount::default());
}

#[test]
fn a_bound_is_kept_to_the_last_line() {
    let system = support::everything();
    let (id, stpm) = system.domains().find(|(_, domain)| domain.name == "stpm").unwrap();
    let flows = Flows::new(&system);
    let amount = |facts: &Facts| facts.amount(&rests_on(&system, &flows, id));
    let bound =
        |key| stpm.rests_on_at_most.as_ref().unwrap().bounds().find(|(name, _)| *name == key).unwrap().1;
    let mut facts = facts(&system);
    // Everything of it is raised to its bound, and then by one.
    let least = amount(&facts);
    let source = facts.crates.get_mut("core-kernel 1").unwrap();
    source.lines += bound("lines").value - least.lines;
    source.unsafe_sites += bound("unsafe").value - least.unsafe_sites;
    let kernel = facts.programs.get_mut(KERNEL).unwrap();
    kernel.bytes += bound("kib").value * 1024 - least.bytes;
    kernel.crates.extend((least.crates..bound("crates").value).map(|number| format!("crate {number}")));
    assert!(trust::judge(&system, &facts).is_ok(), "{:?}", amount(&facts));
    type Change = fn(&mut Facts);
    let changes: [(Change, &str); 4] = [
        (
            |facts| facts.crates.get_mut("core-kernel 1").unwrap().lines += 1,
            "rests on 20001 lines, and at most 20000",
        ),
        (
            |facts| facts.crates.get_mut("boot-efi 1").unwrap().unsafe_sites += 1,
            "rests on 301 places that are `unsafe`, and at most 300",
        ),
        (
            |facts| facts.programs.get_mut("card").unwrap().crates.extend(["x 1".to_owned()]),
            "rests on 41 crates, and at most 40",
        ),
        (
            |facts| facts.programs.get_mut("builder").unwrap().bytes += 1,
            "rests on 2001 KiB of programs, and at most 2000",
        ),
    ];
    for (change, message) in changes {
        let mut facts = facts.clone();
        change(&mut facts);
        let report = trust::judge(&system, &facts).unwrap_err();
        assert_eq!(report.count(), 1, "{report}");
        assert!(report.to_string().contains(message), "{message} is not in {report}");
        assert!(report.to_string().contains("raise `"), "{report}");
    }
    // Code that it does not rest on is no matter.
    facts.crates.get_mut("quiet 1").unwrap().lines += 100_000;
    assert!(trust::judge(&system, &facts).is_ok());
}
