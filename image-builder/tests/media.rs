//! Discs for both kinds of firmware: the same wherever they are made.

mod support;

use std::{fs, path::Path};

use support::*;

/// Makes a disc in a target folder of its own. Returns its bytes.
fn disc(target: &Path, form: &str) -> Vec<u8> {
    let output = tool(&["build", HELLO, "--format", form]).env("CARGO_TARGET_DIR", target).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert_eq!(Path::new(&path), target.join(format!("images/hello/hello.{form}")));
    fs::read(path).unwrap()
}

#[test]
fn a_disc_is_the_same_in_two_folders() {
    let (one, other) = (own_target(), own_target());
    let longer = other.path().join("a longer, name=of a folder");
    fs::create_dir(&longer).unwrap();
    fs::rename(other.path().join("on-target"), longer.join("on-target")).unwrap();
    for form in ["iso", "raw", "qcow2"] {
        let [first, second] = [one.path(), &longer].map(|target| disc(target, form));
        assert!(first == second, "{form}: {} and {} bytes", first.len(), second.len());
        assert!(disc(one.path(), form) == first, "{form}: made again");
        let name = one.path().display().to_string();
        let is_there = first.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        assert!(!is_there, "{form}: it names the folder");
    }
}

#[test]
fn a_disc_is_for_one_firmware_or_for_both() {
    let output = tool(&["build", HELLO, "--format", "raw", "--firmware", "efi"]).output().unwrap();
    assert_says(&output, 2, "cannot be used with");
    assert_says(&tool(&["build", HELLO, "--format", "vmdk"]).output().unwrap(), 2, "vmdk");
}
