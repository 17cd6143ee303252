//! Programs that cannot run are refused, each by the check that is for it.

mod support;

use std::collections::BTreeSet;

use image_compiler::{
    check::BINARY_CHECKS,
    trust::{self, Facts, Made, Source},
};
use support::{EXECUTE, INTERPRETER, LOAD, READ, Segment, WRITE, elf, segments};

const ENTRY: u64 = 0x40_1000;

/// The ids of the faults of a program.
fn faults(program: &[u8]) -> Vec<&'static str> {
    let system = support::everything();
    match image_compiler::plan(&system, &support::binaries(&system, program)) {
        Ok(_) => Vec::new(),
        Err(report) => {
            assert!(report.to_string().contains("program builder"), "{report}");
            let mut ids: Vec<_> = report.diagnostics().iter().map(|fault| fault.id).collect();
            ids.dedup();
            ids
        }
    }
}

/// The faults of the usual program with its third segment changed.
fn changed(change: impl Fn(&mut Segment)) -> Vec<&'static str> {
    let mut segments = segments();
    change(&mut segments[2]);
    faults(&elf(ENTRY, &segments))
}

#[test]
fn a_good_program_has_no_fault() {
    assert!(faults(&elf(ENTRY, &segments())).is_empty());
}

#[test]
fn each_fault_is_found() {
    let good = elf(ENTRY, &segments());
    let mut foreign = good.clone();
    foreign[18] = 3;
    let many: Vec<_> = (0..40u64)
        .map(|page| Segment {
            address: ENTRY + page * 0x1000,
            memory: 16,
            flags: READ | EXECUTE,
            kind: LOAD,
            bytes: vec![1],
        })
        .collect();
    let cases = [
        ("B001", faults(b"")),
        ("B001", faults(b"no program at all")),
        ("B001", faults(&good[..100])),
        ("B001", faults(&foreign)),
        ("B002", changed(|segment| segment.address += 0x10)),
        ("B002", changed(|segment| segment.address = 0x40_2000)),
        ("B003", changed(|segment| segment.flags = READ | WRITE | EXECUTE)),
        ("B004", changed(|segment| segment.address = 0x20_0000)),
        ("B004", changed(|segment| segment.address = 0x7fff_ffff_f000)),
        ("B004", changed(|segment| segment.address = 0xffff_ffff_ffff_f000)),
        ("B004", changed(|segment| segment.memory = 4)),
        ("B005", changed(|segment| segment.kind = INTERPRETER)),
        ("B006", faults(&elf(0x40_3000, &segments()))),
        ("B006", faults(&elf(ENTRY, &[]))),
        ("B007", faults(&elf(ENTRY, &many))),
        ("B008", changed(|segment| segment.memory = 40 << 20)),
        ("B009", payload_not_fetched()),
        ("B010", too_much_code()),
        ("B011", budget_too_small()),
        ("B012", programs_apart()),
        ("B013", too_many_rows()),
    ];
    for (id, found) in &cases {
        assert_eq!(found, &[*id]);
    }
    for (id, summary) in BINARY_CHECKS {
        assert!(cases.iter().any(|(tested, _)| tested == id), "{id}, {summary}: no test");
    }
}

/// The faults of a system whose domain on request needs more than the budget.
fn budget_too_small() -> Vec<&'static str> {
    let manifest = support::fixtures().root.join("manifests/on-request.toml");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("on-request.toml");
    let text = std::fs::read_to_string(manifest).unwrap();
    std::fs::write(&path, text + "heap_kib = 1024\n").unwrap();
    let system = image_compiler::load(&support::fixtures(), &path).unwrap();
    let report =
        image_compiler::plan(&system, &support::binaries(&system, &elf(ENTRY, &segments()))).unwrap_err();
    assert!(report.to_string().contains("of the budget, which has 1024 KiB"), "{report}");
    report.diagnostics().iter().map(|fault| fault.id).collect()
}

/// The faults of a system one domain of which can run two programs whose data do not begin together.
fn programs_apart() -> Vec<&'static str> {
    let manifest = support::fixtures().root.join("manifests/management.toml");
    let system = image_compiler::load(&support::fixtures(), &manifest).unwrap();
    let mut binaries = support::binaries(&system, &elf(ENTRY, &segments()));
    let mut other = segments();
    other[2].address += 0x1000;
    binaries.0.insert("quiet".into(), elf(ENTRY, &other));
    let report = image_compiler::plan(&system, &binaries).unwrap_err();
    let message = "the programs of the domain `worker` do not lie alike: `quiet` has a segment at 0x405000, another one has \
                   one at 0x404000 that it overlaps";
    assert!(report.to_string().contains(message), "{report}");
    // The same address with other rights is no better; behind the other one it is free.
    other[2].address = 0x40_4000;
    other[2].flags = READ;
    binaries.0.insert("quiet".into(), elf(ENTRY, &other));
    assert!(image_compiler::plan(&system, &binaries).is_err());
    other[2].address = 0x40_6000;
    binaries.0.insert("quiet".into(), elf(ENTRY, &other));
    assert!(image_compiler::plan(&system, &binaries).is_ok());
    report.diagnostics().iter().map(|fault| fault.id).collect()
}

/// The faults of a system whose domains can run more programs than have room for a name.
fn too_many_rows() -> Vec<&'static str> {
    let manifest = support::fixtures().root.join("manifests/management.toml");
    let text = std::fs::read_to_string(manifest).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("management.toml");
    let one = |number: usize| {
        format!(
            "\n[domain.a-long-name-{number}]\ncomponent = \"hello\"\nimages = [\"quiet\"]\nstart = \"on-request\"\nlog = \"console\"\n"
        )
    };
    let faults = |count: usize| {
        std::fs::write(&path, text.clone() + &(0..count).map(one).collect::<String>()).unwrap();
        let system = image_compiler::load(&support::fixtures(), &path).unwrap();
        let plan = image_compiler::plan(&system, &support::binaries(&system, &elf(ENTRY, &segments())));
        plan.err().map_or(Vec::new(), |report| report.diagnostics().iter().map(|fault| fault.id).collect())
    };
    assert!(faults(10).is_empty());
    faults(24)
}

/// The faults of a system with a payload that was not fetched.
fn payload_not_fetched() -> Vec<&'static str> {
    let manifest = support::fixtures().root.join("manifests/payload.toml");
    let system = image_compiler::load(&support::fixtures(), &manifest).unwrap();
    let binaries = support::binaries(&system, &elf(ENTRY, &segments()));
    let report = image_compiler::plan(&system, &binaries).unwrap_err();
    assert!(report.to_string().contains("the payload `debian-cloud` has not been fetched"), "{report}");
    report.diagnostics().iter().map(|fault| fault.id).collect()
}

/// The faults of a system whose loader has more code than a domain may rest on.
fn too_much_code() -> Vec<&'static str> {
    let system = support::everything();
    let mut facts = Facts::default();
    facts.crates.insert("boot-efi 1".into(), Source { lines: 20_001, unsafe_sites: 0 });
    let crates = BTreeSet::from(["boot-efi 1".to_owned()]);
    facts.programs.insert("boot-efi".into(), Made { crates, bytes: 0 });
    let report = trust::judge(&system, &facts).unwrap_err();
    report.diagnostics().iter().map(|fault| fault.id).collect()
}

#[test]
fn a_missing_program_is_named() {
    let system = support::everything();
    let mut binaries = support::binaries(&system, &elf(ENTRY, &segments()));
    binaries.0.remove("stpm");
    let report = image_compiler::plan(&system, &binaries).unwrap_err();
    assert_eq!(report.count(), 1);
    assert!(report.to_string().contains("the program of `stpm` is missing"), "{report}");
}
