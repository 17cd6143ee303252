//! What firmware leaves of its own is recorded once, and shown of the same machine.

mod support;

use std::fs;

use support::*;

#[test]
fn what_firmware_leaves_is_recorded_and_shown_of_the_same_machine_alone() {
    let target = own_target();
    let file = target.path().join("records/q35.txt");
    let path = file.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let output = tool(arguments).env("CARGO_TARGET_DIR", target.path()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    for (boot, registers) in [("bios", &["  1", "  2"][..]), ("efi", &["  0", "  1", "  7"])] {
        let pcrs = |manifest| run(&["pcrs", manifest, "--boot", boot, "--unmeasured", "--record", path]);
        assert!(!pcrs(DEMO).contains("recorded"));
        assert_eq!(run(&["platform-record", DEMO, "--boot", boot, "--file", path]).trim(), path);
        let (first, shown) = (fs::read_to_string(&file).unwrap(), pcrs(DEMO));
        for register in registers {
            let lines: Vec<_> = shown.lines().filter(|line| line.starts_with(register)).collect();
            assert!(lines.len() == 2 && lines.iter().all(|line| line.ends_with(", recorded")), "{shown}");
            assert!(!lines[1].contains(&"0".repeat(64)), "firmware extends it: {shown}");
        }
        // A second boot of it leaves the same.
        run(&["platform-record", DEMO, "--boot", boot, "--file", path]);
        assert_eq!(fs::read_to_string(&file).unwrap(), first);
        // Another machine has other devices.
        assert!(!pcrs(HELLO).contains("recorded"));
    }
}
