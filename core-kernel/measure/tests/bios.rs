//! What a BIOS measures follows from the first sectors of a disc.

use cloison_measure::{
    Bank, Digests, Registers,
    firmware::{self, FirmwareEvent},
};

const DRIVE_SECTOR: usize = 2048;

/// A disc in a drive whose catalog is in sector 19, and what it starts in sector 30.
fn in_drive() -> Vec<u8> {
    let mut disc = vec![0; 31 * DRIVE_SECTOR];
    let record = 17 * DRIVE_SECTOR;
    disc[record..record + 31].copy_from_slice(b"\0CD001\x01EL TORITO SPECIFICATION\0");
    disc[record + 0x47] = 19;
    let catalog = 19 * DRIVE_SECTOR;
    disc[catalog] = 1;
    disc[catalog + 32] = 0x88;
    disc[catalog + 40] = 30;
    disc[30 * DRIVE_SECTOR..].fill(7);
    disc
}

fn events(disc: &[u8]) -> Vec<FirmwareEvent> {
    firmware::bios(disc).unwrap().collect()
}

/// What a register is extended with, in its order.
fn of(events: &[FirmwareEvent], pcr: u32) -> Vec<Digests> {
    events.iter().filter(|event| event.pcr == pcr).map(|event| event.digests).collect()
}

#[test]
fn of_a_disc_in_a_drive_it_is_the_catalog_and_the_first_sector() {
    let disc = in_drive();
    let events = events(&disc);
    let texts =
        [&b"Calling INT 19h"[..], &[0xff; 4], b"Booting from CD ROM device", b"Booting from CD ROM device"];
    let mut loader = texts.map(Digests::of).to_vec();
    loader.push(Digests::of(&[7; 512]));
    assert_eq!(of(&events, 4), loader);
    assert_eq!(
        of(&events, 5),
        [Digests::of(&[0xff; 4]), Digests::of(&disc[19 * DRIVE_SECTOR..20 * DRIVE_SECTOR])]
    );
}

#[test]
fn of_a_disk_it_is_the_first_sector_in_two_parts() {
    let disk: Vec<u8> = (0..2048_u32).map(|place| (place / 3) as u8).collect();
    let events = events(&disk);
    let texts = [&b"Calling INT 19h"[..], &[0xff; 4], b"Booting BCV device 80h (HDD)", &disk[..440]];
    assert_eq!(of(&events, 4), texts.map(Digests::of));
    assert_eq!(of(&events, 5), [&[0xff; 4], &disk[440..512]].map(Digests::of));
}

#[test]
fn all_else_is_the_same_of_every_disc() {
    for disc in [in_drive(), vec![0; 512]] {
        let events = events(&disc);
        for (bank, value) in [
            (Bank::Sha1, "3a3f780f11a4b49969fcaa80cd6e3957c33b2275"),
            (Bank::Sha256, "e21b703ee69c77476bccb43ec0336a9a1b2914b378944f7b00a10214ca8fea93"),
        ] {
            let mut registers = Registers::new(bank);
            events.iter().for_each(|event| assert!(registers.extend(event.pcr, event.digests.get(bank))));
            for pcr in [0, 3, 6, 7] {
                let text: String = registers.value(pcr).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(text, value, "{bank:?} {pcr}");
            }
            assert!([1, 2].iter().all(|pcr| of(&events, *pcr).is_empty()), "the machine's own");
        }
    }
}

#[test]
fn a_disc_that_ends_early_is_none_or_a_disk() {
    assert!(firmware::bios(&[0; 511]).is_none());
    for bytes in [512, 17 * DRIVE_SECTOR, 19 * DRIVE_SECTOR + 100, 30 * DRIVE_SECTOR + 2047] {
        let count = events(&in_drive()[..bytes]).len();
        assert_eq!(count, events(&[0; 512]).len(), "{bytes} bytes");
    }
    let mut far = in_drive();
    far[19 * DRIVE_SECTOR + 40..19 * DRIVE_SECTOR + 44].fill(0xff);
    assert_eq!(of(&events(&far), 4).len(), 4, "it starts as a disk");
}
