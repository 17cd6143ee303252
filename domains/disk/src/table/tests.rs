//! Tables as tools write them, and as nobody should.

use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;

impl Table {
    /// A table of these partitions: number, first sector, sectors.
    pub(crate) fn of(partitions: &[(u8, u64, u64)]) -> Self {
        Self { partitions: partitions.to_vec() }
    }
}

const SECTORS: u64 = 200;
/// Where the entries of the GPT begin, and the first sector behind them.
const ENTRIES: usize = 2;
const FIRST_USABLE: u64 = 34;

fn read(disk: &[u8]) -> Result<Table, TableError> {
    Table::read((disk.len() / SECTOR) as u64, |sector, bytes| {
        bytes.copy_from_slice(&disk[sector as usize * SECTOR..][..SECTOR]);
        true
    })
}

fn put(disk: &mut [u8], at: usize, bytes: &[u8]) {
    disk[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A disk with an MBR: type, first sector and sectors of each entry.
fn mbr(entries: &[(u8, u32, u32)]) -> Vec<u8> {
    let mut disk = vec![0; SECTORS as usize * SECTOR];
    for (number, (kind, first, sectors)) in entries.iter().enumerate() {
        let at = 446 + 16 * number;
        disk[at + 4] = *kind;
        put(&mut disk, at + 8, &first.to_le_bytes());
        put(&mut disk, at + 12, &sectors.to_le_bytes());
    }
    put(&mut disk, 510, &[0x55, 0xaa]);
    disk
}

/// A disk with a GPT: first and last sector of each entry.
fn gpt(entries: &[(u64, u64)]) -> Vec<u8> {
    let mut disk = mbr(&[(0xee, 1, u32::MAX)]);
    for (number, (first, last)) in entries.iter().enumerate() {
        let at = ENTRIES * SECTOR + 128 * number;
        put(&mut disk, at, &[0xaf; 16]);
        put(&mut disk, at + 32, &first.to_le_bytes());
        put(&mut disk, at + 40, &last.to_le_bytes());
    }
    let header = SECTOR;
    put(&mut disk, header, b"EFI PART\0\0\x01\0");
    put(&mut disk, header + 12, &92_u32.to_le_bytes());
    for (at, value) in
        [(24, 1), (32, SECTORS - 1), (40, FIRST_USABLE), (48, SECTORS - 34), (72, ENTRIES as u64)]
    {
        put(&mut disk, header + at, &value.to_le_bytes());
    }
    put(&mut disk, header + 80, &128_u32.to_le_bytes());
    put(&mut disk, header + 84, &128_u32.to_le_bytes());
    sign(&mut disk);
    disk
}

/// Makes the checksums right.
fn sign(disk: &mut [u8]) {
    let sum = |bytes: &[u8]| {
        let mut sum = Crc32::new();
        sum.add(bytes);
        sum.end().to_le_bytes()
    };
    let count = u32_at(&disk[SECTOR..], 80).min(256) as usize;
    let entries = sum(&disk[ENTRIES * SECTOR..][..128 * count]);
    put(disk, SECTOR + 88, &entries);
    put(disk, SECTOR + 16, &[0; 4]);
    let header = sum(&disk[SECTOR..SECTOR + 92]);
    put(disk, SECTOR + 16, &header);
}

#[test]
fn an_mbr_has_four_partitions() {
    let disk = mbr(&[(0x83, 1, 10), (0x05, 20, 10), (0x83, 199, 1), (0x83, 199, 2)]);
    // The second is a chain, the last reaches beyond the disk.
    assert_eq!(read(&disk), Ok(Table::of(&[(1, 1, 10), (3, 199, 1)])));
    let disk = mbr(&[(0x83, 0, 10), (0x83, 5, 0), (0, 10, 10), (0x83, u32::MAX, u32::MAX)]);
    assert_eq!(read(&disk), Ok(Table::default()), "the first would be the table's own sector");
}

#[test]
fn a_gpt_has_its_partitions() {
    let table = read(&gpt(&[(34, 99), (100, 100), (101, 166), (160, 167), (33, 40), (50, 49)]));
    assert_eq!(table, Ok(Table::of(&[(1, 34, 66), (2, 100, 1), (3, 101, 66)])), "those in what is usable");
    let mut disk = gpt(&[(34, 99), (100, 120)]);
    put(&mut disk, ENTRIES * SECTOR, &[0; 16]);
    sign(&mut disk);
    assert_eq!(read(&disk), Ok(Table::of(&[(2, 100, 21)])), "an entry without a type is none");
}

#[test]
fn a_gpt_that_is_damaged_is_none() {
    let good = gpt(&[(34, 99)]);
    for (at, error) in [(SECTOR + 41, TableError::Checksum), (ENTRIES * SECTOR + 33, TableError::Checksum)] {
        let mut disk = good.clone();
        disk[at] ^= 1;
        assert_eq!(read(&disk), Err(error), "byte {at}");
    }
    let changes: [(usize, &[u8]); 8] = [
        (0, b"EFI PARD"),
        (12, &91_u32.to_le_bytes()),
        (12, &513_u32.to_le_bytes()),
        (24, &2_u64.to_le_bytes()),
        (72, &1_u64.to_le_bytes()),
        (72, &u64::MAX.to_le_bytes()),
        (80, &129_u32.to_le_bytes()),
        (84, &256_u32.to_le_bytes()),
    ];
    for (at, bytes) in changes {
        let mut disk = good.clone();
        put(&mut disk, SECTOR + at, bytes);
        sign(&mut disk);
        assert_eq!(read(&disk), Err(TableError::Header), "{bytes:?} at {at}");
    }
    // The entries would lie in what partitions can have.
    let mut disk = good.clone();
    put(&mut disk, SECTOR + 40, &33_u64.to_le_bytes());
    sign(&mut disk);
    assert_eq!(read(&disk), Err(TableError::Header));
}

#[test]
fn what_is_no_table_is_none() {
    assert_eq!(read(&[0; 1024]), Err(TableError::NoTable));
    assert_eq!(read(&[]), Err(TableError::Unreadable(0)));
    let short = &gpt(&[(34, 99)])[..SECTOR * 3];
    assert_eq!(read(short), Err(TableError::Unreadable(3)));
    let fails = Table::read(SECTORS, |sector, _| sector != 0);
    assert_eq!(fails, Err(TableError::Unreadable(0)));
}

/// A sector: most often one where the table is or just behind it, else one about the disk, or any.
fn place() -> impl Strategy<Value = u64> {
    prop_oneof![2 => 0..2 * FIRST_USABLE, 1 => 0..300_u64, 1 => any::<u64>()]
}

proptest! {
    #[test]
    fn whatever_a_gpt_says_partitions_lie_behind_the_table_and_on_the_disk(
        fields in prop::collection::vec((prop_oneof![Just(24), Just(40), Just(48), Just(72)], place()), 0..3),
        count in prop_oneof![0..140_u32, any::<u32>()],
        entries in prop::collection::vec((place(), place()), 0..20),
    ) {
        let mut disk = gpt(&entries);
        for (at, value) in fields {
            put(&mut disk, SECTOR + at, &value.to_le_bytes());
        }
        put(&mut disk, SECTOR + 80, &count.to_le_bytes());
        sign(&mut disk);
        let from = u64_at(&disk[SECTOR..], 72);
        if let Ok(table) = read(&disk) {
            let table_end = from + u64::from(count).div_ceil(4);
            for (number, first, sectors) in table.partitions {
                prop_assert!((1..=128).contains(&number) && sectors > 0);
                prop_assert!(first >= table_end.max(2) && first + sectors <= SECTORS);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..2048), is_gpt: bool) {
        let mut disk = bytes;
        if disk.len() >= SECTOR {
            put(&mut disk, 510, &[0x55, 0xaa]);
            disk[450] = if is_gpt { 0xee } else { disk[450] };
        }
        if is_gpt && disk.len() >= 2 * SECTOR {
            put(&mut disk, SECTOR, GPT_SIGNATURE);
        }
        if let Ok(table) = read(&disk) {
            let sectors = (disk.len() / SECTOR) as u64;
            prop_assert!(table.partitions.iter().all(|(_, first, count)| *first >= 1 && first + count <= sectors));
        }
    }
}
