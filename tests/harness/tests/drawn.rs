//! Systems drawn by a seed: what is foretold of each is what its log comes to, and what the loader's crate measures of its
//! image. Some are booted by UEFI firmware and the loader of this project: their registers are those that were foretold, and
//! what firmware adds of its own is the same in each boot.

use std::{fmt::Write, fs, path::Path};

use cloison_measure::{
    Bank, Digests, Event, Log, Registers, Rows,
    event::{System as Measured, sha256},
    log::replay,
};
use harness::{Scenario, Verdict, boot_scenario};
use image_builder::build::{self, Context};
use image_compiler::{BUILDER, Boot, Prediction};
use image_machine::{interrupts::Interrupts, progress::Progress};

/// How many systems are drawn, and how many of them are booted.
const SYSTEMS: usize = 100;
const BOOTED: u64 = 5;
/// The components of which they are drawn, and the builder.
const COMPONENTS: usize = 5;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Numbers that follow from a seed (Marsaglia, *Xorshift RNGs*, 2003).
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A system with a TPM, one domain that shows it, and some that only say hello, in an order of its own.
fn manifest(draw: &mut Draw) -> String {
    let console =
        "[domain.console]\ncomponent = \"console\"\ndevices = [\"uart0\"]\nrights = [\"log-right\"]\n";
    let fault = ["stop", "restart"][draw.below(2) as usize];
    let stpm = format!(
        "[domain.stpm]\ncomponent = \"stpm\"\ndevices = [\"tpm-tis\"]\nlog = \"console\"\non_fault = \"{fault}\"\n"
    );
    let demo = "[domain.tpmdemo]\ncomponent = \"tpmdemo\"\nuses.tpm = \"stpm\"\nlog = \"console\"\n";
    let mut domains = vec![console.to_owned(), stpm, demo.to_owned()];
    for number in 0..draw.below(6) {
        let (stack, budget) = (16 + 4 * draw.below(12), 200 + draw.below(500));
        domains.push(format!(
            "[domain.guest{number}]\ncomponent = \"hello\"\nlog = \"console\"\nstack_kib = {stack}\nbudget_us = {budget}\n\
             best_effort = true\n"
        ));
    }
    let mut text = "[system]\nname = \"drawn\"\nplatform = \"qemu-q35\"\n".to_owned();
    while !domains.is_empty() {
        let place = draw.below(domains.len() as u64) as usize;
        write!(text, "\n{}", domains.swap_remove(place)).unwrap();
    }
    text
}

/// Boots a system and compares. Returns what firmware has added of its own.
fn boot(manifest: &Path) -> Vec<String> {
    let text = format!(
        r#"
manifest: {}
firmware: efi
tpm: 2.0
timeout: 120

+ boot | measured
+ tpmdemo | endorsement key SHA-1:
$ for bank in sha1 sha256; do tpm2_pcrread $bank:2,3,4,5,6,8,9,11,12,13 | sed -n "s/^ *\([0-9]*\) *: 0x/\1 $bank /p"; done | tr A-F a-f | sort > read; awk '$2 ~ /^sha/ {{ print $1, $2, $3 }}' "$FORETOLD" | sort | diff - read && echo $(wc -l < read) registers are as foretold
+ host | 20 registers are as foretold
$ tpm2_pcrread sha256:0,1,7 | sed -n 's/^ *\([0-9]*\) *: 0x/firmware \1 /p'
+ host | firmware 7
! stop
- host | exit status
- panic
"#,
        manifest.display()
    );
    let (verdict, lines) = boot_scenario(&Scenario::parse(&text).unwrap());
    assert!(
        verdict == Verdict::Pass,
        "{verdict}\n{}\n{}",
        fs::read_to_string(manifest).unwrap(),
        lines.join("\n")
    );
    lines.into_iter().filter(|line| line.starts_with("host | firmware")).collect()
}

#[test]
fn what_is_foretold_of_drawn_systems_is_what_is_measured() {
    let context = Context::find(Progress::silent(), Interrupts::none().unwrap()).unwrap();
    let loader = build::loader(&context).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut draw = Draw(SEED);
    let mut drawn = || {
        let file = folder.path().join("drawn.toml");
        fs::write(&file, manifest(&mut draw)).unwrap();
        image_compiler::load(&context.workspace, &file).unwrap()
    };
    // The programs of all of them are those of one with every component.
    let whole = (0..SYSTEMS).map(|_| drawn()).find(|system| system.components().len() == COMPONENTS).unwrap();
    let mut binaries = None;
    let keep = |programs: &mut _| {
        binaries = Some(Clone::clone(programs));
        Ok(())
    };
    let built = build::build_changed(&context, whole, BUILDER, &folder.path().join("built"), keep).unwrap();
    let binaries = binaries.unwrap();
    let mut values = Vec::new();
    for _ in 0..SYSTEMS {
        let system = drawn();
        let image = image_compiler::image(&system, &image_compiler::plan(&system, &binaries).unwrap());
        let prediction = Prediction::new(Boot::Efi(&loader), &built.kernel, &image).unwrap();
        let log = prediction.event_log();
        for bank in Bank::ALL {
            let foretold = prediction.registers(bank);
            assert_eq!(replay(&Log::read(&log).unwrap(), bank).as_ref(), Ok(&foretold));
            let mut walked = Registers::new(bank);
            for event in events(&built.kernel, &image) {
                walked.extend(event.pcr, Digests::of(event.to_string().as_bytes()).get(bank));
            }
            assert!((8..14).all(|pcr| walked.value(pcr) == foretold.value(pcr)), "{}", prediction.table());
        }
        values.push(prediction.registers(Bank::Sha256).value(12).to_vec());
    }
    values.sort();
    values.dedup();
    assert!(values.len() > SYSTEMS * 4 / 5, "few are alike: {}", values.len());
}

/// What the loader's crate finds to measure.
fn events<'a>(kernel: &'a [u8], image: &'a [u8]) -> impl Iterator<Item = Event<'a>> {
    Measured { options: &[], kernel, image, rows: Rows::read(image).unwrap() }.events(sha256)
}

#[test]
fn registers_of_drawn_systems_are_as_foretold() {
    let folder = tempfile::tempdir().unwrap();
    let mut draw = Draw(SEED);
    let mut first: Option<Vec<String>> = None;
    for number in 0..BOOTED {
        let text = manifest(&mut draw);
        let file = folder.path().join(format!("drawn-{number}.toml"));
        fs::write(&file, text).unwrap();
        let of_firmware = boot(&file);
        assert_eq!(of_firmware.len(), 3);
        // Firmware, memory and devices are those of the first system.
        assert_eq!(first.get_or_insert_with(|| of_firmware.clone()), &of_firmware, "system {number}");
        if number == 0 {
            assert_eq!(boot(&file), of_firmware, "the same system again");
        }
    }
}
