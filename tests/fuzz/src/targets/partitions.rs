//! A disk that somebody else has filled: its partitions lie on it, and not where their table is.

use disk::{Crc32, Table};

/// Sectors of the disk; those behind the input are zeros.
const SECTORS: u64 = 1 << 20;
const SECTOR: usize = 512;
/// Where a GPT's header says how many entries it has, and where its checksums are; and where the entries usually are.
const COUNT: usize = SECTOR + 80;
const SUM: usize = SECTOR + 16;
const ENTRIES_SUM: usize = SECTOR + 88;
const ENTRIES: usize = 2 * SECTOR;

/// Reads the table of a disk that begins with these bytes but the first, which says whether checksums are made right.
pub fn run(bytes: &[u8]) {
    let Some((choice, start)) = bytes.split_first() else { return };
    let mut disk = start.to_vec();
    disk.resize(disk.len().next_multiple_of(SECTOR), 0);
    if choice & 1 != 0 && disk.len() > ENTRIES {
        sign(&mut disk);
    }
    let table = Table::read(SECTORS, |sector, bytes| {
        let at = usize::try_from(sector).unwrap_or(usize::MAX).saturating_mul(SECTOR);
        match disk.get(at..).filter(|rest| rest.len() >= bytes.len()) {
            Some(rest) => bytes.copy_from_slice(&rest[..bytes.len()]),
            None => bytes.fill(0),
        }
        sector < SECTORS
    });
    let Ok(table) = table else { return };
    for number in 0..=u8::MAX {
        if let Some((first, sectors)) = table.partition(number) {
            assert!((1..=128).contains(&number) && first > 0 && sectors > 0, "partition {number}");
            assert!(first.checked_add(sectors).is_some_and(|end| end <= SECTORS), "partition {number}");
        }
    }
}

fn sign(disk: &mut Vec<u8>) {
    let count = disk[COUNT..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)).min(128) as usize;
    disk.resize(disk.len().max(ENTRIES + 128 * count).next_multiple_of(SECTOR), 0);
    let entries = sum(&disk[ENTRIES..ENTRIES + 128 * count]);
    disk[ENTRIES_SUM..ENTRIES_SUM + 4].copy_from_slice(&entries);
    disk[SUM..SUM + 4].fill(0);
    let bytes = disk[SECTOR + 12..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let header = sum(&disk[SECTOR..SECTOR + (bytes as usize).min(SECTOR)]);
    disk[SUM..SUM + 4].copy_from_slice(&header);
}

fn sum(bytes: &[u8]) -> [u8; 4] {
    let mut sum = Crc32::new();
    sum.add(bytes);
    sum.end().to_le_bytes()
}
