//! The guests of an image.

use std::fs;

use cloison_abi::info::{
    GUEST_FRAME, GUEST_NUMBERS, GUEST_RAM, GUEST_SAVED, GUEST_SHARED, GuestMemory, SETTINGS_CMDLINE,
    SETTINGS_INITRAMFS, SETTINGS_KERNELS, Settings,
};
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::plan::{GuestEntry, MappingEntry, NONE};
use image_compiler::digest::{digest, hex};
use image_compiler::plan::GUEST_ADDRESS;
use linux_core::saved::STATE_BYTES;

use super::{Read, Rights, slice, support};

/// The image of the manifest that has guests.
pub(super) fn guests() -> Read {
    let manifest = support::fixtures().root.join("manifests/guests.toml");
    Read::of(&image_compiler::load(&support::fixtures(), &manifest).unwrap())
}

impl Read {
    fn guest(&self, domain: u32) -> GuestEntry {
        *self.guests.iter().find(|guest| guest.domain == domain).unwrap()
    }

    /// The whole region that a domain sees at an address.
    fn region_at(&self, domain: u32, address: u64) -> (u32, Rights) {
        let is_it = |mapping: &&MappingEntry| mapping.address == address;
        let mapping = self.mappings_of(domain).find(is_it).unwrap();
        assert_eq!((mapping.first_page, mapping.pages), (0, self.regions[mapping.region as usize].pages));
        assert!(mapping.address >= GUEST_ADDRESS);
        (mapping.region, Rights::from_bits(mapping.rights).unwrap())
    }
}

#[test]
fn a_domain_is_told_where_all_of_its_guest_is() {
    let (read, both) = (guests(), Rights::READ | Rights::WRITE);
    let linux1 = read.domain("linux1");
    let guest = read.guest(linux1);
    assert_eq!(read.info(linux1).guest_slot, guest.slot);
    let expected =
        [(GUEST_RAM, 16 * 256), (GUEST_SHARED, 9), (GUEST_NUMBERS, (16 * 256 + 9_u64).div_ceil(512))];
    for (number, (name, pages)) in expected.into_iter().enumerate() {
        let entry = read.told_of::<GuestMemory>(linux1, name).unwrap();
        assert_eq!((entry.number as usize, entry.bytes), (number, pages * PAGE_BYTES), "{name}");
        assert_eq!(read.region_at(linux1, entry.address), (guest.attached[number], both), "{name}");
        assert_eq!(read.regions[guest.attached[number] as usize].owner, linux1, "a restart clears it");
    }
    assert_eq!((guest.attached[3], guest.writable), (NONE, 0b011), "the numbers are only read");
    let frame = read.told_of::<GuestMemory>(linux1, GUEST_FRAME).unwrap();
    assert_eq!((frame.number, frame.bytes), (NONE, PAGE_BYTES));
    assert_eq!(read.region_at(linux1, frame.address), (guest.frame, both));
    let saved = read.told_of::<GuestMemory>(linux1, GUEST_SAVED).unwrap();
    assert_eq!(
        (saved.number, saved.bytes),
        (NONE, (1 + STATE_BYTES as u64 / PAGE_BYTES + 16 * 256 + 9) * PAGE_BYTES)
    );
    let (region, rights) = read.region_at(linux1, saved.address);
    assert_eq!((read.regions[region as usize].owner, rights), (NONE, both), "a restart leaves it as it is");
    assert!(!guest.attached.contains(&region), "the guest does not see it");
    assert!(read.told_of::<GuestMemory>(read.domain("linux2"), GUEST_SAVED).is_none());
    let tables = read.regions[guest.tables as usize];
    assert_eq!((tables.owner, tables.pages), (NONE, 64 + 8 * 5 / 4 + 32 * 14));
    assert!(read.mappings.iter().all(|mapping| mapping.region != guest.tables), "the kernel's alone");
    assert_eq!(read.settings(linux1, SETTINGS_CMDLINE), b"console=hvc0");
}

#[test]
fn a_guest_that_is_no_linux_has_memory_and_no_more() {
    let read = guests();
    let plain = read.domain("plain");
    let guest = read.guest(plain);
    assert_eq!((guest.attached[1..].to_vec(), guest.writable), (vec![NONE; 3], 1));
    assert_eq!(read.told_of::<GuestMemory>(plain, GUEST_RAM).unwrap().bytes, 1 << 20);
    assert!(read.told_of::<Settings>(plain, SETTINGS_KERNELS[0]).is_none());
}

#[test]
fn guests_that_begin_with_one_file_read_one_copy_of_it() {
    let read = guests();
    let kernel = fs::read(support::fixtures().root.join("files/kernel")).unwrap();
    let regions = ["linux1", "linux2"].map(|name| {
        let domain = read.domain(name);
        let entry = read.told_of::<Settings>(domain, SETTINGS_KERNELS[0]).unwrap();
        assert_eq!(entry.bytes, kernel.len() as u64);
        let (region, rights) = read.region_at(domain, entry.address);
        assert_eq!(rights, Rights::READ);
        region
    });
    assert_eq!(regions[0], regions[1]);
    assert_eq!(read.regions[regions[0] as usize].owner, NONE, "a restart leaves it as it is");
    let file = read.files.iter().find(|file| file.region == regions[0]).unwrap();
    assert_eq!(slice(&read.image, file.image_offset, file.image_bytes), kernel);
    assert_eq!(file.digest, digest(&kernel));
    assert_eq!(read.files.len(), 2, "the kernel, and an initramfs");
    assert!(read.told_of::<Settings>(read.domain("linux2"), SETTINGS_INITRAMFS).is_none());
}

/// Reviewers see what runs in a domain, and read its digest.
#[test]
fn report_and_drawings_show_guests() {
    let manifest = support::fixtures().root.join("manifests/guests.toml");
    let system = image_compiler::load(&support::fixtures(), &manifest).unwrap();
    let binaries = support::binaries(&system, &support::elf(0x40_1000, &support::segments()));
    let plan = image_compiler::plan(&system, &binaries).unwrap();
    let report = image_compiler::report(&system, Some((&plan, &image_compiler::image(&system, &plan))));
    let kernel = fs::read(support::fixtures().root.join("files/kernel")).unwrap();
    let digest = hex(&digest(&kernel));
    for words in [
        "linux1     16                9  ../files/kernel  ../files/initramfs.txt  console=hvc0",
        "writes region 4, writes region 5, reads region 6",
        "guest-tables    522             the kernel",
        "ram of its guest",
        "kernel of its guest",
        &digest,
    ] {
        assert!(report.contains(words), "{words} is missing in:\n{report}");
    }
    for drawing in [image_compiler::graph_svg(&system), image_compiler::graph_dot(&system)] {
        assert!(drawing.contains("guest: 16 MiB, "), "{drawing}");
        assert!(drawing.contains("guest: 1 MiB"), "{drawing}");
    }
}

#[test]
fn what_is_said_of_all_images_holds_with_guests() {
    let read = guests();
    super::check_slots(&read);
    super::check_mappings(&read);
    super::check_quotas(&read);
    assert!(read.image == guests().image);
}
