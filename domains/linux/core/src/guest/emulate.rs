//! Instructions that take a privilege which the guest's kernel has not: those that Linux executes are carried out here,
//! all others are its own affair (Intel SDM, volume 2).

use cloison_abi::guest::GuestRegisters;
use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::cpuid::PREFIX;
use cloison_xen::shared::VcpuInfo;

use super::trap::vector;
use super::{Flow, Guest};
use crate::cpu::CR0;
use crate::decode::{Decoder, Operands, Place, Register};
use crate::machine::Machine;
use crate::{cpuid, msr};

/// Port of the timer chip's second counter. Linux waits for it to change from all ones.
const PORT_PIT_COUNTER_2: u16 = 0x42;
/// The low four bytes of a register.
const LOW: u64 = 0xffff_ffff;
/// `cpuid`.
const CPUID: [u8; 2] = [0x0f, 0xa2];
/// Bytes that the instructions store which read the place of a table of descriptors.
const TABLE_BYTES: usize = 10;

impl Guest {
    /// Carries out an instruction of the guest's kernel, if it is one of those known here.
    pub(super) fn emulate(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
    ) -> Option<Flow> {
        let fetched = self.paging.fetch(machine, registers.rip);
        let mut code = Decoder::new(fetched.bytes(), registers);
        let opcode = code.opcode()?;
        let mut flow = Flow::Run;
        match opcode {
            // in, by number and by register; out alike: nobody is there.
            0xe4 | 0xe5 => read_port(registers, code.byte()?.into(), code.size(opcode)),
            0xec | 0xed => read_port(registers, registers.rdx as u16, code.size(opcode)),
            0xe6 | 0xe7 => {
                code.byte()?;
            }
            // out; cli, sti: Linux masks events by a byte, and has been told that these do no harm.
            0xee | 0xef | 0xfa | 0xfb => {}
            0xf4 => flow = Flow::Block,
            // clts, invd, wbinvd: the state that they are about is not the guest's.
            0x0f06 | 0x0f08 | 0x0f09 => {}
            0x0f00 | 0x0f01 => self.system_table(machine, &mut code, opcode, registers)?,
            0x0f20 | 0x0f22 => {
                let operands = code.operands(registers)?;
                let Place::Register(number) = operands.place else { return None };
                let general = code.register(number, 8);
                match opcode {
                    0x0f20 => general.set(registers, 8, self.control(machine, operands.register)?),
                    _ => self.set_control(operands.register, general.get(registers, 8))?,
                }
            }
            0x0f30 => self.write_msr(registers)?,
            0x0f32 => self.read_msr(machine, registers)?,
            0x0fa2 => self.cpuid(machine, registers),
            _ => return None,
        }
        registers.rip = registers.rip.wrapping_add(code.length().into());
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

    /// The number and the bytes of the `int` at an address; `None` if another instruction is there.
    pub(super) fn interrupt_at(&self, machine: &mut impl Machine, at: u64) -> Option<(u8, u64)> {
        let fetched = self.paging.fetch(machine, at);
        let mut code = Decoder::new(fetched.bytes(), &GuestRegisters::default());
        if code.opcode()? != 0xcd {
            return None;
        }
        let number = code.byte()?;
        Some((number, code.length().into()))
    }

    fn cpuid(&self, machine: &impl Machine, registers: &mut GuestRegisters) {
        let (leaf, subleaf) = (registers.rax as u32, registers.rcx as u32);
        let words = cpuid::shown(machine, self.cpu.xcr0, leaf, subleaf).map(u64::from);
        [registers.rax, registers.rbx, registers.rcx, registers.rdx] = words;
    }

    /// What a control register holds.
    fn control(&self, machine: &impl Machine, number: u8) -> Option<u64> {
        match number {
            0 => Some(CR0),
            2 => machine.load(self.channels.info(VcpuInfo::CR2)),
            3 => Some(u64::from(self.paging.kernel_root()) * PAGE_BYTES),
            4 => Some(self.cpu.cr4),
            _ => None,
        }
    }

    /// Writes a control register. Nothing changes but what the guest reads; pages have calls of their own.
    fn set_control(&mut self, number: u8, value: u64) -> Option<()> {
        match number {
            0 => {}
            4 => self.cpu.cr4 = value,
            _ => return None,
        }
        Some(())
    }

    /// Instructions about the CPU's tables. What those hold is not the guest's, so it reads what Linux tells its
    /// programs: tables at 0, no selectors. Linux looks at them when it explains a fault of its own.
    fn system_table(
        &mut self,
        machine: &mut impl Machine,
        code: &mut Decoder,
        opcode: u16,
        registers: &mut GuestRegisters,
    ) -> Option<()> {
        let Operands { register, place } = code.operands(registers)?;
        let stored = match (opcode, register & 7, place) {
            (0x0f01, 2, Place::Register(1)) => return self.set_states(machine, registers),
            (0x0f01, 0 | 1, _) => {
                let at = code.address(place, registers)?;
                return self.paging.write_virtual(machine, at, &[0; TABLE_BYTES]).ok();
            }
            (0x0f00, 0 | 1, _) => 0,
            (0x0f01, 4, _) => CR0,
            _ => return None,
        };
        match place {
            Place::Register(number) => {
                let size = code.size(1);
                code.register(number, size).set(registers, size, stored);
                Some(())
            }
            _ => {
                let at = code.address(place, registers)?;
                self.paging.write_virtual(machine, at, &(stored as u16).to_le_bytes()).ok()
            }
        }
    }

    /// `xsetbv`: the guest chooses among the states that all CPUs here save.
    fn set_states(&mut self, machine: &impl Machine, registers: &GuestRegisters) -> Option<()> {
        let states = registers.rdx << 32 | registers.rax & LOW;
        let is_right = registers.rcx as u32 == 0 && cpuid::are_states(machine, states);
        is_right.then(|| self.cpu.xcr0 = states)
    }

    fn read_msr(&self, machine: &impl Machine, registers: &mut GuestRegisters) -> Option<()> {
        let number = registers.rcx as u32;
        let value = msr::read(number, machine.ticks(), registers);
        let value = value.or_else(|| self.is_early().then_some(0))?;
        (registers.rax, registers.rdx) = (value & LOW, value >> 32);
        Some(())
    }

    fn write_msr(&mut self, registers: &mut GuestRegisters) -> Option<()> {
        let value = registers.rdx << 32 | registers.rax & LOW;
        let number = registers.rcx as u32;
        let written = msr::write(number, value, registers);
        written.or_else(|| self.is_early().then_some(()))
    }

    /// Whether the guest could not deal with a trap yet.
    fn is_early(&self) -> bool {
        self.cpu.traps[usize::from(vector::GENERAL_PROTECTION)].handler.is_none()
    }
}

/// A read from a port: all ones, as where no device is.
fn read_port(registers: &mut GuestRegisters, port: u16, size: u8) {
    let value = if port == PORT_PIT_COUNTER_2 { 0 } else { LOW };
    // There are no reads of eight bytes, whatever the prefixes say.
    Register::ACCUMULATOR.set(registers, size.min(4), value);
}
