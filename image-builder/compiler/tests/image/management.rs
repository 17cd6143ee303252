//! What the manager is told of its clients, and programs among which it chooses.

use cloison_abi::info::SETTINGS_MANAGEMENT;
use cloison_abi::management::{self, Operation};
use image_compiler::Binaries;

use super::*;

#[test]
fn the_manager_alone_is_told_who_may_have_what_done() {
    let path = support::fixtures().root.join("manifests/management.toml");
    let read = Read::of(&image_compiler::load(&support::fixtures(), &path).unwrap());
    let settings = |name| read.settings(read.domain(name), SETTINGS_MANAGEMENT);
    assert!(["console", "worker", "operator", "second"].iter().all(|name| settings(name).is_empty()));
    let bytes = settings("boss");
    let (permits, groups) = management::read(&bytes).unwrap();
    let [list, start, kill] = [Operation::List, Operation::Start, Operation::Kill].map(Operation::bit);
    let found: Vec<_> = permits.iter().map(|permit| (permit.operations, permit.domains)).collect();
    // By places: console 0, boss 1, worker 2, operator 3, second 4, later 5.
    assert_eq!(found, [(list | start, 1 << 2 | 1 << 5), (kill | list, 1 << 5)]);
    let badge_of = |client: &str| {
        let gates = read.gates.iter().filter(|gate| gate.domain == read.domain(client));
        gates.filter(|gate| gate.server == read.domain("boss")).map(|gate| gate.badge).next().unwrap()
    };
    let badges: Vec<_> = permits.iter().map(|permit| permit.badge).collect();
    assert_eq!(badges, [badge_of("operator"), badge_of("second")]);
    assert_ne!(badges[0], badges[1]);
    let [group] = groups else { panic!("{groups:?}") };
    assert_eq!((group.name.as_str(), group.members()), ("both", &[5, 2][..]));
}

/// A domain that can be started with another program, which is longer in its code and has no data.
fn two_programs() -> (System, Binaries) {
    let path = support::fixtures().root.join("manifests/management.toml");
    let system = image_compiler::load(&support::fixtures(), &path).unwrap();
    let mut binaries = support::binaries(&system, &support::elf(0x40_1000, &support::segments()));
    let mut other = support::segments();
    (other[0].bytes, other[0].memory) = (vec![0xc3; 0x1fff], 0x1fff);
    other.pop();
    binaries.0.insert("quiet".into(), support::elf(0x40_1004, &other));
    (system, binaries)
}

#[test]
fn another_program_is_loaded_where_the_first_one_lies() {
    let (system, binaries) = two_programs();
    let plan = image_compiler::plan(&system, &binaries).unwrap();
    let read = Read::new(image_compiler::image(&system, &plan));
    let worker = read.domain("worker");
    let images: Vec<_> = read.images.iter().map(|image| (image.name.as_str(), image.domain)).collect();
    assert_eq!(images, [("hello", worker), ("quiet", worker)], "the domain `later` has no choice");
    let [other] = read.programs.as_slice() else { panic!("{:?}", read.programs) };
    assert_eq!((other.image, other.entry), (1, 0x40_1004));
    let bytes = slice(&read.image, other.image_offset, other.image_bytes);
    assert_eq!(digest(bytes), other.digest);
    assert_ne!(other.digest, read.domains[worker as usize].digest);
    assert!(bytes.starts_with(&[0xc3; 0x1fff]));
    // Each is there with the images that it is loaded with, and nothing of the other.
    let loaded = |image| {
        let loads = read.loads.iter().filter(|load| load.region == worker && load.image == image);
        loads.map(|load| (load.region_offset / PAGE_BYTES, load.bytes)).collect::<Vec<_>>()
    };
    assert_eq!(loaded(NONE).len(), 1, "the information page");
    assert_eq!(loaded(0), [(1, 0x1800), (3, 0x10), (4, 0x20)]);
    assert_eq!(loaded(1), [(1, 0x1fff), (3, 0x10)]);
    let seen: Vec<_> = read.mappings_of(worker).map(|mapping| (mapping.address, mapping.pages)).collect();
    assert_eq!(seen[..4], [(INFO_ADDRESS, 1), (0x40_1000, 2), (0x40_3000, 1), (0x40_4000, 2)]);
    let later = read.domain("later");
    assert!(read.loads.iter().all(|load| load.region != later || load.image == NONE));
    check_mappings(&read);
}

#[test]
fn another_program_is_measured_reported_and_part_of_the_policy() {
    let (system, binaries) = two_programs();
    let plan = image_compiler::plan(&system, &binaries).unwrap();
    let image = image_compiler::image(&system, &plan);
    let rows: Vec<_> = cloison_measure::Rows::read(&image).unwrap().iter().map(|row| row.name).collect();
    assert!(rows.contains(&"domain worker, later") && rows.contains(&"domain worker with quiet"), "{rows:?}");
    let policy = image_compiler::policy::policy(&system);
    let chosen: Vec<_> = policy.lines().filter(|line| line.contains("can be started with")).collect();
    assert_eq!(chosen, ["worker can be started with hello", "worker can be started with quiet"]);
    let report = image_compiler::report(&system, Some((&plan, &image)));
    assert!(report.contains("hello or quiet") && report.contains("program quiet"), "{report}");
    for graph in [image_compiler::graph_svg(&system), image_compiler::graph_dot(&system)] {
        assert!(graph.contains("runs hello or quiet"), "{graph}");
    }
    let flows = image_compiler::flow::Flows::new(&system);
    let rests_on = |name: &str| {
        let (id, _) = system.domains().find(|(_, domain)| domain.name == name).unwrap();
        image_compiler::trust::rests_on(&system, &flows, id).contains("quiet")
    };
    assert!(rests_on("worker") && !rests_on("later"));
}
