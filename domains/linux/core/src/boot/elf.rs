//! The kernel's program: which of its bytes go where, and what its notes say.

use cloison_xen::start::{NOTE_OWNER, note};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::BootError;

/// Parts of a program at most.
pub const MAX_SEGMENTS: usize = 16;
/// Bytes of notes at most.
pub const NOTE_BYTES: usize = 2048;
pub(super) const TOO_MANY: BootError = BootError::TooManyParts { most: MAX_SEGMENTS, note_bytes: NOTE_BYTES };
/// A kernel has to end below: its addresses have one table of level 2.
pub const IMAGE_END: u64 = 0x3f00_0000;
/// Where frame 0 is mapped, as Linux wants it.
pub const VIRTUAL_BASE: u64 = 0xffff_ffff_8000_0000;
/// Where the frame list is mapped, as Linux wants it.
pub const FRAME_LIST: u64 = 0x80_0000_0000;

const MAGIC: &[u8] = b"\x7fELF";
const WIDE: u8 = 2;
const X86_64: u16 = 62;
const LOAD: u32 = 1;
const NOTE: u32 = 4;

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct FileHeader {
    magic: [u8; 4],
    class: u8,
    identity: [u8; 11],
    kind: u16,
    machine: u16,
    version: u32,
    entry: u64,
    headers_offset: u64,
    sections_offset: u64,
    flags: u32,
    header_bytes: u16,
    program_header_bytes: u16,
    program_headers: u16,
    section_fields: [u16; 3],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    virtual_address: u64,
    address: u64,
    file_bytes: u64,
    memory_bytes: u64,
    alignment: u64,
}

/// A part of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where its bytes begin in the unpacked file.
    pub offset: u64,
    /// How many these are.
    pub bytes: u64,
    /// Where they go.
    pub place: Place,
}

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Into the guest's memory, with zeros after them.
    Memory {
        /// Address.
        address: u64,
        /// Bytes with the zeros.
        bytes: u64,
    },
    /// To the notes that were read before.
    Notes {
        /// Bytes of these.
        after: usize,
    },
}

/// What the headers of a program say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    segments: [Option<Segment>; MAX_SEGMENTS],
    /// Bytes of notes.
    pub note_bytes: usize,
    /// First address after it, in the guest's memory.
    pub end: u64,
}

impl Program {
    /// Reads the headers; `file` is the beginning of the file, `length` all of it.
    ///
    /// # Errors
    /// [`BootError::NotElf`], [`BootError::Architecture`], [`BootError::CutShort`], [`TOO_MANY`],
    /// [`BootError::Placement`].
    pub fn read(file: &[u8], length: u64) -> Result<Self, BootError> {
        let (header, _) = FileHeader::read_from_prefix(file).map_err(|_| BootError::NotElf)?;
        if header.magic != *MAGIC {
            return Err(BootError::NotElf);
        }
        if header.class != WIDE || header.machine != X86_64 {
            return Err(BootError::Architecture { machine: header.machine, wide: header.class == WIDE });
        }
        if usize::from(header.program_header_bytes) != size_of::<ProgramHeader>() {
            return Err(BootError::NotElf);
        }
        let headers = usize::try_from(header.headers_offset).ok().and_then(|offset| file.get(offset..));
        let headers = headers.ok_or(BootError::NotElf)?;
        let mut program = Self { segments: [None; MAX_SEGMENTS], note_bytes: 0, end: 0 };
        let mut free = program.segments.iter_mut();
        for n in 0..usize::from(header.program_headers) {
            let bytes = headers.get(n * size_of::<ProgramHeader>()..).ok_or(BootError::NotElf)?;
            let (part, _) = ProgramHeader::read_from_prefix(bytes).map_err(|_| BootError::NotElf)?;
            let Some(place) = place(&part, program.note_bytes)? else { continue };
            let promised = part.offset.saturating_add(part.file_bytes);
            if promised > length {
                return Err(BootError::CutShort { needed: promised, has: length });
            }
            match place {
                Place::Memory { address, bytes } => program.end = program.end.max(address + bytes),
                Place::Notes { .. } => program.note_bytes += part.file_bytes as usize,
            }
            *free.next().ok_or(TOO_MANY)? =
                Some(Segment { offset: part.offset, bytes: part.file_bytes, place });
        }
        Ok(program)
    }

    /// The parts.
    pub fn segments(&self) -> impl Iterator<Item = Segment> {
        self.segments.iter().copied().flatten()
    }
}

/// Where a part goes, if it goes anywhere.
fn place(part: &ProgramHeader, notes: usize) -> Result<Option<Place>, BootError> {
    match part.kind {
        LOAD => {
            let end = part.address.checked_add(part.memory_bytes).filter(|&end| end <= IMAGE_END);
            if end.is_none() || part.file_bytes > part.memory_bytes {
                return Err(BootError::Placement { address: part.address, bytes: part.memory_bytes });
            }
            Ok(Some(Place::Memory { address: part.address, bytes: part.memory_bytes }))
        }
        NOTE if part.file_bytes > (NOTE_BYTES - notes) as u64 => Err(TOO_MANY),
        NOTE => Ok(Some(Place::Notes { after: notes })),
        _ => Ok(None),
    }
}

/// What the notes say that are meant for a hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notes {
    /// First instruction.
    pub entry: u64,
    /// Page to fill with hypercalls, of kernels that do not issue them themselves.
    pub hypercall_page: Option<u64>,
}

impl Notes {
    /// Reads notes, and checks that they ask for what is done here; `end` is the end of the kernel in memory.
    ///
    /// # Errors
    /// [`BootError::NoEntry`], [`BootError::Note`], [`BootError::Outside`].
    pub fn read(notes: &[u8], end: u64) -> Result<Self, BootError> {
        let entry = number(notes, note::ENTRY).ok_or(BootError::NoEntry)?;
        let expect = |name, kind, missing: Option<u64>, expected| {
            let found = number(notes, kind);
            if found.or(missing) == Some(expected) {
                Ok(())
            } else {
                Err(BootError::Note { name, found, expected })
            }
        };
        expect("VIRT_BASE", note::VIRT_BASE, None, VIRTUAL_BASE)?;
        expect("PADDR_OFFSET", note::PADDR_OFFSET, Some(0), 0)?;
        expect("INIT_P2M", note::INIT_P2M, None, FRAME_LIST)?;
        expect("MOD_START_PFN", note::MOD_START_PFN, None, 1)?;
        // Absent, it stands for what is checked.
        let low = number(notes, note::HV_START_LOW);
        if low.is_some_and(|low| low > cloison_abi::guest::UPPER_HALF) {
            let expected = cloison_abi::guest::UPPER_HALF;
            return Err(BootError::Note { name: "HV_START_LOW", found: low, expected });
        }
        if !in_image(entry, end) {
            return Err(BootError::Outside { name: "ENTRY", address: entry });
        }
        let hypercall_page = number(notes, note::HYPERCALL_PAGE);
        if let Some(page) = hypercall_page
            && !(in_image(page, end) && page.is_multiple_of(cloison_abi::limits::PAGE_BYTES))
        {
            return Err(BootError::Outside { name: "HYPERCALL_PAGE", address: page });
        }
        Ok(Self { entry, hypercall_page })
    }
}

fn in_image(address: u64, end: u64) -> bool {
    address.checked_sub(VIRTUAL_BASE).is_some_and(|address| address < end)
}

/// The number in a note for a hypervisor.
fn number(notes: &[u8], kind: u32) -> Option<u64> {
    each_note(notes).find(|&(owner, this, _)| owner == NOTE_OWNER && this == kind).and_then(|(_, _, text)| {
        match *text {
            [a, b, c, d] => Some(u32::from_le_bytes([a, b, c, d]).into()),
            _ => Some(u64::from_le_bytes(text.try_into().ok()?)),
        }
    })
}

/// Each note: who has written it, its number, what it says. Ends where the bytes make no sense.
fn each_note(mut notes: &[u8]) -> impl Iterator<Item = (&[u8], u32, &[u8])> {
    core::iter::from_fn(move || {
        let word = |bytes: &mut &[u8]| {
            let (word, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            Some(u32::from_le_bytes(*word))
        };
        let owner_bytes = word(&mut notes)? as usize;
        let text_bytes = word(&mut notes)? as usize;
        let kind = word(&mut notes)?;
        let owner = padded(&mut notes, owner_bytes)?;
        let text = padded(&mut notes, text_bytes)?;
        Some((owner, kind, text))
    })
}

/// Takes bytes that are followed by others up to the next multiple of four.
fn padded<'a>(notes: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, _) = notes.split_at_checked(bytes)?;
    *notes = notes.get(bytes.next_multiple_of(4)..).unwrap_or_default();
    Some(taken)
}
