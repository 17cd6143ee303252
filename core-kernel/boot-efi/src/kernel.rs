//! The kernel's ELF file (*System V ABI*, chapters 4 and 5): what of it goes where in memory.

use core::fmt;

use zerocopy::{FromBytes, Immutable, KnownLayout};

/// The kernel runs where memory begins that a PC has in one piece.
const LOWEST: u64 = 1 << 20;
/// A 32-bit entry reaches no further.
const HIGHEST: u64 = 1 << 32;
/// A 64-bit little-endian file, version 1.
const IDENTITY: [u8; 7] = *b"\x7fELF\x02\x01\x01";
/// An executable for x86-64, in version 1.
const TYPE: [u8; 8] = [2, 0, 62, 0, 1, 0, 0, 0];
/// A segment to load.
const LOAD: u32 = 1;

/// Why a file is not a kernel that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKernel {
    /// It is no x86-64 ELF executable, or cut short.
    NoElf,
    /// A segment is not all in the file, or lies where it cannot: which, from 0.
    Segment(usize),
    /// Its first instruction is in no segment: its address.
    Entry(u64),
}

impl fmt::Display for BadKernel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoElf => out.write_str("it is no x86-64 ELF executable"),
            Self::Segment(number) => {
                write!(out, "segment {number} is not all there, or lies where it cannot")
            }
            Self::Entry(address) => write!(out, "its first instruction, {address:#x}, is in no segment"),
        }
    }
}

#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Header {
    identity: [u8; 16],
    kind: [u8; 8],
    entry: u64,
    segments: u64,
    sections: u64,
    flags: u32,
    header_bytes: u16,
    segment_bytes: u16,
    segment_count: u16,
    other: [u16; 3],
}

#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_bytes: u64,
    memory_bytes: u64,
    alignment: u64,
}

/// A run of the kernel's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Its physical address.
    pub address: u64,
    /// What it begins with; the rest is zero.
    pub bytes: &'a [u8],
    /// Its length.
    pub memory_bytes: u64,
}

impl Segment<'_> {
    fn end(&self) -> u64 {
        self.address + self.memory_bytes
    }
}

/// A kernel that can be started.
#[derive(Clone, Copy, Debug)]
pub struct Kernel<'a> {
    file: &'a [u8],
    headers: &'a [u8],
    /// Address of the first instruction.
    pub entry: u32,
    /// Where its memory begins and ends.
    pub memory: (u64, u64),
}

impl<'a> Kernel<'a> {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The first thing that keeps it from being started.
    pub fn read(file: &'a [u8]) -> Result<Self, BadKernel> {
        let (header, _) = Header::read_from_prefix(file).map_err(|_| BadKernel::NoElf)?;
        let is_elf = header.identity.starts_with(&IDENTITY) && header.kind == TYPE;
        let fits = usize::from(header.segment_bytes) == size_of::<ProgramHeader>();
        let bytes = usize::from(header.segment_count) * size_of::<ProgramHeader>();
        let headers = usize::try_from(header.segments).ok().and_then(|start| file.get(start..)?.get(..bytes));
        let headers = headers.filter(|_| is_elf && fits).ok_or(BadKernel::NoElf)?;
        let mut kernel = Self { file, headers, entry: 0, memory: (HIGHEST, LOWEST) };
        let mut has_entry = false;
        for (number, segment) in kernel.raw().enumerate() {
            let segment = segment.filter(|segment| segment.address >= kernel.memory.1);
            let segment = segment.ok_or(BadKernel::Segment(number))?;
            kernel.memory = (kernel.memory.0.min(segment.address), segment.end());
            let first = header.entry.checked_sub(segment.address);
            has_entry |= first.is_some_and(|first| first < segment.bytes.len() as u64);
        }
        kernel.entry =
            u32::try_from(header.entry).ok().filter(|_| has_entry).ok_or(BadKernel::Entry(header.entry))?;
        Ok(kernel)
    }

    /// The segments, in the order of their addresses.
    pub fn segments(self) -> impl Iterator<Item = Segment<'a>> {
        self.raw().flatten()
    }

    /// The segments to load; `None` for one that is not all in the file or reaches too far.
    fn raw(self) -> impl Iterator<Item = Option<Segment<'a>>> {
        let headers = self.headers.chunks_exact(size_of::<ProgramHeader>());
        let headers = headers.filter_map(|bytes| ProgramHeader::read_from_bytes(bytes).ok());
        headers.filter(|header| header.kind == LOAD && header.memory_bytes > 0).map(move |header| {
            let start = usize::try_from(header.offset).ok()?;
            let bytes = self.file.get(start..)?.get(..usize::try_from(header.file_bytes).ok()?)?;
            let end = header.physical.checked_add(header.memory_bytes)?;
            let fits = header.file_bytes <= header.memory_bytes && end <= HIGHEST;
            let (address, memory_bytes) = (header.physical, header.memory_bytes);
            fits.then_some(Segment { address, bytes, memory_bytes })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A kernel of two segments, at 1 MiB and a page above it.
    fn file() -> Vec<u8> {
        let mut file = vec![0; 0x40];
        file[..7].copy_from_slice(&IDENTITY);
        file[0x10..0x18].copy_from_slice(&TYPE);
        file[0x18..0x20].copy_from_slice(&0x10_0010_u64.to_le_bytes());
        file[0x20..0x28].copy_from_slice(&0x40_u64.to_le_bytes());
        file[0x36..0x3a].copy_from_slice(&[56, 0, 2, 0]);
        for (physical, file_bytes, memory_bytes) in
            [(0x10_0000_u64, 0x20_u64, 0x20_u64), (0x10_1000, 4, 0x2000)]
        {
            file.extend([LOAD, 5].map(u32::to_le_bytes).concat());
            file.extend([0x40, 0, physical, file_bytes, memory_bytes, 4096].map(u64::to_le_bytes).concat());
        }
        file
    }

    fn changed(place: usize, value: u64) -> Option<BadKernel> {
        let mut file = file();
        file[place..place + 8].copy_from_slice(&value.to_le_bytes());
        Kernel::read(&file).err()
    }

    #[test]
    fn a_kernel_has_its_segments_and_its_entry() {
        let file = file();
        let kernel = Kernel::read(&file).unwrap();
        assert_eq!((kernel.entry, kernel.memory), (0x10_0010, (0x10_0000, 0x10_3000)));
        let segments: Vec<_> = kernel.segments().collect();
        assert_eq!(
            segments[1],
            Segment { address: 0x10_1000, bytes: &file[0x40..0x44], memory_bytes: 0x2000 }
        );
        assert_eq!(segments.len(), 2);
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        /// Program headers, and fields in them.
        const FIRST: usize = 0x40;
        const SECOND: usize = FIRST + 56;
        const OFFSET: usize = 8;
        const PHYSICAL: usize = 24;
        const FILE: usize = 32;
        const MEMORY: usize = 40;
        for (what, place, value, fault) in [
            ("another magic", 0, 0, BadKernel::NoElf),
            ("another machine", 0x10, 0x1_0003_0002, BadKernel::NoElf),
            ("headers behind the end", 0x20, 0x1000, BadKernel::NoElf),
            ("headers without end", 0x20, u64::MAX, BadKernel::NoElf),
            ("another size of headers", 0x36, 2 << 16 | 32, BadKernel::NoElf),
            ("many headers", 0x36, 0xffff << 16 | 56, BadKernel::NoElf),
            ("entry outside", 0x18, 0x10_0020, BadKernel::Entry(0x10_0020)),
            ("entry far above", 0x18, 1 << 40, BadKernel::Entry(1 << 40)),
            ("bytes behind the end", FIRST + OFFSET, 0x1000, BadKernel::Segment(0)),
            ("bytes without end", FIRST + OFFSET, u64::MAX, BadKernel::Segment(0)),
            ("more bytes than memory", SECOND + MEMORY, 3, BadKernel::Segment(1)),
            ("more bytes than there are", SECOND + FILE, 0x1000, BadKernel::Segment(1)),
            ("below 1 MiB", FIRST + PHYSICAL, 0xf_f000, BadKernel::Segment(0)),
            ("overlap", SECOND + PHYSICAL, 0x10_0010, BadKernel::Segment(1)),
            ("above 4 GiB", SECOND + PHYSICAL, HIGHEST - 0x1000, BadKernel::Segment(1)),
            ("around the end", SECOND + PHYSICAL, u64::MAX - 0xfff, BadKernel::Segment(1)),
        ] {
            assert_eq!(changed(place, value), Some(fault), "{what}");
        }
        assert_eq!(Kernel::read(&file()[..0x3f]).err(), Some(BadKernel::NoElf));
    }

    proptest! {
        #[test]
        fn a_kernel_however_changed_stays_within_its_file_and_its_memory(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let mut file = file();
            for (place, value) in changes {
                let place = place.index(file.len());
                file[place] = value;
            }
            let Ok(kernel) = Kernel::read(&file) else { return Ok(()) };
            let mut end = LOWEST;
            for segment in kernel.segments() {
                prop_assert!(segment.address >= end && segment.bytes.len() as u64 <= segment.memory_bytes);
                end = segment.end();
            }
            prop_assert_eq!(kernel.memory.1, end);
            prop_assert!(kernel.memory.0 >= LOWEST && end <= HIGHEST && u64::from(kernel.entry) < end);
        }
    }
}
