//! Systems drawn by a seed, booted by UEFI firmware and the loader of this project: their registers are those that were
//! foretold, and what firmware adds of its own is the same in each boot.

use std::{fmt::Write, fs, path::Path};

use harness::{Scenario, Verdict, boot_scenario};

/// How many systems are drawn.
const SYSTEMS: u64 = 5;

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
fn registers_of_drawn_systems_are_as_foretold() {
    let folder = tempfile::tempdir().unwrap();
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    let mut first: Option<Vec<String>> = None;
    for number in 0..SYSTEMS {
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
