//! Instructions that store to one word of memory: the forms in which Linux changes entries of page tables that it sees
//! read-only. Encodings and effects are those of the processor manuals (Intel SDM, volume 2).

use cloison_abi::guest::GuestRegisters;

use crate::decode::{Decoder, Place, Register, mask};

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
        let mut code = Decoder::new(bytes, registers);
        let opcode = code.opcode()?;
        // What is done to one bit has a number of its own, and no form for one byte.
        let size = code.size(if opcode == 0x0fba { 1 } else { opcode });
        if size == 2 {
            return None;
        }
        let (operation, place) = match opcode {
            0x0f00.. => long(&mut code, opcode, size, registers)?,
            _ => short(&mut code, opcode, size, registers)?,
        };
        Some(Self { operation, size, address: code.address(place, registers)?, length: code.length() })
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

/// Instructions with an opcode of one byte.
fn short(
    code: &mut Decoder,
    opcode: u16,
    size: u8,
    registers: &GuestRegisters,
) -> Option<(Operation, Place)> {
    let operands = code.operands(registers)?;
    let register = code.register(operands.register, size);
    let value = register.get(registers, size);
    let operation = match (opcode, operands.register & 7) {
        (0x88 | 0x89, _) => Operation::Move(value),
        (0x86 | 0x87, _) => Operation::Exchange(register),
        (0x20 | 0x21, _) => Operation::And(value),
        (0x08 | 0x09, _) => Operation::Or(value),
        (0xc6 | 0xc7, 0) => Operation::Move(code.immediate(size)?),
        (0x80 | 0x81, 4) => Operation::And(code.immediate(size)?),
        (0x80 | 0x81, 1) => Operation::Or(code.immediate(size)?),
        (0x83, 4) => Operation::And(code.immediate(1)?),
        (0x83, 1) => Operation::Or(code.immediate(1)?),
        _ => return None,
    };
    Some((operation, operands.place))
}

/// Instructions with an opcode of two bytes.
fn long(code: &mut Decoder, opcode: u16, size: u8, registers: &GuestRegisters) -> Option<(Operation, Place)> {
    let operands = code.operands(registers)?;
    let value = code.register(operands.register, size).get(registers, size);
    let bits = size * 8;
    let (bit, far) = ((value as u8) % bits, bit_offset(value, size));
    let operation = match (opcode, operands.register & 7) {
        (0x0fb0 | 0x0fb1, _) => Operation::CompareExchange(value),
        (0x0fb3, _) => return Some((Operation::Reset(bit), operands.place.further(far))),
        (0x0fab, _) => return Some((Operation::Set(bit), operands.place.further(far))),
        (0x0fba, 6) => Operation::Reset(code.byte()? % bits),
        (0x0fba, 5) => Operation::Set(code.byte()? % bits),
        _ => return None,
    };
    Some((operation, operands.place))
}

/// How far from its operand the word lies in which a bit is, whose number a register holds: the number has a sign.
fn bit_offset(number: u64, size: u8) -> u64 {
    let number = if size == 8 { number as i64 } else { i64::from(number as i32) };
    (number.div_euclid(i64::from(size) * 8) * i64::from(size)) as u64
}
