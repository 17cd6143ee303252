//! A policy has to say all that a plan allows.

use std::{format, string::String, vec::Vec};

use cloison_abi::{
    Name, Rights,
    plan::{AreaEntry, DeviceEntry, GuestEntry, ImageEntry, NONE, RegionSlotEntry},
};

use super::sketch::{RESTARTED, Sketch, image_of};
use crate::{BuildError, Policy};

/// What the plan of [`named`] allows, a line for each.
const SAID: [&str; 12] = [
    "first holds census-right",
    "first holds log-right",
    "first tells second by call: reply of gate x",
    "first tells second by memory: memory of gate x",
    "first tells second by signal: event of gate x",
    "first tells third by fault: what is done after a fault",
    "second owns card, some-class, pci 00:03.0, memory 0xfe000000 0x1000, ports 0x3f8 8, message",
    "second tells first by call: gate x",
    "second tells first by loan: by gate x",
    "second tells first by signal: event of gate x",
    "second tells outside:card by device: more than the plan's tables say",
    "third tells first by fault: its faults",
];
/// The one among them that the tables of a plan do not know of.
const BEYOND: usize = 10;

/// A plan with names, in which the first domain writes what the second sees.
fn named() -> Sketch {
    let mut plan = Sketch::system();
    for (domain, name) in plan.domains.iter_mut().zip(["first", "second", "third"]) {
        domain.name = Name::new(name).unwrap();
    }
    plan.devices[0].name = Name::new("card").unwrap();
    plan.gates[0].grants = 1;
    let both = plan.mappings.iter().find(|mapping| mapping.domain == RESTARTED && mapping.region == 3);
    let both = both.unwrap().region;
    let writer = plan.mappings.iter_mut().find(|mapping| mapping.domain == 0 && mapping.region == both);
    writer.unwrap().rights |= Rights::WRITE.bits();
    plan
}

fn text(lines: &[&str]) -> String {
    format!("cloison policy 1\n{}\n", lines.join("\n"))
}

fn checked(plan: &mut Sketch, policy: String) -> Result<(), BuildError> {
    plan.policy = policy;
    image_of(&plan.image()).and_then(|image| image.check())
}

#[test]
fn a_policy_that_says_all_is_enough() {
    assert_eq!(checked(&mut named(), text(&SAID)), Ok(()));
}

/// Each line is needed: without it, the plan is refused.
#[test]
fn a_plan_that_allows_more_is_refused() {
    for place in (0..SAID.len()).filter(|place| *place != BEYOND) {
        let mut lines = SAID.to_vec();
        let line = lines.remove(place);
        let error = checked(&mut named(), text(&lines)).unwrap_err();
        let BuildError::Policy { who, whom, .. } = error else { panic!("{line}: {error}") };
        assert!(line.starts_with(who.as_str()) && line.contains(whom.as_str()), "{line}: {error}");
    }
    let error = checked(&mut named(), text(&SAID[1..])).unwrap_err();
    let said = "the policy does not say that first reaches census-right by holding it, and the plan does";
    assert_eq!(format!("{error}"), said);
}

/// What a domain does not see yet, but can map or show its guest, is said too; registers are the owner's.
#[test]
fn what_a_domain_can_come_to_see_is_said() {
    let third = 2;
    let mut slots = named();
    let region = slots
        .mappings
        .iter()
        .find(|mapping| mapping.domain == RESTARTED && mapping.region == 3)
        .unwrap()
        .region;
    slots.region_slots.push(RegionSlotEntry { domain: third, slot: 9, region, rights: Rights::READ.bits() });
    let mut guests = named();
    let attached = [region, NONE, NONE, NONE];
    guests.guests.push(GuestEntry { domain: third, slot: 9, tables: 0, frame: 0, attached, writable: 0 });
    for mut plan in [slots, guests] {
        let error = checked(&mut plan, text(&SAID)).unwrap_err();
        let said = "the policy does not say that first reaches third by memory, and the plan does";
        assert_eq!(format!("{error}"), said);
    }
    for of_device in [named().areas[0].region, named().configuration_pages[0].region] {
        let mut registers = named();
        let owner = registers.devices[0].domain;
        let mut seen = *registers.mappings.iter().find(|mapping| mapping.region == of_device).unwrap();
        seen.domain = (owner + 1) % 3;
        registers.mappings.push(seen);
        let error = checked(&mut registers, text(&SAID)).unwrap_err();
        assert!(matches!(error, BuildError::Policy { how: "its registers", .. }), "{error}");
    }
    // A region that another table calls another's is not that.
    let mut twice = named();
    let (page, third_device) = (twice.configuration_pages[0].region, twice.devices.len() as u32);
    twice.devices.push(DeviceEntry { domain: third, ..twice.devices[0] });
    twice.areas.push(AreaEntry { region: page, device: third_device, ..twice.areas[0] });
    let mut seen = *twice.mappings.iter().find(|mapping| mapping.region == page).unwrap();
    seen.domain = third;
    twice.mappings.retain(|mapping| mapping.region != page);
    twice.mappings.push(seen);
    let error = checked(&mut twice, text(&SAID)).unwrap_err();
    assert!(matches!(error, BuildError::Policy { how: "its registers", .. }), "{error}");
    let mut nobodys = named();
    nobodys.areas[0].device = NONE;
    let error = checked(&mut nobodys, text(&SAID)).unwrap_err();
    assert_eq!(error, BuildError::Image("registers are of no device"));
    let mut frames = named();
    let attached = [NONE; 4];
    frames.guests.push(GuestEntry {
        domain: third,
        slot: 9,
        tables: 0,
        frame: region,
        attached,
        writable: 0,
    });
    let error = checked(&mut frames, text(&SAID)).unwrap_err();
    assert!(matches!(error, BuildError::Policy { how: "memory", .. }), "{error}");
}

/// Where it is chosen with what a domain is started, all of that is said. What is one alone is no choice.
#[test]
fn what_a_domain_can_be_started_with_is_said() {
    let mut plan = named();
    let image = |domain, name| ImageEntry { name: Name::new(name).unwrap(), domain, least_pages: 0 };
    plan.images = [image(0, "one"), image(0, "other"), image(1, "alone")].into();
    let lines = [&["first can be started with one", "first can be started with other"][..], &SAID].concat();
    assert_eq!(checked(&mut plan, text(&lines)), Ok(()));
    let near = [&["first can be started with one", "first can be started with others"][..], &SAID].concat();
    for lines in [&lines[1..], &near] {
        let error = checked(&mut plan, text(lines)).unwrap_err();
        assert!(matches!(error, BuildError::Policy { how: "being started with it", .. }), "{error}");
    }
}

/// Two domains of one name would have what is said of one.
#[test]
fn a_name_is_one_domains() {
    let mut plan = named();
    plan.domains[1].name = plan.domains[0].name;
    let error = checked(&mut plan, text(&SAID)).unwrap_err();
    assert_eq!(error, BuildError::Image("two domains have one name"));
}

/// A device is said whole: each part that the plan gives, and not only the start of one.
#[test]
fn a_device_is_said_with_its_parts() {
    for (part, other) in [
        ("memory 0xfe000000 0x1000", "memory 0xfe000000 0x2000"),
        ("memory 0xfe000000 0x1000", "memory 0xfe000000 0x10000"),
        ("pci 00:03.0", "pci 00:03.1"),
        ("pci 00:03.0, ", ""),
        ("ports 0x3f8 8", "ports 0x3f8 80"),
        (", message", ""),
    ] {
        let policy = text(&SAID).replace(part, other);
        let error = checked(&mut named(), policy).unwrap_err();
        assert!(matches!(error, BuildError::Policy { .. }), "{part}: {error}");
    }
}

#[test]
fn what_is_no_policy_is_refused() {
    let mut backwards: Vec<&str> = SAID.to_vec();
    backwards.reverse();
    let wrong = [
        String::new(),
        "cloison policy".into(),
        text(&SAID).replace("policy 1", "policy 2"),
        text(&backwards),
    ];
    for policy in wrong {
        let error = checked(&mut named(), policy.clone()).unwrap_err();
        assert_eq!(error, BuildError::Image("the policy is none"), "{policy}");
    }
    assert!(Policy::read(&[0xff; 40]).is_err());
}
