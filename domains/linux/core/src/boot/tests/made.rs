//! Kernels made up for tests: small, and wrong in one place.

use std::vec;
use std::vec::Vec;

use cloison_xen::start::note;

use crate::boot::{elf, lz4};

/// Where the code of a made-up kernel goes.
pub const CODE: u64 = 0x10_0000;
/// Where its data goes: on a page that the code's last one does not touch.
pub const DATA: u64 = 0x10_4000;
/// Bytes of the data with zeros.
pub const DATA_MEMORY: u64 = 0x2345;
/// Its first instruction.
pub const ENTRY: u64 = elf::VIRTUAL_BASE + CODE + 0x123;

/// A part of a program.
#[derive(Clone)]
pub struct Part {
    pub kind: u32,
    pub address: u64,
    pub memory: u64,
    pub bytes: Vec<u8>,
}

/// A program.
#[derive(Clone)]
pub struct Made {
    pub magic: [u8; 4],
    pub class: u8,
    pub machine: u16,
    pub header_bytes: u16,
    pub parts: Vec<Part>,
    pub notes: Vec<u8>,
}

impl Made {
    /// A program with nothing wrong in it.
    pub fn new() -> Self {
        let code = Part { kind: 1, address: CODE, memory: 0x3001, bytes: pattern(0x3001) };
        let data = Part { kind: 1, address: DATA, memory: DATA_MEMORY, bytes: pattern(0x1234) };
        let other = Part { kind: 2, address: 0, memory: 0, bytes: b"a part of no interest".to_vec() };
        let mut notes = Vec::new();
        add_note(&mut notes, b"GNU\0", note::ENTRY, &7u64.to_le_bytes());
        for (kind, value) in NOTES {
            add_note(&mut notes, b"Xen\0", kind, &value.to_le_bytes());
        }
        add_note(&mut notes, b"Xen\0", 10, b"!writable_page_tables");
        add_note(&mut notes, b"Xen\0", note::MOD_START_PFN, &1u32.to_le_bytes());
        Self {
            magic: *b"\x7fELF",
            class: 2,
            machine: 62,
            header_bytes: 56,
            parts: vec![code, other, data],
            notes,
        }
    }

    /// With another number in a note.
    pub fn with_note(mut self, kind: u32, value: u64) -> Self {
        // The first note of a kind counts.
        let mut notes = Vec::new();
        add_note(&mut notes, b"Xen\0", kind, &value.to_le_bytes());
        notes.append(&mut self.notes);
        self.notes = notes;
        self
    }

    /// With no note of a kind.
    pub fn without_note(mut self, kind: u32) -> Self {
        let mut notes = Vec::new();
        for (this, value) in NOTES.iter().chain(&[(note::MOD_START_PFN, 1)]).filter(|(this, _)| *this != kind)
        {
            add_note(&mut notes, b"Xen\0", *this, &value.to_le_bytes());
        }
        self.notes = notes;
        self
    }

    /// As a file.
    pub fn elf(&self) -> Vec<u8> {
        let notes = Part { kind: 4, address: 0, memory: 0, bytes: self.notes.clone() };
        let parts: Vec<&Part> = self.parts.iter().chain([&notes]).collect();
        let mut file = self.magic.to_vec();
        file.push(self.class);
        file.extend([0; 11]);
        file.extend(2u16.to_le_bytes());
        file.extend(self.machine.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        file.extend(CODE.to_le_bytes());
        file.extend(64u64.to_le_bytes());
        file.extend([0; 12]);
        file.extend([64, 0]);
        file.extend(self.header_bytes.to_le_bytes());
        file.extend((parts.len() as u16).to_le_bytes());
        file.extend([0; 6]);
        let mut offset = 64 + 56 * parts.len() as u64;
        for part in &parts {
            file.extend(part.kind.to_le_bytes());
            file.extend(7u32.to_le_bytes());
            for word in [offset, 0, part.address, part.bytes.len() as u64, part.memory, 4] {
                file.extend(word.to_le_bytes());
            }
            offset += part.bytes.len() as u64;
        }
        for part in parts {
            file.extend(&part.bytes);
        }
        file
    }

    /// As a kernel's file.
    pub fn vmlinuz(&self) -> Vec<u8> {
        let elf = self.elf();
        vmlinuz(&frame(&elf, 0x900), elf.len() as u32)
    }
}

const NOTES: [(u32, u64); 5] = [
    (note::ENTRY, ENTRY),
    (note::VIRT_BASE, elf::VIRTUAL_BASE),
    (note::PADDR_OFFSET, 0),
    (note::INIT_P2M, elf::FRAME_LIST),
    (note::HV_START_LOW, 0xffff_8000_0000_0000),
];

pub fn add_note(notes: &mut Vec<u8>, owner: &[u8], kind: u32, text: &[u8]) {
    for word in [owner.len() as u32, text.len() as u32, kind] {
        notes.extend(word.to_le_bytes());
    }
    for bytes in [owner, text] {
        notes.extend(bytes);
        notes.resize(notes.len().next_multiple_of(4), 0);
    }
}

/// Bytes none of which is 0, and which repeat late.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|n| (n.wrapping_mul(0x9e37_79b1) >> 24) as u8 | 1).collect()
}

/// A frame of blocks that hold at most `block` bytes each, as literals.
pub fn frame(bytes: &[u8], block: usize) -> Vec<u8> {
    let mut frame = lz4::MAGIC.to_vec();
    for bytes in bytes.chunks(block) {
        add_block(&mut frame, &sequence(bytes, None));
    }
    frame
}

pub fn add_block(frame: &mut Vec<u8>, block: &[u8]) {
    frame.extend((block.len() as u32).to_le_bytes());
    frame.extend(block);
}

/// A sequence: literal bytes, then a match by its distance and length (at least 4).
pub fn sequence(literals: &[u8], repeat: Option<(u16, usize)>) -> Vec<u8> {
    let length = repeat.map_or(0, |(_, length)| length - 4);
    let mut bytes = vec![(literals.len().min(15) << 4 | length.min(15)) as u8];
    add_length(&mut bytes, literals.len());
    bytes.extend(literals);
    if let Some((distance, _)) = repeat {
        bytes.extend(distance.to_le_bytes());
        add_length(&mut bytes, length);
    }
    bytes
}

fn add_length(bytes: &mut Vec<u8>, length: usize) {
    if let Some(rest) = length.checked_sub(15) {
        bytes.resize(bytes.len() + rest / 255, 255);
        bytes.push((rest % 255) as u8);
    }
}

/// A file with a setup header, and a payload with its unpacked length.
pub fn vmlinuz(frame: &[u8], bytes: u32) -> Vec<u8> {
    let mut file = vec![0; 3 * 512];
    file[0x1f1] = 2;
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&0x20fu16.to_le_bytes());
    file[0x248..0x24c].copy_from_slice(&0x2c_u32.to_le_bytes());
    file[0x24c..0x250].copy_from_slice(&(frame.len() as u32 + 4).to_le_bytes());
    file.resize(3 * 512 + 0x2c, 0xee);
    file.extend(frame);
    file.extend(bytes.to_le_bytes());
    file.extend(b"what follows the payload");
    file
}
