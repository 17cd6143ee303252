//! Instructions, as far as several kinds of them have it in common: prefixes, registers, operands in memory (Intel SDM,
//! volume 2, chapter 2).

use cloison_abi::guest::{GUEST_WORDS, GuestRegisters};
use zerocopy::{transmute_mut, transmute_ref};

/// A register of the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Its number, as instructions have it.
    pub number: u8,
    /// Bits to the right of the part that is meant.
    pub shift: u8,
}

impl Register {
    /// The first.
    pub const ACCUMULATOR: Self = Self { number: 0, shift: 0 };

    /// What it holds.
    #[must_use]
    pub fn get(self, registers: &GuestRegisters, size: u8) -> u64 {
        let words: &[u64; GUEST_WORDS] = transmute_ref!(registers);
        words[usize::from(self.number)] >> self.shift & mask(size)
    }

    /// Puts a value in. Four bytes clear the four above them; fewer leave the rest as it is.
    pub fn set(self, registers: &mut GuestRegisters, size: u8, value: u64) {
        let words: &mut [u64; GUEST_WORDS] = transmute_mut!(registers);
        let kept = if size < 4 { !(mask(size) << self.shift) } else { 0 };
        let word = &mut words[usize::from(self.number)];
        *word = *word & kept | (value & mask(size)) << self.shift;
    }
}

/// The bits of a word.
pub const fn mask(size: u8) -> u64 {
    u64::MAX >> (64 - 8 * size as u32)
}

/// What is left of an instruction.
pub struct Decoder<'a> {
    bytes: &'a [u8],
    /// How much was taken.
    at: usize,
    /// The prefix that widens operands and registers; 0 if there is none.
    rex: u8,
    /// The prefix for operands of two bytes is there.
    is_narrow: bool,
    /// The prefix for addresses of four bytes is there, which are not known here.
    has_narrow_address: bool,
    /// Base of the segment.
    base: u64,
}

/// The operands that the byte after the opcode names.
#[derive(Clone, Copy)]
pub struct Operands {
    /// A register, or a part of the opcode.
    pub register: u8,
    /// The other one.
    pub place: Place,
}

/// Where an operand is.
#[derive(Clone, Copy)]
pub enum Place {
    /// In a register.
    Register(u8),
    /// In memory.
    At(u64),
    /// In memory, so far behind the end of the instruction.
    Behind(u64),
}

impl<'a> Decoder<'a> {
    /// Takes the prefixes.
    #[must_use]
    pub fn new(bytes: &'a [u8], registers: &GuestRegisters) -> Self {
        let mut decoder = Self { bytes, at: 0, rex: 0, is_narrow: false, has_narrow_address: false, base: 0 };
        while let Some(byte) = bytes.get(decoder.at) {
            let rex = match byte {
                0x40..=0x4f => *byte,
                0x26 | 0x2e | 0x36 | 0x3e | 0xf0 | 0xf2 | 0xf3 => 0,
                _ => match decoder.prefix(*byte, registers) {
                    Some(()) => 0,
                    None => break,
                },
            };
            decoder.rex = rex;
            decoder.at += 1;
        }
        decoder
    }

    fn prefix(&mut self, byte: u8, registers: &GuestRegisters) -> Option<()> {
        match byte {
            0x64 => self.base = registers.fs_base,
            0x65 => self.base = registers.gs_base,
            0x66 => self.is_narrow = true,
            0x67 => self.has_narrow_address = true,
            _ => return None,
        }
        Some(())
    }

    /// The opcode: of one byte, or of two that begin with 0x0f.
    pub fn opcode(&mut self) -> Option<u16> {
        match self.byte()? {
            0x0f => Some(0x0f00 | u16::from(self.byte()?)),
            byte => Some(byte.into()),
        }
    }

    /// Bytes that were taken.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.at as u8
    }

    /// Bytes of an operand: opcodes that are even are about one.
    #[must_use]
    pub const fn size(&self, opcode: u16) -> u8 {
        match (opcode & 1, self.rex & 8, self.is_narrow) {
            (0, ..) => 1,
            (_, 8, _) => 8,
            (_, _, true) => 2,
            _ => 4,
        }
    }

    /// An address in memory, once the instruction is taken whole.
    #[must_use]
    pub fn address(&self, place: Place, registers: &GuestRegisters) -> Option<u64> {
        let offset = match place {
            Place::Register(_) => return None,
            Place::At(offset) => offset,
            Place::Behind(distance) => registers.rip.wrapping_add(self.at as u64).wrapping_add(distance),
        };
        Some(offset.wrapping_add(self.base))
    }

    /// A register by its number. Without the widening prefix, four of those with one byte are the second byte of others.
    #[must_use]
    pub fn register(&self, number: u8, size: u8) -> Register {
        match number {
            4..=7 if size == 1 && self.rex == 0 => Register { number: number - 4, shift: 8 },
            _ => Register { number, shift: 0 },
        }
    }

    /// The byte after the opcode, and what belongs to it.
    pub fn operands(&mut self, registers: &GuestRegisters) -> Option<Operands> {
        let byte = self.byte()?;
        let register = byte >> 3 & 7 | (self.rex & 4) << 1;
        let place = match (byte >> 6, byte & 7) {
            (3, number) => Place::Register(number | (self.rex & 1) << 3),
            _ if self.has_narrow_address => return None,
            (0, 5) => Place::Behind(self.immediate(4)?),
            (kind, 4) => Place::At(self.scaled(kind, registers)?),
            (kind, base) => {
                let base = self.word(registers, base | (self.rex & 1) << 3);
                Place::At(base.wrapping_add(self.displacement(kind)?))
            }
        };
        Some(Operands { register, place })
    }

    /// An address of base, scaled index and displacement.
    fn scaled(&mut self, kind: u8, registers: &GuestRegisters) -> Option<u64> {
        let byte = self.byte()?;
        let index = byte >> 3 & 7 | (self.rex & 2) << 2;
        let scaled = if index == 4 { 0 } else { self.word(registers, index) << (byte >> 6) };
        if (kind, byte & 7) == (0, 5) {
            return Some(scaled.wrapping_add(self.immediate(4)?));
        }
        let base = self.word(registers, byte & 7 | (self.rex & 1) << 3);
        Some(base.wrapping_add(scaled).wrapping_add(self.displacement(kind)?))
    }

    fn displacement(&mut self, kind: u8) -> Option<u64> {
        match kind {
            1 => self.immediate(1),
            2 => self.immediate(4),
            _ => Some(0),
        }
    }

    fn word(&self, registers: &GuestRegisters, number: u8) -> u64 {
        Register { number, shift: 0 }.get(registers, 8)
    }

    /// A number in the instruction, of four bytes at most, its sign continued.
    pub fn immediate(&mut self, size: u8) -> Option<u64> {
        if size == 1 {
            return Some(self.byte()? as i8 as u64);
        }
        let bytes = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        Some(i32::from_le_bytes(bytes.try_into().ok()?) as u64)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }
}

impl Place {
    /// The place that many bytes behind it.
    #[must_use]
    pub fn further(self, bytes: u64) -> Self {
        match self {
            Self::Register(number) => Self::Register(number),
            Self::At(address) => Self::At(address.wrapping_add(bytes)),
            Self::Behind(distance) => Self::Behind(distance.wrapping_add(bytes)),
        }
    }
}
