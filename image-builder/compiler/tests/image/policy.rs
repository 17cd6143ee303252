//! What a policy becomes: who is judged, and what the monitor is told.

use cloison_abi::access::Classes;
use cloison_abi::info::SETTINGS_POLICY;
use cloison_abi::policy::{FIRST_INDEX, PolicyHeader};
use ipcmon_policy::Policies;

use super::*;

fn judged() -> Read {
    let path = support::fixtures().root.join("manifests/policy.toml");
    Read::of(&image_compiler::load(&support::fixtures(), &path).unwrap())
}

#[test]
fn all_are_judged_but_the_monitor_and_those_that_it_calls() {
    let read = judged();
    let asked = ["console", "monitor", "hello", "second"].map(|name| {
        let entry = &read.domains[read.domain(name) as usize];
        Classes::from_bits(entry.asked).unwrap()
    });
    assert_eq!(asked, [Classes::empty(), Classes::empty(), Classes::ASKED, Classes::ASKED]);
    assert!(Read::everything().domains.iter().all(|domain| domain.asked == 0), "nobody without a policy");
}

#[test]
fn the_monitor_is_above_those_it_judges_and_told_of_questions() {
    let read = judged();
    let priority = |name| read.thread(read.domain(name)).priority;
    assert!(priority("monitor") > priority("hello") && priority("monitor") > priority("second"));
    assert!(priority("console") >= priority("monitor"), "a server is not below its client");
    let right = read.rights.iter().find(|right| right.kind == ObjectKind::MonitorRight as u32).unwrap();
    assert_eq!(right.domain, read.domain("monitor"));
    assert_ne!(right.event, NONE);
}

#[test]
fn what_the_monitor_keeps_outlives_its_restart() {
    let read = judged();
    let monitor = read.domain("monitor");
    let slot = read.region_slots.iter().find(|slot| slot.domain == monitor).unwrap();
    let region = &read.regions[slot.region as usize];
    assert_eq!((region.name.as_str(), region.pages, region.owner), ("state", 1, NONE));
    assert!(read.region_slots.iter().all(|other| other.domain == monitor || other.region != slot.region));
}

#[test]
fn the_report_shows_the_policy() {
    let path = support::fixtures().root.join("manifests/policy.toml");
    let system = image_compiler::load(&support::fixtures(), &path).unwrap();
    let report = image_compiler::report(&system, None);
    let lines: Vec<_> =
        report.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        "Policy, by monitor",
        "console service no: the monitor needs it",
        "monitor monitor decides",
        "second loud yes",
        "app service call 11",
        "loud service call, signal 12",
        "Walls (nobody learns of more than one side)",
        "quiet app, loud 14",
        "Rules of policy night (all else is denied)",
        "monitor service call 17",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {report}");
    }
    assert!(!image_compiler::report(&support::everything(), None).contains("Policy"));
}

#[test]
fn the_monitor_alone_is_told_the_policy() {
    let read = judged();
    let settings = |name| read.settings(read.domain(name), SETTINGS_POLICY);
    assert!(["console", "hello", "second"].iter().all(|name| settings(name).is_empty()));
    let bytes = settings("monitor");
    let header = PolicyHeader::read_from_prefix(&bytes).unwrap().0;
    assert_eq!(header.types.map(|kind| kind.as_str().to_owned())[..4], ["service", "monitor", "app", "loud"]);
    let policies = Policies::read(&bytes).unwrap();
    let domains: Vec<_> =
        policies.domains().all().map(|(index, domain)| (index, domain.name.as_str(), domain.kind)).collect();
    assert_eq!(domains, [(2, "console", 0), (3, "monitor", 1), (4, "hello", 2), (5, "second", 3)]);
    assert_eq!(
        read.domain("console") + FIRST_INDEX,
        2,
        "the builder makes them in this order, and is 1 itself"
    );
    let find = |name| policies.find(Name::new(name).unwrap()).unwrap().unwrap();
    let call = Classes::CALL.bits();
    let rules = |name| -> Vec<_> {
        find(name).rules.iter().map(|rule| (rule.from, rule.to, rule.may, rule.line)).collect()
    };
    let both = call | Classes::SIGNAL.bits();
    assert_eq!(rules("first"), [(2, 0, call, 11), (3, 0, call, 11), (1, 0, call, 11), (3, 0, both, 12)]);
    assert_eq!(rules("night"), [(1, 0, call, 17)]);
    let walls: Vec<_> =
        find("first").walls.iter().map(|wall| (wall.name.as_str(), wall.between, wall.line)).collect();
    assert_eq!(walls, [("quiet", 0b1100, 14)]);
    assert!(find("night").walls.is_empty());
}

#[test]
fn the_monitor_is_told_who_tells_whom_unasked_and_who_keeps_whom_apart() {
    let read = judged();
    let bytes = read.settings(read.domain("monitor"), SETTINGS_POLICY);
    let policies = Policies::read(&bytes).unwrap();
    let told: Vec<_> = policies.domains().all().map(|(_, domain)| (domain.apart, domain.tells)).collect();
    let [console, monitor, hello, second] = [2, 3, 4, 5].map(|index| 1 << index);
    // All write to the kernel's log, which the console reads; the monitor calls it, and is told of each question.
    assert_eq!(told[0], (monitor | hello | second, monitor));
    assert_eq!(told[1], (hello | second, console | hello | second));
    assert_eq!(told[2..], [(0, console | monitor); 2]);
}
