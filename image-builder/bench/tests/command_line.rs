//! The command line of the bench: what is wrong is told, and nothing is built.

use std::{fs, path::Path, process::Command};

#[test]
fn help_that_cannot_be_written_is_a_failure() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-bench"));
    let output = command.arg("--help").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_bad_manifest_ends_with_2_and_nothing_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, target) = (folder.path().join("bad.toml"), folder.path().join("target"));
    fs::write(&manifest, "[system]\nname = \"bad\"\nplatfrom = \"qemu-q35\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-bench"));
    command.arg(&manifest).env("CARGO_TARGET_DIR", &target);
    let output = command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("platfrom") && !said.contains("panicked"), "{said}");
    assert!(!target.exists(), "something has been built");
}
