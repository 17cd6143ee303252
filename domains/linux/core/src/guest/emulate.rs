//! Instructions that take a privilege which the guest's kernel has not: those that Linux executes are carried out here,
//! all others are its own affair (Intel SDM, volume 2).

use cloison_abi::guest::GuestRegisters;
use cloison_xen::cpuid::PREFIX;
use zerocopy::{transmute_mut, transmute_ref};

use super::trap::vector;
use super::{Flow, Guest};
use crate::cpu::CR0;
use crate::machine::Machine;
use crate::{cpuid, msr};

/// Port of the timer chip's second counter. Linux waits for it to change from all ones.
const PORT_PIT_COUNTER_2: u16 = 0x42;
/// The low four bytes of a register.
const LOW: u64 = 0xffff_ffff;
/// `cpuid`.
const CPUID: [u8; 2] = [0x0f, 0xa2];
/// Bits of the widening prefix.
const REX_WIDE: u8 = 8;
const REX_REGISTER: u8 = 4;
const REX_BASE: u8 = 1;

/// Bytes of an instruction, as far as they are taken.
struct Code<'a> {
    bytes: &'a [u8],
    at: usize,
    rex: u8,
    /// Operands have two bytes.
    is_short: bool,
}

/// The two registers that an instruction names.
struct Pair {
    /// The first, which may be of another kind.
    register: u8,
    /// The second.
    general: u8,
}

impl<'a> Code<'a> {
    /// Takes the prefixes. Those that make no difference to instructions without memory are passed over.
    fn new(bytes: &'a [u8]) -> Self {
        let mut code = Self { bytes, at: 0, rex: 0, is_short: false };
        while let Some(byte) = bytes.get(code.at) {
            match byte {
                0x66 => (code.is_short, code.rex) = (true, 0),
                0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0x67 | 0xf2 | 0xf3 => code.rex = 0,
                0x40..=0x4f => code.rex = *byte,
                _ => break,
            }
            code.at += 1;
        }
        code
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// The opcode: of one byte, or of two that begin with 0x0f.
    fn opcode(&mut self) -> Option<u16> {
        match self.byte()? {
            0x0f => Some(0x0f00 | u16::from(self.byte()?)),
            byte => Some(byte.into()),
        }
    }

    /// Two registers; `None` if the second is memory.
    fn pair(&mut self) -> Option<Pair> {
        let byte = self.byte()?;
        let register = byte >> 3 & 7 | (self.rex & REX_REGISTER) << 1;
        let general = byte & 7 | (self.rex & REX_BASE) << 3;
        (byte >> 6 == 3).then_some(Pair { register, general })
    }

    /// Bytes of an operand, for opcodes whose even ones have one byte.
    fn operand_bytes(&self, opcode: u16) -> u32 {
        match (opcode % 2, self.is_short) {
            (0, _) => 1,
            (_, true) => 2,
            _ => 4,
        }
    }
}

impl Guest {
    /// Carries out an instruction of the guest's kernel, if it is one of those known here.
    pub(super) fn emulate(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
    ) -> Option<Flow> {
        let fetched = self.paging.fetch(machine, registers.rip);
        let mut code = Code::new(fetched.bytes());
        let opcode = code.opcode()?;
        let mut flow = Flow::Run;
        match opcode {
            // in, by number and by register; out alike: nobody is there.
            0xe4 | 0xe5 => read_port(registers, u16::from(code.byte()?), code.operand_bytes(opcode)),
            0xec | 0xed => read_port(registers, registers.rdx as u16, code.operand_bytes(opcode)),
            0xe6 | 0xe7 => {
                code.byte()?;
            }
            // out; cli, sti: Linux masks events by a byte, and has been told that these do no harm.
            0xee | 0xef | 0xfa | 0xfb => {}
            0xf4 => flow = Flow::Block,
            // clts, invd, wbinvd: the state that they are about is not the guest's.
            0x0f06 | 0x0f08 | 0x0f09 => {}
            0x0f20 => self.read_control(machine, code.pair()?, registers)?,
            0x0f22 => self.write_control(code.pair()?, registers)?,
            0x0f30 => self.write_msr(registers)?,
            0x0f32 => self.read_msr(machine, registers)?,
            0x0fa2 => self.cpuid(machine, registers),
            0x0f00 => read_table(&mut code, registers, &[0, 1], 0)?,
            0x0f01 if code.bytes.get(code.at) == Some(&0xd1) => {
                code.at += 1;
                self.set_states(machine, registers)?;
            }
            0x0f01 => read_table(&mut code, registers, &[4], CR0)?,
            _ => return None,
        }
        registers.rip = registers.rip.wrapping_add(code.at as u64);
        self.log.emulated(opcode);
        Some(flow)
    }

    /// Carries out a `cpuid` that is marked as one for the hypervisor. Says whether there is one.
    pub(super) fn emulate_cpuid(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
    ) -> bool {
        let fetched = self.paging.fetch(machine, registers.rip);
        let is_marked = fetched.bytes().strip_prefix(&PREFIX).is_some_and(|rest| rest.starts_with(&CPUID));
        if is_marked {
            self.cpuid(machine, registers);
            registers.rip = registers.rip.wrapping_add((PREFIX.len() + CPUID.len()) as u64);
            self.log.emulated(0x0fa2);
        }
        is_marked
    }

    /// Bytes of the `int` with a number at an address; `None` if another instruction is there.
    pub(super) fn interrupt_length(&self, machine: &mut impl Machine, at: u64, number: u8) -> Option<u64> {
        let fetched = self.paging.fetch(machine, at);
        let mut code = Code::new(fetched.bytes());
        let is_it = code.opcode()? == 0xcd && code.byte()? == number;
        is_it.then_some(code.at as u64)
    }

    fn cpuid(&self, machine: &impl Machine, registers: &mut GuestRegisters) {
        let (leaf, subleaf) = (registers.rax as u32, registers.rcx as u32);
        let words = cpuid::shown(machine, self.cpu.xcr0, leaf, subleaf).map(u64::from);
        [registers.rax, registers.rbx, registers.rcx, registers.rdx] = words;
    }

    /// `mov` from a control register.
    fn read_control(&self, machine: &impl Machine, pair: Pair, registers: &mut GuestRegisters) -> Option<()> {
        let value = match pair.register {
            0 => CR0,
            2 => machine.load(self.channels.info(cloison_xen::shared::VcpuInfo::CR2))?,
            3 => u64::from(self.paging.kernel_root()) * cloison_abi::limits::PAGE_BYTES,
            4 => self.cpu.cr4,
            _ => return None,
        };
        words(registers)[usize::from(pair.general)] = value;
        Some(())
    }

    /// `mov` to a control register. Nothing changes but what the guest reads; pages have calls of their own.
    fn write_control(&mut self, pair: Pair, registers: &GuestRegisters) -> Option<()> {
        let words: &[u64; 20] = transmute_ref!(registers);
        match pair.register {
            0 => {}
            4 => self.cpu.cr4 = words[usize::from(pair.general)],
            _ => return None,
        }
        Some(())
    }

    /// `xsetbv`: the guest chooses among the states that all CPUs here save.
    fn set_states(&mut self, machine: &impl Machine, registers: &GuestRegisters) -> Option<()> {
        let states = registers.rdx << 32 | registers.rax & LOW;
        let is_right = registers.rcx as u32 == 0 && cpuid::are_states(machine, states);
        is_right.then(|| self.cpu.xcr0 = states)
    }

    fn read_msr(&self, machine: &impl Machine, registers: &mut GuestRegisters) -> Option<()> {
        let number = registers.rcx as u32;
        let value = msr::read(number, machine.ticks(), self.cpu.gs_user, registers);
        let value = value.or_else(|| self.is_early().then_some(0))?;
        (registers.rax, registers.rdx) = (value & LOW, value >> 32);
        Some(())
    }

    fn write_msr(&mut self, registers: &mut GuestRegisters) -> Option<()> {
        let value = registers.rdx << 32 | registers.rax & LOW;
        let number = registers.rcx as u32;
        let written = msr::write(number, value, &mut self.cpu.gs_user, registers);
        written.or_else(|| self.is_early().then_some(()))
    }

    /// Whether the guest could not deal with a trap yet.
    fn is_early(&self) -> bool {
        self.cpu.traps[usize::from(vector::GENERAL_PROTECTION)].handler.is_none()
    }
}

/// A read from a port: all ones, as where no device is.
fn read_port(registers: &mut GuestRegisters, port: u16, bytes: u32) {
    let value = if port == PORT_PIT_COUNTER_2 { 0 } else { LOW };
    registers.rax = match bytes {
        4 => value,
        _ => {
            let mask = LOW >> (32 - 8 * bytes);
            registers.rax & !mask | value & mask
        }
    };
}

/// `sldt`, `str`, `smsw` to a register: what they read is not the guest's, so it reads what Linux tells its programs.
fn read_table(code: &mut Code, registers: &mut GuestRegisters, which: &[u8], value: u64) -> Option<()> {
    let is_wide = code.rex & REX_WIDE != 0;
    let pair = code.pair()?;
    if !which.contains(&(pair.register & 7)) {
        return None;
    }
    let word = &mut words(registers)[usize::from(pair.general)];
    *word = match (code.is_short, is_wide) {
        (true, false) => *word & !0xffff | value & 0xffff,
        _ => value,
    };
    Some(())
}

/// The registers in the order of their numbers.
fn words(registers: &mut GuestRegisters) -> &mut [u64; 20] {
    transmute_mut!(registers)
}
