//! Hypercalls: what the guest's kernel asks for by `syscall`.
//!
//! A list is done in steps, so that no call takes long: when a step's share is used up, the arguments say what is left
//! and the guest makes the call once more. What is read from the guest's memory is read once.

mod channel;
mod cpu;
mod grant;
mod list;
mod sched;
mod system;
mod vcpu;

use cloison_abi::guest::GuestRegisters;
use cloison_xen::{Errno, call};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::guest::{Death, Flow, Guest, SYSCALL_BYTES};
use crate::machine::Machine;

#[cfg(test)]
mod tests;

/// Entries of lists that are done in one step.
pub const STEP_ENTRIES: usize = 64;

/// Arguments of a hypercall. What is left of a list is put here as well.
type Arguments = [u64; 6];

/// What came of a hypercall, unless it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It is done; this is the answer.
    Done(u64),
    /// A step of it is done; the arguments say what is left.
    Step,
}

impl From<()> for Progress {
    fn from((): ()) -> Self {
        Self::Done(0)
    }
}

type Answer = Result<Progress, Errno>;

/// What is left of a step's share.
struct Share(usize);

impl Share {
    const fn new() -> Self {
        Self(STEP_ENTRIES)
    }

    /// Takes one entry's part; says whether there was one.
    fn take(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

impl Guest {
    /// The guest's kernel executed `syscall`.
    pub(crate) fn hypercall(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
    ) -> Result<Flow, Death> {
        let number = registers.rax;
        self.log.called(number);
        let mut arguments = arguments(registers);
        let mut share = Share::new();
        let answer = match number {
            call::IRET => return self.iret(machine, registers),
            call::SCHED_OP => {
                let flow = self.sched_op(machine, arguments);
                registers.rax = flow.err().map_or(0, Errno::answer);
                return Ok(flow.unwrap_or(Flow::Run));
            }
            call::MULTICALL => self.multicall(machine, &mut arguments, &mut share, registers),
            _ => self.call(machine, number, &mut arguments, &mut share, registers),
        };
        match answer {
            Ok(Progress::Done(answer)) => registers.rax = answer,
            Ok(Progress::Step) => make_again(registers, arguments),
            Err(error) => registers.rax = error.answer(),
        }
        Ok(Flow::Run)
    }

    /// A hypercall that can be one of several.
    fn call(
        &mut self,
        machine: &mut impl Machine,
        number: u64,
        a: &mut Arguments,
        share: &mut Share,
        registers: &mut GuestRegisters,
    ) -> Answer {
        let done = match number {
            call::MMU_UPDATE => return self.mmu_update(machine, a, share),
            call::MMUEXT_OP => return self.mmuext_op(machine, a, share),
            call::SET_TRAP_TABLE => return self.set_trap_table(machine, a, share),
            call::CONSOLE_IO => return self.console_io(machine, a, share),
            call::GRANT_TABLE_OP => return self.grant_table_op(machine, a, share),
            call::GET_DEBUGREG => return self.get_debugreg(a[0]).map(Progress::Done),
            call::XEN_VERSION => return self.xen_version(machine, a[0], a[1]).map(Progress::Done),
            call::VCPU_OP => return self.vcpu_op(machine, a[0], a[1], a[2]).map(Progress::Done),
            call::UPDATE_VA_MAPPING => self.paging.update_va_mapping(machine, a[0], a[1], a[2]),
            call::SET_GDT => self.set_gdt(machine, a[0], a[1]),
            call::STACK_SWITCH => self.stack_switch(machine, a[1]),
            // Vector registers are always those of the program that runs.
            call::FPU_TASKSWITCH => Ok(()),
            call::SET_DEBUGREG => self.set_debugreg(machine, a[0], a[1]),
            call::UPDATE_DESCRIPTOR => self.update_descriptor(machine, a[0], a[1]),
            call::SET_SEGMENT_BASE => self.set_segment_base(machine, a[0], a[1], registers),
            call::CALLBACK_OP => self.callback_op(machine, a[0], a[1]),
            call::MEMORY_OP => self.memory_op(machine, a[0], a[1]),
            call::VM_ASSIST => system::vm_assist(a[0], a[1]),
            call::EVENT_CHANNEL_OP => self.event_channel_op(machine, a[0], a[1]),
            call::PHYSDEV_OP => system::physdev_op(a[0]),
            _ => Err(Errno::NotOffered),
        };
        done.map(Progress::from)
    }

    /// Reads an argument that lies in memory.
    fn get<T: FromBytes + IntoBytes>(&self, machine: &mut impl Machine, at: u64) -> Result<T, Errno> {
        self.paging.read_value(machine, at).map_err(|_| Errno::BadAddress)
    }

    /// Writes an answer into memory.
    fn put<T: IntoBytes + Immutable>(
        &self,
        machine: &mut impl Machine,
        at: u64,
        value: &T,
    ) -> Result<(), Errno> {
        self.paging.write_value(machine, at, value).map_err(|_| Errno::BadAddress)
    }
}

fn arguments(registers: &GuestRegisters) -> Arguments {
    [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9]
}

/// Lets the guest make the call once more, for what is left.
fn make_again(registers: &mut GuestRegisters, arguments: Arguments) {
    [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] = arguments;
    registers.rip = registers.rip.wrapping_sub(SYSCALL_BYTES);
}
