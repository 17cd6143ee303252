//! What UEFI firmware measures of a table of partitions is the table, without what is no partition.

use cloison_measure::{Digests, firmware};

const SECTOR: usize = 512;

/// A disk whose table has these partitions, of four that there could be.
fn disk(used: [bool; 4]) -> Vec<u8> {
    let mut disk = vec![0; 4 * SECTOR];
    let header = &mut disk[SECTOR..SECTOR + 92];
    header[..8].copy_from_slice(b"EFI PART");
    header[72] = 2;
    header[80] = 4;
    header[84] = 128;
    for place in (0..4).filter(|place| used[*place]) {
        disk[2 * SECTOR + place * 128..][..128].fill(place as u8 + 1);
    }
    disk
}

#[test]
fn the_header_the_number_and_what_is_used_are_measured() {
    let disk = disk([true, false, true, false]);
    let event = firmware::partitions(&disk).unwrap();
    let expected = [&disk[SECTOR..SECTOR + 92], &[2, 0, 0, 0, 0, 0, 0, 0], &[1; 128], &[3; 128]].concat();
    assert_eq!((event.pcr, event.digests), (5, Digests::of(&expected)));
}

#[test]
fn what_is_no_table_is_not_measured() {
    let good = disk([true; 4]);
    assert!(firmware::partitions(&good).is_some());
    for (place, value) in [(0, 0), (72, 4), (76, 1), (84, 64), (82, 1), (75, 0xff)] {
        let mut disk = good.clone();
        disk[SECTOR + place] = value;
        assert!(firmware::partitions(&disk).is_none(), "{place}");
    }
    assert!(firmware::partitions(&good[..SECTOR + 91]).is_none());
    assert!(firmware::partitions(&good[..3 * SECTOR - 1]).is_none());
}
