//! The table of partitions: GPT (UEFI specification 2.10, chapter 5), or the four entries of an MBR.
//!
//! Its author is the one who fills the disk, so nothing in it is believed without a check: a partition that does not lie on the
//! disk, or lies where the table itself does, is none.

mod crc;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

pub use crc::Crc32;

/// Bytes of a sector.
const SECTOR: usize = 512;
/// Partitions that are looked at.
const MOST_ENTRIES: u32 = 128;

/// What an MBR begins its entries with, and ends with (5.2.1).
const MBR_ENTRIES: usize = 446;
const MBR_ENTRY_BYTES: usize = 16;
const MBR_SIGNATURE: [u8; 2] = [0x55, 0xaa];
/// Types of its entries: none, chains of further entries, which are not followed, and a GPT behind it.
const TYPE_NONE: u8 = 0;
const TYPES_CHAIN: [u8; 3] = [0x05, 0x0f, 0x85];
const TYPE_GPT: u8 = 0xee;

/// The header of a GPT (5.3.2) and its entries (5.3.3).
const GPT_SIGNATURE: &[u8; 8] = b"EFI PART";
const GPT_HEADER_BYTES: usize = 92;
const GPT_ENTRY_BYTES: usize = 128;

/// Why there are no partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// The table was not looked at.
    NotRead,
    /// A sector could not be read.
    Unreadable(u64),
    /// The first sector is no MBR.
    NoTable,
    /// The GPT's header is none, or says what cannot be.
    Header,
    /// The GPT's checksums are wrong.
    Checksum,
}

impl fmt::Display for TableError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRead => write!(out, "the table was not read"),
            Self::Unreadable(sector) => write!(out, "the disk cannot read its sector {sector}"),
            Self::NoTable => write!(out, "the disk begins with neither GPT nor MBR"),
            Self::Header => write!(out, "the header of the GPT says what cannot be"),
            Self::Checksum => write!(out, "the GPT's checksums are wrong"),
        }
    }
}

/// Partitions, by their numbers from 1 on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The number, the first sector, and how many sectors.
    partitions: Vec<(u8, u64, u64)>,
}

impl Table {
    /// Reads the table of a disk of this many sectors; `read` reads one of them, and says whether it could.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn read(sectors: u64, mut read: impl FnMut(u64, &mut [u8]) -> bool) -> Result<Self, TableError> {
        let mut sector = [0; SECTOR];
        let mut read = |number: u64, sector: &mut [u8; SECTOR]| {
            let is_read = number < sectors && read(number, sector);
            if is_read { Ok(()) } else { Err(TableError::Unreadable(number)) }
        };
        read(0, &mut sector)?;
        if sector[SECTOR - 2..] != MBR_SIGNATURE {
            return Err(TableError::NoTable);
        }
        let entries = sector[MBR_ENTRIES..SECTOR - 2].chunks(MBR_ENTRY_BYTES);
        if entries.clone().any(|entry| entry[4] == TYPE_GPT) {
            return Self::read_gpt(sectors, &mut read);
        }
        let mut table = Self::default();
        for (number, entry) in (1..).zip(entries) {
            let has_sectors = entry[4] != TYPE_NONE && !TYPES_CHAIN.contains(&entry[4]);
            if has_sectors {
                table.add(number, u32_at(entry, 8).into(), u32_at(entry, 12).into(), (1, sectors));
            }
        }
        Ok(table)
    }

    fn read_gpt(
        sectors: u64,
        read: &mut impl FnMut(u64, &mut [u8; SECTOR]) -> Result<(), TableError>,
    ) -> Result<Self, TableError> {
        let mut sector = [0; SECTOR];
        read(1, &mut sector)?;
        let header = Header::parse(&sector)?;
        // Behind the first usable sector, nothing is the table's.
        let usable = (header.first_usable, header.last_usable.saturating_add(1).min(sectors));
        let (mut table, mut sum) = (Self::default(), Crc32::new());
        let per_sector = (SECTOR / GPT_ENTRY_BYTES) as u32;
        for number in 0..header.count {
            if number % per_sector == 0 {
                read(header.entries + u64::from(number / per_sector), &mut sector)?;
            }
            let entry = &sector[(number % per_sector) as usize * GPT_ENTRY_BYTES..][..GPT_ENTRY_BYTES];
            sum.add(entry);
            let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
            // No entry has the type that is all zeros.
            if entry[..16] != [0; 16]
                && let Some(behind) = last.checked_sub(first)
            {
                table.add(number as u8 + 1, first, behind.saturating_add(1), usable);
            }
        }
        if sum.end() == header.entries_sum { Ok(table) } else { Err(TableError::Checksum) }
    }

    /// Adds a partition, if it has sectors and they are among those that partitions can have.
    fn add(&mut self, number: u8, first: u64, sectors: u64, (from, to): (u64, u64)) {
        let fits = first >= from && first.checked_add(sectors).is_some_and(|end| end <= to);
        if fits && sectors > 0 {
            self.partitions.push((number, first, sectors));
        }
    }

    /// The first sector of a partition, and how many it has.
    #[must_use]
    pub fn partition(&self, number: u8) -> Option<(u64, u64)> {
        let found = self.partitions.iter().find(|(other, ..)| *other == number);
        found.map(|(_, first, sectors)| (*first, *sectors))
    }
}

/// What the header of a GPT says.
struct Header {
    first_usable: u64,
    last_usable: u64,
    /// Where the entries begin, and how many there are.
    entries: u64,
    count: u32,
    entries_sum: u32,
}

impl Header {
    fn parse(sector: &[u8; SECTOR]) -> Result<Self, TableError> {
        let bytes = u32_at(sector, 12) as usize;
        let is_header = sector[..8] == *GPT_SIGNATURE && (GPT_HEADER_BYTES..=SECTOR).contains(&bytes);
        if !is_header {
            return Err(TableError::Header);
        }
        let mut sum = Crc32::new();
        // Its own sum counts as zero.
        sum.add(&sector[..16]);
        sum.add(&[0; 4]);
        sum.add(&sector[20..bytes]);
        if sum.end() != u32_at(sector, 16) {
            return Err(TableError::Checksum);
        }
        let header = Self {
            first_usable: u64_at(sector, 40),
            last_usable: u64_at(sector, 48),
            entries: u64_at(sector, 72),
            count: u32_at(sector, 80),
            entries_sum: u32_at(sector, 88),
        };
        let table_end = (u64::from(header.count) * GPT_ENTRY_BYTES as u64).div_ceil(SECTOR as u64);
        let table_end = header.entries.checked_add(table_end).ok_or(TableError::Header)?;
        let is_usual = u64_at(sector, 24) == 1
            && header.entries >= 2
            && header.count <= MOST_ENTRIES
            && u32_at(sector, 84) as usize == GPT_ENTRY_BYTES
            && table_end <= header.first_usable;
        if is_usual { Ok(header) } else { Err(TableError::Header) }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
