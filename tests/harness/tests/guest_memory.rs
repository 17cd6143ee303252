//! How much memory Debian's kernel needs as a guest: less is refused, with what would do.

use std::{fs, path::Path};

use image_builder::build::{self, Context};
use image_machine::{interrupts::Interrupts, progress::Progress};

/// What the demo's guest has.
const GIVEN: &str = "\nmemory_mib = 128\n";

/// What is said of the demo when its guest has another amount of memory; nothing if that will do.
fn complaint(memory_mib: u64) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let demo = fs::read_to_string(root.join("manifests/linux-demo.toml")).unwrap();
    assert!(demo.contains(GIVEN));
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("linux-demo.toml");
    let given = format!("\nmemory_mib = {memory_mib}\n");
    // The machine has enough for the largest of them.
    let text = demo.replace(GIVEN, &given).replace("\nmemory_mib = 256\n", "\nmemory_mib = 1024\n");
    fs::write(&manifest, text).unwrap();
    let context = Context::find(Progress::silent(), Interrupts::none().unwrap()).unwrap();
    build::load(&context, &manifest).err().map(|failure| failure.to_string())
}

#[test]
fn memory_that_does_not_suffice_is_refused_with_what_would_do() {
    let complaint = complaint(15).expect("15 MiB are too little");
    let floor = complaint.split("it needs ").nth(1).and_then(|rest| rest.split(" MiB").next());
    let floor: u64 = floor.and_then(|floor| floor.parse().ok()).unwrap_or_else(|| panic!("{complaint}"));
    assert!(complaint.contains("M115") && complaint.contains("has 15 MiB of memory"), "{complaint}");
    assert!((16..=96).contains(&floor), "{complaint}");
    for (memory_mib, is_enough) in [(floor - 1, false), (floor, true), (96, true), (512, true)] {
        assert_eq!(self::complaint(memory_mib).is_none(), is_enough, "{memory_mib} MiB");
    }
}
