//! What a domain finds in its address space is what `cargo image report` shows.

use std::{collections::BTreeSet, path::Path};

use harness::Verdict;
use image_builder::build::{self, Context};
use image_compiler::report;
use image_machine::{interrupts::Interrupts, progress::Progress};

/// First and last address, and what is said of them.
type Part = (u64, u64, String);

#[test]
fn a_domain_sees_the_map_that_the_report_shows() {
    let (verdict, console) = harness::boot("map");
    assert!(verdict == Verdict::Pass, "{verdict}\n{console}");
    let lines =
        console.lines().filter_map(|line| part(line.strip_prefix("mapper")?.trim().strip_prefix("| ")?));
    let (found, told): (Vec<Part>, Vec<Part>) = lines.partition(|(.., what)| what == "mapped");
    let reported = reported();
    let untold = ["information page", "program", "stack"];
    let expected: BTreeSet<Part> = reported
        .iter()
        .filter(|(.., what)| !untold.iter().any(|part| what.ends_with(part)))
        .map(|(first, last, what)| (*first, *last, what.replace("registers of tpm-tis", "registers")))
        .collect();
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), expected, "told by its page, and reported");
    let found: Vec<(u64, u64)> = found.into_iter().map(|(first, last, _)| (first, last)).collect();
    assert_eq!(found, joined(&reported), "found by the domain, and reported");
    for what in ["heap", "settings", "registers", "shared with console", "to ore", "from ore"] {
        assert!(expected.iter().any(|(.., told)| told.contains(what)), "the domain has no {what}");
    }
}

/// A line `FIRST LAST RIGHTS WHAT`.
fn part(line: &str) -> Option<Part> {
    let mut words = line.split_whitespace();
    let mut address = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let (first, last) = (address()?, address()?);
    Some((first, last, words.collect::<Vec<_>>().join(" ")))
}

/// What the report shows of the domain's address space, without the numbers of pages.
fn reported() -> Vec<Part> {
    let context = Context::find(Progress::silent(), Interrupts::none().unwrap()).unwrap();
    let manifest = Path::new("tests/manifests/accept/map.toml");
    let system = build::load(&context, context.workspace.root.join(manifest)).unwrap();
    let built = build::build(&context, system).unwrap();
    let text = report(&built.system, Some((&built.plan, &built.image)));
    let table = text.lines().skip_while(|line| *line != "Address space of mapper").skip(2);
    let rows = table.take_while(|line| !line.is_empty()).map(|row| part(row).unwrap());
    rows.map(|(first, last, rest)| {
        let (rights, rest) = rest.split_once(' ').unwrap();
        let (pages, what) = rest.split_once(' ').unwrap();
        assert_eq!(pages.parse::<u64>().unwrap() * 4096, last + 1 - first);
        (first, last, format!("{rights} {what}"))
    })
    .collect()
}

/// The parts in the order of their addresses, with neighbours as one.
fn joined(parts: &[Part]) -> Vec<(u64, u64)> {
    let mut parts: Vec<(u64, u64)> = parts.iter().map(|(first, last, _)| (*first, *last)).collect();
    parts.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (first, last) in parts {
        match joined.last_mut() {
            Some((_, end)) if *end + 1 == first => *end = last,
            _ => joined.push((first, last)),
        }
    }
    joined
}
