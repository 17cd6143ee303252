//! Instructions that store to one word of memory: the forms in which Linux changes entries of page tables that it sees
//! read-only. Encodings and effects are those of the processor manuals (Intel SDM, volume 2).

use cloison_abi::guest::GuestRegisters;
use zerocopy::{transmute_mut, transmute_ref};

/// A store that has been decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// What is done to the word.
    pub operation: Operation,
    /// Bytes of the word: 1, 4 or 8.
    pub size: u8,
    /// Its address.
    pub address: u64,
    /// Bytes of the instruction.
    pub length: u8,
}

/// What is done to a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It becomes a value.
    Move(u64),
    /// It becomes what a register holds, and the other way round.
    Exchange(Register),
    /// Bits that a value does not have go.
    And(u64),
    /// Bits of a value are added.
    Or(u64),
    /// A bit goes; the carry flag says what it was.
    Reset(u8),
    /// A bit is set; the carry flag says what it was.
    Set(u8),
    /// It becomes a value if it is what the accumulator holds; else the accumulator becomes what it is.
    CompareExchange(u64),
}

/// A register of the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Its number, as instructions have it.
    number: u8,
    /// Bits to the right of the part that is meant.
    shift: u8,
}

impl Register {
    const ACCUMULATOR: Self = Self { number: 0, shift: 0 };

    /// What it holds.
    fn get(self, registers: &GuestRegisters, size: u8) -> u64 {
        let words: &[u64; 20] = transmute_ref!(registers);
        words[usize::from(self.number)] >> self.shift & mask(size)
    }

    /// Puts a value in. Four bytes clear the four above them.
    fn set(self, registers: &mut GuestRegisters, size: u8, value: u64) {
        let words: &mut [u64; 20] = transmute_mut!(registers);
        let kept = if size == 1 { !(0xff << self.shift) } else { 0 };
        let word = &mut words[usize::from(self.number)];
        *word = *word & kept | (value & mask(size)) << self.shift;
    }
}

/// Flags.
mod flag {
    pub const CARRY: u64 = 1 << 0;
    pub const PARITY: u64 = 1 << 2;
    pub const ADJUST: u64 = 1 << 4;
    pub const ZERO: u64 = 1 << 6;
    pub const SIGN: u64 = 1 << 7;
    pub const OVERFLOW: u64 = 1 << 11;
}

impl Store {
    /// Decodes an instruction; `None` if it is of no form that is known here, or not whole.
    #[must_use]
    pub fn decode(bytes: &[u8], registers: &GuestRegisters) -> Option<Self> {
        Decoder { bytes, at: 0, rex: 0, narrow: false, base: 0 }.store(registers)
    }

    /// Carries it out on a word: registers, flags and the next instruction's address change as by the CPU. Returns what
    /// the word becomes.
    #[must_use]
    pub fn carry_out(&self, old: u64, registers: &mut GuestRegisters) -> u64 {
        let old = old & mask(self.size);
        registers.rip = registers.rip.wrapping_add(self.length.into());
        match self.operation {
            Operation::Move(value) => value & mask(self.size),
            Operation::Exchange(register) => {
                let new = register.get(registers, self.size);
                register.set(registers, self.size, old);
                new
            }
            Operation::And(value) => self.logic(old & value, registers),
            Operation::Or(value) => self.logic(old | value, registers),
            Operation::Reset(bit) => {
                note(registers, flag::CARRY, when(old >> bit & 1 != 0, flag::CARRY));
                old & !(1 << bit)
            }
            Operation::Set(bit) => {
                note(registers, flag::CARRY, when(old >> bit & 1 != 0, flag::CARRY));
                old | 1 << bit
            }
            Operation::CompareExchange(value) => self.compare_exchange(old, value, registers),
        }
    }

    /// Flags of a logical operation.
    fn logic(&self, new: u64, registers: &mut GuestRegisters) -> u64 {
        let new = new & mask(self.size);
        note(registers, flag::CARRY | flag::OVERFLOW | RESULT, self.result_flags(new));
        new
    }

    fn compare_exchange(&self, old: u64, value: u64, registers: &mut GuestRegisters) -> u64 {
        let expected = Register::ACCUMULATOR.get(registers, self.size);
        let difference = expected.wrapping_sub(old) & mask(self.size);
        let sign = 1 << (u32::from(self.size) * 8 - 1);
        let overflow = (expected ^ old) & (expected ^ difference) & sign != 0;
        let flags = self.result_flags(difference)
            | when(expected < old, flag::CARRY)
            | (expected ^ old ^ difference) & flag::ADJUST
            | when(overflow, flag::OVERFLOW);
        note(registers, flag::CARRY | flag::ADJUST | flag::OVERFLOW | RESULT, flags);
        if expected == old {
            return value & mask(self.size);
        }
        Register::ACCUMULATOR.set(registers, self.size, old);
        old
    }

    /// The flags that say what a result is like.
    fn result_flags(&self, result: u64) -> u64 {
        let negative = result >> (u32::from(self.size) * 8 - 1) & 1 != 0;
        let even = (result as u8).count_ones().is_multiple_of(2);
        when(result == 0, flag::ZERO) | when(negative, flag::SIGN) | when(even, flag::PARITY)
    }
}

/// A flag, on a condition.
const fn when(condition: bool, flag: u64) -> u64 {
    if condition { flag } else { 0 }
}

/// Flags that say what a result is like.
const RESULT: u64 = flag::ZERO | flag::SIGN | flag::PARITY;

/// Sets some flags.
fn note(registers: &mut GuestRegisters, which: u64, flags: u64) {
    registers.rflags = registers.rflags & !which | flags;
}

/// The bits of a word.
pub const fn mask(size: u8) -> u64 {
    u64::MAX >> (64 - 8 * size as u32)
}

/// What is left of an instruction.
struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The prefix that widens operands and registers; 0 if there is none.
    rex: u8,
    /// The prefix for operands of two bytes is there, which are not known here: it matters to others not at all.
    narrow: bool,
    /// Base of the segment.
    base: u64,
}

/// The operands that the byte after the opcode names.
struct Operands {
    register: u8,
    place: Place,
}

/// Where in memory the operand is.
enum Place {
    At(u64),
    /// So far behind the end of the instruction.
    Behind(u64),
}

impl Decoder<'_> {
    fn store(mut self, registers: &GuestRegisters) -> Option<Store> {
        let opcode = self.prefixes(registers)?;
        let (operation, size, place) = match opcode {
            0x0f => self.long(registers)?,
            _ => self.short(opcode, registers)?,
        };
        let address = match place {
            Place::At(address) => address,
            Place::Behind(distance) => registers.rip.wrapping_add(self.at as u64).wrapping_add(distance),
        };
        let address = address.wrapping_add(self.base);
        Some(Store { operation, size, address, length: self.at as u8 })
    }

    /// Takes the prefixes; returns the opcode. Addresses of four bytes are not known here.
    fn prefixes(&mut self, registers: &GuestRegisters) -> Option<u8> {
        loop {
            let byte = self.byte()?;
            match byte {
                0x26 | 0x2e | 0x36 | 0x3e | 0xf0 | 0xf2 | 0xf3 => self.rex = 0,
                0x66 => (self.narrow, self.rex) = (true, 0),
                0x64 => (self.base, self.rex) = (registers.fs_base, 0),
                0x65 => (self.base, self.rex) = (registers.gs_base, 0),
                0x40..=0x4f => self.rex = byte,
                _ => return Some(byte),
            }
        }
    }

    /// Instructions with an opcode of one byte.
    fn short(&mut self, opcode: u8, registers: &GuestRegisters) -> Option<(Operation, u8, Place)> {
        let size = self.size(opcode)?;
        let operands = self.operands(registers)?;
        let register = self.register(operands.register, size);
        let value = register.get(registers, size);
        let operation = match (opcode, operands.register & 7) {
            (0x88 | 0x89, _) => Operation::Move(value),
            (0x86 | 0x87, _) => Operation::Exchange(register),
            (0x20 | 0x21, _) => Operation::And(value),
            (0x08 | 0x09, _) => Operation::Or(value),
            (0xc6 | 0xc7, 0) => Operation::Move(self.immediate(size)?),
            (0x80 | 0x81, 4) => Operation::And(self.immediate(size)?),
            (0x80 | 0x81, 1) => Operation::Or(self.immediate(size)?),
            (0x83, 4) => Operation::And(self.immediate(1)?),
            (0x83, 1) => Operation::Or(self.immediate(1)?),
            _ => return None,
        };
        Some((operation, size, operands.place))
    }

    /// Instructions with an opcode of two bytes.
    fn long(&mut self, registers: &GuestRegisters) -> Option<(Operation, u8, Place)> {
        let opcode = self.byte()?;
        let size = self.size(if opcode == 0xba { 1 } else { opcode })?;
        let operands = self.operands(registers)?;
        let value = self.register(operands.register, size).get(registers, size);
        let bits = size * 8;
        let (bit, far) = ((value as u8) % bits, bit_offset(value, size));
        let operation = match (opcode, operands.register & 7) {
            (0xb0 | 0xb1, _) => Operation::CompareExchange(value),
            (0xb3, _) => return Some((Operation::Reset(bit), size, operands.place.further(far))),
            (0xab, _) => return Some((Operation::Set(bit), size, operands.place.further(far))),
            (0xba, 6) => Operation::Reset(self.byte()? % bits),
            (0xba, 5) => Operation::Set(self.byte()? % bits),
            _ => return None,
        };
        Some((operation, size, operands.place))
    }

    /// Bytes of the word: even opcodes are about one.
    fn size(&self, opcode: u8) -> Option<u8> {
        match (opcode & 1, self.rex & 8) {
            (0, _) => Some(1),
            (_, 0) => (!self.narrow).then_some(4),
            _ => Some(8),
        }
    }

    /// A register by its number. Without the widening prefix, four of those with one byte are the second byte of others.
    fn register(&self, number: u8, size: u8) -> Register {
        match number {
            4..=7 if size == 1 && self.rex == 0 => Register { number: number - 4, shift: 8 },
            _ => Register { number, shift: 0 },
        }
    }

    /// The byte after the opcode, and what belongs to it.
    fn operands(&mut self, registers: &GuestRegisters) -> Option<Operands> {
        let byte = self.byte()?;
        let register = byte >> 3 & 7 | (self.rex & 4) << 1;
        let place = match (byte >> 6, byte & 7) {
            (3, _) => return None,
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
    fn immediate(&mut self, size: u8) -> Option<u64> {
        if size == 1 {
            return Some(self.byte()? as i8 as u64);
        }
        let bytes = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        Some(i32::from_le_bytes(bytes.try_into().ok()?) as u64)
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }
}

impl Place {
    fn further(self, bytes: u64) -> Self {
        match self {
            Self::At(address) => Self::At(address.wrapping_add(bytes)),
            Self::Behind(distance) => Self::Behind(distance.wrapping_add(bytes)),
        }
    }
}

/// How far from its operand the word lies in which a bit is, whose number a register holds: the number has a sign.
fn bit_offset(number: u64, size: u8) -> u64 {
    let number = if size == 8 { number as i64 } else { i64::from(number as i32) };
    (number.div_euclid(i64::from(size) * 8) * i64::from(size)) as u64
}
