//! What is measured of the image: rows that tile it, and a changed byte changes one.

use std::ops::Range;

use cloison_abi::measure::{PCR_BUILDER, PCR_PLAN, PCR_PROGRAMS, RowEntry, RowsHeader};
use cloison_measure::{
    Bank, Digests, Event, Log, Registers, Rows,
    event::{System as Measured, sha256},
    firmware::program,
    log::replay,
};
use image_compiler::{
    Boot, Prediction, Workspace,
    digest::hex,
    pcrs::{self, Record},
};

use super::*;

fn events(image: &[u8]) -> Vec<Event<'_>> {
    let rows = Rows::read(image).unwrap();
    Measured { options: &[], kernel: b"kernel", image, rows }.events(sha256).collect()
}

#[test]
fn rows_have_the_names_of_what_is_in_them() {
    let image = Read::everything().image;
    let rows: Vec<_> = Rows::read(&image).unwrap().iter().map(|row| (row.pcr, row.name)).collect();
    assert_eq!(
        rows[..3],
        [(PCR_BUILDER, "header"), (PCR_BUILDER, "builder"), (PCR_PROGRAMS, "domain console")]
    );
    assert!(
        rows.contains(&(PCR_PROGRAMS, "domain first, second")),
        "a program is in the image once: {rows:?}"
    );
    assert_eq!(rows.last(), Some(&(PCR_PLAN, "plan")));
    let image = guest::guests().image;
    let rows: Vec<_> = Rows::read(&image).unwrap().iter().map(|row| (row.pcr, row.name)).collect();
    for name in ["kernel of linux1, linux2", "initramfs of linux1"] {
        assert!(rows.contains(&(PCR_PROGRAMS, name)), "{name}: {rows:?}");
    }
}

#[test]
fn programs_files_and_plan_have_rows_of_their_own() {
    let read = Read::everything();
    let rows: Vec<_> = Rows::read(&read.image).unwrap().iter().collect();
    let row_at = |offset: u64| rows.iter().find(|row| row.offset == offset).unwrap();
    for domain in &read.domains {
        let row = row_at(domain.image_offset);
        let mut names = row.name.strip_prefix("domain ").unwrap().split(", ");
        assert!(names.any(|name| name == domain.name.as_str()), "{row:?}");
        assert!(row.bytes >= domain.image_bytes && row.pcr == PCR_PROGRAMS);
    }
    let plan = rows.last().unwrap();
    assert_eq!(plan.name, "plan");
    assert!((plan.offset..plan.offset + plan.bytes).contains(&read.header.plan_offset));
    assert_eq!(row_at(read.header.builder_segments[0].image_offset).name, "builder");
}

/// Its digest is the one that `cargo image policy` prints.
#[test]
fn the_policy_has_a_row_to_the_byte() {
    let read = Read::everything();
    let row = Rows::read(&read.image).unwrap().iter().find(|row| row.name == "policy").unwrap();
    let text = str::from_utf8(row.of(&read.image)).unwrap();
    assert!(text.starts_with("cloison policy 1\n") && text.ends_with('\n'), "{text}");
    let plan = PlanHeader::read_from_prefix(&read.image[read.header.plan_offset as usize..]).unwrap().0;
    assert_eq!((row.offset, row.bytes), (plan.policy_offset.into(), plan.policy_bytes.into()));
    assert_eq!(row.pcr, PCR_PLAN);
}

#[test]
fn files_of_guests_have_rows_of_their_own() {
    let read = guest::guests();
    let rows: Vec<_> = Rows::read(&read.image).unwrap().iter().collect();
    assert!(!read.files.is_empty());
    for file in &read.files {
        let row = rows.iter().find(|row| row.offset == file.image_offset).unwrap();
        assert!(row.bytes >= file.image_bytes && row.pcr == PCR_PROGRAMS, "{row:?}");
    }
}

#[test]
fn a_changed_byte_changes_exactly_one_row() {
    let image = Read::everything().image;
    let before = events(&image);
    let (table, mut tried) = (table(&image), 0);
    for place in (0..image.len()).step_by(97).filter(|place| !table.contains(place)) {
        let mut other = image.clone();
        other[place] ^= 1;
        let after = events(&other);
        let changed: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
        let row = Rows::read(&image).unwrap().iter().find(|row| (place as u64) < row.offset + row.bytes);
        assert_eq!(changed.len(), 1, "byte {place}");
        assert_eq!(changed[0].0.name, row.unwrap().name, "byte {place}");
        tried += 1;
    }
    assert!(tried > 500, "{tried}");
}

/// The table says what the rows are, and lies in the first of them: that row is another too, or there are no rows any more.
#[test]
fn a_changed_byte_of_the_table_is_seen_in_its_own_row() {
    let image = Read::everything().image;
    let header = |image: &[u8]| events(image).iter().find(|event| event.pcr == PCR_BUILDER).unwrap().digest;
    let (mut refused, mut seen) = (0, 0);
    for place in table(&image) {
        let mut other = image.clone();
        other[place] ^= 1;
        if Rows::read(&other).is_err() {
            refused += 1;
            continue;
        }
        assert_ne!(header(&other), header(&image), "byte {place}");
        seen += 1;
    }
    assert!(refused > 100 && seen > 100, "{refused} {seen}");
}

/// Where the table of rows lies, with the names in it.
fn table(image: &[u8]) -> Range<usize> {
    let start = size_of::<ImageHeader>();
    let names: usize = Rows::read(image).unwrap().iter().map(|row| row.name.len()).sum();
    let rows = Rows::read(image).unwrap().iter().count();
    start..start + size_of::<RowsHeader>() + rows * size_of::<RowEntry>() + names
}

/// A program for UEFI as far as it is hashed: its header, and something behind it.
pub(super) fn loader() -> Vec<u8> {
    let mut file = vec![0; 0x400];
    file[0x3c] = 0x80;
    file[0x80..0x84].copy_from_slice(b"PE\0\0");
    file[0x98..0x9a].copy_from_slice(&[0x0b, 0x02]);
    file
}

#[test]
fn what_is_foretold_is_what_its_log_comes_to() {
    let image = Read::everything().image;
    let loader = loader();
    let foretold = |image: &[u8]| Prediction::new(Boot::Efi(&loader), b"kernel", image).unwrap();
    let prediction = foretold(&image);
    let log = prediction.event_log();
    for bank in Bank::ALL {
        let registers = prediction.registers(bank);
        assert_eq!(replay(&Log::read(&log).unwrap(), bank), Ok(registers.clone()));
        for pcr in [4, 8, 9, 11, 12, 13] {
            let value = hex(registers.value(pcr));
            assert_ne!(registers.value(pcr), Registers::new(bank).value(pcr));
            for text in [prediction.table(), prediction.json(), prediction.keylime()] {
                assert!(text.contains(&value), "{pcr} {value}: {text}");
            }
        }
        assert_eq!(registers.value(10), Registers::new(bank).value(10));
        // The last byte lies behind the plan, in its row.
        let mut other = image.clone();
        *other.last_mut().unwrap() ^= 1;
        let other = foretold(&other).registers(bank);
        let differs = |pcr: &u32| registers.value(*pcr) != other.value(*pcr);
        assert_eq!((0..24).filter(differs).collect::<Vec<_>>(), [PCR_PLAN]);
    }
    let names = "domain console, domain stpm, domain client";
    assert!(prediction.table().lines().any(|line| line.starts_with(" 13") && line.contains(names)));
}

/// Into a TPM 1.2 firmware measures elsewhere that it starts a loader: the loader's register has a separator and the loader alone.
#[test]
fn of_a_tpm_1_2_firmware_s_own_register_is_not_foretold() {
    let image = Read::everything().image;
    let loader = loader();
    let new = Prediction::new(Boot::Efi(&loader), b"kernel", &image).unwrap();
    let old = new.clone().of_tpm_12();
    let log = old.event_log();
    let log = Log::read(&log).unwrap();
    assert!(log.has(Bank::Sha1) && !log.has(Bank::Sha256));
    let registers = old.registers(Bank::Sha1);
    assert_eq!(replay(&log, Bank::Sha1), Ok(registers.clone()));
    let others = new.registers(Bank::Sha1);
    let differs = |pcr: &u32| registers.value(*pcr) != others.value(*pcr);
    assert_eq!((0..24).filter(differs).collect::<Vec<_>>(), [4, 5]);
    let mut expected = Registers::new(Bank::Sha1);
    expected.extend(4, Digests::of(&[0; 4]).get(Bank::Sha1));
    expected.extend(4, program(&loader).unwrap().get(Bank::Sha1));
    assert_eq!(registers.value(4), expected.value(4));
    let table = old.table();
    assert!(!table.contains("sha256") && !table.lines().any(|line| line.starts_with("  5  sha1")), "{table}");
    assert!(!old.json().contains("\"5\""));
}

#[test]
fn what_was_recorded_of_the_machine_is_shown_as_that() {
    let image = Read::everything().image;
    let loader = loader();
    let prediction = Prediction::new(Boot::Efi(&loader), b"kernel", &image).unwrap();
    assert!(prediction.table().contains("known to the machine alone"));
    let value = |bank: Bank, digit: &str| digit.repeat(2 * bank.bytes());
    let values =
        Bank::ALL.into_iter().flat_map(|bank| [(0, bank, value(bank, "a")), (7, bank, value(bank, "b"))]);
    let prediction = prediction.with(Record::new(values));
    let table = prediction.table();
    let line = format!("  0  sha256  {}  firmware's code, recorded", "a".repeat(64));
    assert!(table.lines().any(|shown| shown == line), "{table}");
    assert_eq!(table.matches("known to the machine alone").count(), 1, "1 was not recorded: {table}");
    let json = prediction.json();
    let recorded = format!("\"sha1\": {{\"0\": \"{}\", \"7\": \"{}\"}}", "a".repeat(40), "b".repeat(40));
    assert!(json.contains(&recorded), "{json}");
    assert!(prediction.keylime().contains(&format!("\"7\": [\"{}\", ", "b".repeat(40))));
    for pcr in [0, 7] {
        assert_eq!(prediction.registers(Bank::Sha1).value(pcr), [0; 20], "it is not computed");
    }
}

#[test]
fn what_is_foretold_of_every_system_is_what_its_log_comes_to() {
    let workspace = Workspace { root: support::project() };
    let folders = ["manifests", "tests/manifests/accept"].map(|folder| workspace.root.join(folder));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    let mut tried = 0;
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
        let Ok(system) = image_compiler::load(&workspace, &file) else { continue };
        let binaries = support::binaries(&system, &support::elf(0x40_1000, &support::segments()));
        // A payload that was not fetched has no bytes.
        let Ok(plan) = image_compiler::plan(&system, &binaries) else { continue };
        let image = image_compiler::image(&system, &plan);
        let prediction = Prediction::new(Boot::Efi(&loader()), b"kernel", &image).unwrap();
        let log = prediction.event_log();
        for bank in Bank::ALL {
            let replayed = replay(&Log::read(&log).unwrap(), bank);
            assert_eq!(replayed, Ok(prediction.registers(bank)), "{}", file.display());
        }
        let domains = Rows::read(&image).unwrap().iter().filter(|row| row.name.starts_with("domain "));
        let names: usize = domains.map(|row| row.name.split(", ").count()).sum();
        let programs: usize = system.domains().map(|(_, domain)| domain.programs().count()).sum();
        assert_eq!(names, programs, "{}", file.display());
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn what_the_loader_has_to_find_is_listed() {
    let image = Read::everything().image;
    let listing = pcrs::listing(b"kernel", &image).unwrap();
    let lines: Vec<_> = events(&image).iter().skip(1).map(Event::to_string).collect();
    assert_eq!(listing.lines().collect::<Vec<_>>(), lines);
    assert!(lines[0].starts_with("kernel sha256:"));
    assert_eq!(pcrs::listing(b"kernel", b"no image"), None);
}

#[test]
fn of_a_loader_all_is_hashed_but_its_checksum_and_its_signature() {
    let before = program(&loader()).unwrap();
    let changed = |place: usize| {
        let mut file = loader();
        file[place] ^= 1;
        program(&file)
    };
    assert_eq!(changed(0x98 + 64), Some(before), "its checksum");
    for place in [0, 0x98 + 63, 0x98 + 68, 0x98 + 152, 0x3ff] {
        assert!(changed(place).is_some_and(|digests| digests != before), "{place:#x}");
    }
    for (place, what) in
        [(0x80, "no magic"), (0x98, "another form"), (0x98 + 144, "signed"), (0x3f, "far away")]
    {
        assert_eq!(changed(place), None, "{what}");
    }
    assert_eq!(program(&loader()[..0x98 + 151]), None, "cut short");
    assert_eq!(program(&[]), None);
}
