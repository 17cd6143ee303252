//! The rows of an image: each byte belongs to one.

use core::{fmt, ops::Range};

use cloison_abi::{
    image::ImageHeader,
    measure::{
        MAX_ROW_NAME_BYTES, MAX_ROWS, PCR_BUILDER, PCR_PLAN, PCR_PROGRAMS, ROWS_MAGIC, RowEntry, RowsHeader,
    },
};
use zerocopy::FromBytes;

/// The registers that rows can go into.
const PCRS: [u32; 3] = [PCR_BUILDER, PCR_PLAN, PCR_PROGRAMS];

/// Why an image cannot be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRows {
    /// It is too short to have rows.
    Short,
    /// There is no table where it has to be.
    NoTable,
    /// It has this many rows.
    Count(u32),
    /// A row is not as it has to be: its number, from 0, and what is wrong.
    Row(usize, Fault),
    /// The last row does not end with the image: where the two end.
    End(u64, u64),
}

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It begins here, and the row before it ends there.
    Start(u64, u64),
    /// It has this length, which is none or goes past the end.
    Length(u64),
    /// It goes into this register.
    Pcr(u32),
    /// It has no name, or one that is too long, not all there, or not visible ASCII.
    Name,
}

impl fmt::Display for BadRows {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => out.write_str("it is too short to have rows"),
            Self::NoTable => out.write_str("it has no table of rows"),
            Self::Count(count) => write!(out, "it has {count} rows, and 1 to {MAX_ROWS} are possible"),
            Self::Row(number, fault) => write!(out, "row {number} {fault}"),
            Self::End(rows, image) => write!(out, "its rows end at {rows}, the image at {image}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(start, end) => {
                write!(out, "begins at {start}, and what lies before it ends at {end}")
            }
            Self::Length(bytes) => {
                write!(out, "is {bytes} bytes long, which is nothing or more than there is")
            }
            Self::Pcr(pcr) => {
                write!(out, "goes into register {pcr}, and {PCR_BUILDER} to {PCR_PROGRAMS} are possible")
            }
            Self::Name => out.write_str("has no name, or one that cannot be shown"),
        }
    }
}

/// A run of bytes that is measured as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// What it is.
    pub name: &'a str,
    /// The register that it goes into.
    pub pcr: u32,
    /// Where it begins in the image.
    pub offset: u64,
    /// Its length, in bytes.
    pub bytes: u64,
}

/// The rows of an image, checked: they tile it.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    entries: &'a [u8],
    names: &'a [u8],
}

impl<'a> Rows<'a> {
    /// Reads the rows of an image.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with them.
    pub fn read(image: &'a [u8]) -> Result<Self, BadRows> {
        let table = image.get(size_of::<ImageHeader>()..).ok_or(BadRows::Short)?;
        let (header, rest) = RowsHeader::read_from_prefix(table).map_err(|_| BadRows::Short)?;
        if header.magic != ROWS_MAGIC {
            return Err(BadRows::NoTable);
        }
        let count = header.count as usize;
        if !(1..=MAX_ROWS).contains(&count) {
            return Err(BadRows::Count(header.count));
        }
        let (entries, names) = rest.split_at_checked(count * size_of::<RowEntry>()).ok_or(BadRows::Short)?;
        let rows = Self { entries, names };
        rows.check(image.len() as u64)?;
        Ok(rows)
    }

    /// Goes through the rows as an image of this length has to have them.
    fn check(&self, image_bytes: u64) -> Result<(), BadRows> {
        let mut end = 0;
        for (number, (entry, name)) in self.raw().enumerate() {
            let wrong = |fault| Err(BadRows::Row(number, fault));
            if entry.image_offset != end {
                return wrong(Fault::Start(entry.image_offset, end));
            }
            if entry.image_bytes == 0 || entry.image_bytes > image_bytes - end {
                return wrong(Fault::Length(entry.image_bytes));
            }
            if !PCRS.contains(&entry.pcr) {
                return wrong(Fault::Pcr(entry.pcr));
            }
            if name.and_then(visible).is_none() {
                return wrong(Fault::Name);
            }
            end += entry.image_bytes;
        }
        if end == image_bytes { Ok(()) } else { Err(BadRows::End(end, image_bytes)) }
    }

    /// The entries, each with the bytes of its name if they are there.
    fn raw(self) -> impl Iterator<Item = (RowEntry, Option<&'a [u8]>)> {
        let mut start = 0_usize;
        self.entries.chunks_exact(size_of::<RowEntry>()).filter_map(move |bytes| {
            let entry = RowEntry::read_from_bytes(bytes).ok()?;
            let end = start.saturating_add(entry.name_bytes as usize);
            let name = self.names.get(Range { start, end });
            start = end;
            Some((entry, name))
        })
    }

    /// The rows, in the order of the image.
    pub fn iter(self) -> impl Iterator<Item = Row<'a>> {
        self.raw().map(|(entry, name)| Row {
            name: name.and_then(visible).unwrap_or_default(),
            pcr: entry.pcr,
            offset: entry.image_offset,
            bytes: entry.image_bytes,
        })
    }
}

impl<'a> Row<'a> {
    /// Its bytes. None if the image is not the one whose row it is.
    #[must_use]
    pub fn of<'b>(&self, image: &'b [u8]) -> &'b [u8] {
        let start = self.offset as usize;
        image.get(start..start.saturating_add(self.bytes as usize)).unwrap_or_default()
    }
}

/// A name that can be shown.
fn visible(name: &[u8]) -> Option<&str> {
    let is_visible = name.iter().all(|byte| (b' '..=b'~').contains(byte));
    let fits = (1..=MAX_ROW_NAME_BYTES).contains(&name.len());
    core::str::from_utf8(name).ok().filter(|_| is_visible && fits)
}
