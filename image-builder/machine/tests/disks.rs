//! What a run makes of disks: the files behind devices.

use std::{fs, path::Path};

use image_compiler::{System, Workspace, load};
use image_machine::{
    interrupts::Interrupts,
    payload::Payloads,
    progress::Progress,
    run::{Devices, OpenDisk},
};

fn disks() -> System {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/manifests/fixtures");
    load(&Workspace { root: root.clone() }, &root.join("manifests/disks.toml")).unwrap()
}

#[test]
fn each_disk_is_behind_the_device_of_its_domain() {
    let folder = tempfile::Builder::new().prefix("a,b").tempdir().unwrap();
    let system = disks();
    let (interrupts, progress) = (Interrupts::none().unwrap(), Progress::silent());
    let payloads = Payloads { folder: folder.path().into(), progress: &progress, interrupts: &interrupts };
    let open = OpenDisk::open_all(&system, folder.path(), &payloads, false).unwrap();
    let arguments = Devices { system: &system, forwards: &[], disks: &open, capture: None }.arguments();
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let [library, store] = [&open[0], &open[1]];
    assert_eq!((library.domain.as_str(), store.domain.as_str()), ("library", "store"));
    let kept = format!("if=none,id=disk0,format=raw,readonly=on,file={}", library.path.display());
    let scratch = store.path.display().to_string().replace(',', ",,");
    let scratch = format!("if=none,id=disk1,format=raw,readonly=off,file={scratch}");
    let devices = ["virtio-blk-pci,drive=disk0", "virtio-blk-pci,drive=disk1"];
    assert_eq!(
        arguments,
        ["-drive", &kept, "-device", devices[0], "-drive", &scratch, "-device", devices[1]]
    );
    assert_eq!(fs::metadata(&store.path).unwrap().len(), 64 << 20);
    assert_eq!(library.to_string(), format!("disk: library is {}, read-only", library.path.display()));
}

#[test]
fn without_files_nothing_stays_on_a_disk() {
    let system = disks();
    let arguments = Devices { system: &system, forwards: &[], disks: &[], capture: None }.arguments();
    assert_eq!(arguments[1], "if=none,id=disk0,driver=null-co,read-zeroes=on");
}
