//! Systems drawn at random: what is foretold of one, what its log comes to, and what the loader would extend are the same.

use std::fmt::Write;

use boot_efi::{Listing, line};
use cloison_measure::{
    Bank, Digests, Log, Registers, Rows,
    event::{System as Measured, sha256},
    firmware,
    log::replay,
};
use image_compiler::{Binaries, Boot, Plan, Prediction, pcrs};
use proptest::{
    collection::{hash_map, vec},
    prelude::*,
    sample::Index,
};

use super::{rows::loader, *};

/// A domain drawn at random: what it is, and figures that make of two such domains two that differ.
#[derive(Debug, Clone)]
struct Drawn {
    kind: usize,
    has_log: bool,
    stack_kib: u64,
    weight: u64,
}

/// What components of the fixtures a drawn domain can run: those that need nothing but a log, if that; one needs it.
const COMPONENTS: [&str; 4] = ["quiet", "keeper", "peer", "hello"];
/// The one of them that takes no log.
const WITHOUT_LOG: [&str; 2] = ["keeper", "peer"];

fn drawn() -> impl Strategy<Value = Drawn> {
    (0..COMPONENTS.len(), any::<bool>(), 4..200_u64, 1..9_u64)
        .prop_map(|(kind, has_log, stack_kib, weight)| Drawn { kind, has_log, stack_kib, weight })
}

/// A manifest of such domains, with a console and, if they are asked for, a TPM and its client.
fn manifest(domains: &HashMap<String, Drawn>, has_tpm: bool) -> String {
    let mut text = "[system]\nname = \"drawn\"\nplatform = \"machine\"\n\n\
                    [domain.console]\ncomponent = \"console\"\ndevices = [\"uart0\"]\nrights = [\"log-right\"]\n"
        .to_owned();
    if has_tpm {
        text += "\n[domain.stpm]\ncomponent = \"stpm\"\ndevices = [\"tpm-tis\"]\nlog = \"console\"\n\
                 on_fault = \"restart\"\n\n[domain.client]\ncomponent = \"client\"\nlog = \"console\"\n\
                 uses.tpm = \"stpm\"\n";
    }
    for (name, drawn) in domains {
        let component = COMPONENTS[drawn.kind];
        let (budget, stack) = (drawn.weight * 100, drawn.stack_kib);
        let log = (drawn.has_log || component == "hello") && !WITHOUT_LOG.contains(&component);
        let log = if log { "log = \"console\"\n" } else { "" };
        write!(
            text,
            "\n[domain.d-{name}]\ncomponent = \"{component}\"\nstack_kib = {stack}\nbudget_us = {budget}\n\
             best_effort = true\n{log}"
        )
        .unwrap();
    }
    text
}

/// The system's image, with a program of each component whose length and bytes differ.
fn image(text: &str, sizes: &[u16]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("drawn.toml");
    std::fs::write(&file, text).unwrap();
    let system =
        image_compiler::load(&support::fixtures(), &file).unwrap_or_else(|report| panic!("{report}"));
    let programs = system.components().into_iter().zip(sizes.iter().cycle()).map(|(component, size)| {
        let mut segments = support::segments();
        segments[0].bytes = vec![*size as u8; usize::from(*size) % 0x1f00 + 1];
        segments[0].memory = segments[0].bytes.len() as u64;
        (component.name, support::elf(0x40_1000, &segments))
    });
    let plan: Plan = image_compiler::plan(&system, &Binaries(programs.collect())).unwrap();
    image_compiler::image(&system, &plan)
}

/// The registers that the loader's own walk over an image comes to. It refuses what is not listed.
fn walked(bank: Bank, program: &[u8], kernel: &[u8], image: &[u8], listing: &str) -> Registers {
    let mut registers = Registers::new(bank);
    let mut listing = Listing::new(listing.as_bytes());
    let before = firmware::before(firmware::program(program).unwrap());
    before.for_each(|event| assert!(registers.extend(event.pcr, event.digests.get(bank))));
    let rows = Rows::read(image).unwrap();
    for (number, event) in (Measured { options: &[], kernel, image, rows }).events(sha256).enumerate() {
        let line = line(&event).unwrap();
        assert!(number == 0 || listing.is_next(&line), "{line} is not listed");
        assert!(registers.extend(event.pcr, Digests::of(line.as_bytes()).get(bank)));
    }
    firmware::after().for_each(|event| assert!(registers.extend(event.pcr, event.digests.get(bank))));
    registers
}

/// The lines that are listed of an image.
fn listed(kernel: &[u8], image: &[u8]) -> Vec<String> {
    pcrs::listing(kernel, image).unwrap().lines().map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_is_foretold_is_what_the_log_comes_to_and_what_the_loader_extends(
        domains in hash_map("[a-z]{1,6}", drawn(), 1..12),
        has_tpm in any::<bool>(),
        sizes in vec(any::<u16>(), 1..8),
        kernel in vec(any::<u8>(), 0..3000),
        flipped in (any::<Index>(), 0..8_u32),
    ) {
        let image = image(&manifest(&domains, has_tpm), &sizes);
        let loader = loader();
        let prediction = Prediction::new(Boot::Efi(&loader), &kernel, &image).unwrap();
        let log = prediction.event_log();
        let listing = pcrs::listing(&kernel, &image).unwrap();
        for bank in Bank::ALL {
            let foretold = prediction.registers(bank);
            prop_assert_eq!(&replay(&Log::read(&log).unwrap(), bank).unwrap(), &foretold);
            prop_assert_eq!(&walked(bank, &loader, &kernel, &image, &listing), &foretold);
        }
        // One bit is of one row, and so changes one line. What the table of rows says changes more, or is refused.
        let (place, bit) = (flipped.0.index(image.len()), flipped.1);
        if !(size_of::<ImageHeader>()..PAGE_BYTES as usize).contains(&place) {
            let mut other = image.clone();
            other[place] ^= 1 << bit;
            let (before, after) = (listed(&kernel, &image), listed(&kernel, &other));
            let row = Rows::read(&image).unwrap().iter().find(|row| (place as u64) < row.offset + row.bytes);
            let differ: Vec<_> = (0..before.len()).filter(|line| before[*line] != after[*line]).collect();
            prop_assert_eq!(differ.len(), 1, "byte {}", place);
            let name = format!("{} sha256:", row.unwrap().name);
            prop_assert!(before[differ[0]].starts_with(&name), "{}", name);
        }
    }
}
