//! What a guest did: how often what, and its last exits. A death is explained by them.

use core::fmt;

use cloison_abi::guest::{GuestHalf, GuestRegisters};
use cloison_xen::call;

use super::Exit;

/// Exits that are kept.
const LAST: usize = 16;
/// Traps that a CPU raises.
const TRAPS: usize = 32;

/// An exit, and where the guest was.
#[derive(Clone, Copy, Debug)]
struct Record {
    exit: Exit,
    in_kernel: bool,
    rip: u64,
    rsp: u64,
    /// The number of a call, and its first argument.
    rax: u64,
    rdi: u64,
}

/// All that is kept.
pub struct Log {
    last: [Record; LAST],
    exits: u64,
    /// Hypercalls by number; the last is for numbers that there are none of.
    calls: [u32; call::NUMBERS + 1],
    /// System calls.
    system_calls: u32,
    traps: [u32; TRAPS],
    reflected: [u32; TRAPS],
    /// Instructions that were carried out: `cpuid`, `rdmsr`, `wrmsr`, ports, `cli` and `sti`, others.
    emulated: [u32; EMULATED.len()],
}

const EMULATED: [&str; 6] = ["cpuid", "rdmsr", "wrmsr", "ports", "cli/sti", "others"];

impl Log {
    pub(super) const fn new() -> Self {
        const NONE: Record = Record { exit: Exit::Pause, in_kernel: true, rip: 0, rsp: 0, rax: 0, rdi: 0 };
        Self {
            last: [NONE; LAST],
            exits: 0,
            calls: [0; call::NUMBERS + 1],
            system_calls: 0,
            traps: [0; TRAPS],
            reflected: [0; TRAPS],
            emulated: [0; EMULATED.len()],
        }
    }

    /// Notes an exit.
    pub(super) fn note(&mut self, exit: Exit, registers: &GuestRegisters, half: GuestHalf) {
        let in_kernel = half == GuestHalf::Both;
        let GuestRegisters { rip, rsp, rax, rdi, .. } = *registers;
        self.last[(self.exits % LAST as u64) as usize] = Record { exit, in_kernel, rip, rsp, rax, rdi };
        self.exits += 1;
        match exit {
            Exit::Call if !in_kernel => count(&mut self.system_calls),
            Exit::Trap { vector, .. } => count(&mut self.traps[usize::from(vector) % TRAPS]),
            Exit::Call | Exit::Pause => {}
        }
    }

    /// Notes a hypercall.
    pub(crate) fn called(&mut self, number: u64) {
        let number = usize::try_from(number).unwrap_or(usize::MAX).min(call::NUMBERS);
        count(&mut self.calls[number]);
    }

    /// Notes a trap that the guest has to deal with.
    pub(super) fn reflected(&mut self, vector: u8) {
        count(&mut self.reflected[usize::from(vector) % TRAPS]);
    }

    /// Notes an instruction that was carried out.
    pub(super) fn emulated(&mut self, opcode: u16) {
        let kind = match opcode {
            0x0fa2 => 0,
            0x0f32 => 1,
            0x0f30 => 2,
            0xe4..=0xe7 | 0xec..=0xef => 3,
            0xfa | 0xfb => 4,
            _ => 5,
        };
        count(&mut self.emulated[kind]);
    }

    /// How often a hypercall was made, alone or as one of several.
    #[must_use]
    pub fn calls(&self, number: u64) -> u32 {
        usize::try_from(number).ok().and_then(|number| self.calls.get(number)).copied().unwrap_or(0)
    }

    /// How often the guest came out.
    #[must_use]
    pub fn exits(&self) -> u64 {
        self.exits
    }
}

fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

impl fmt::Display for Log {
    /// Counters first, then the last exits, the latest at the end: a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} exits, {} system calls\nhypercalls:", self.exits, self.system_calls)?;
        for (number, times) in (0..).zip(self.calls).filter(|(_, times)| *times > 0) {
            match call::name(number) {
                "" => write!(f, " {number}: {times}")?,
                name => write!(f, " {name}: {times}")?,
            }
        }
        f.write_str("\ntraps, and of them the guest's own affair:")?;
        for (number, (times, reflected)) in self.traps.iter().zip(self.reflected).enumerate() {
            if times + reflected > 0 {
                write!(f, " {number}: {times} {reflected}")?;
            }
        }
        f.write_str("\ninstructions carried out:")?;
        for (name, times) in EMULATED.iter().zip(self.emulated).filter(|(_, times)| *times > 0) {
            write!(f, " {name}: {times}")?;
        }
        writeln!(f)?;
        for exit in self.exits.saturating_sub(LAST as u64)..self.exits {
            writeln!(f, "{} {}", exit, self.last[(exit % LAST as u64) as usize])?;
        }
        Ok(())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rip, rsp, rax, rdi, .. } = self;
        let who = if self.in_kernel { "kernel" } else { "user" };
        write!(f, "{who} at {rip:#x}, stack {rsp:#x}: ")?;
        match self.exit {
            Exit::Pause => f.write_str("pause"),
            Exit::Call if self.in_kernel => write!(f, "hypercall {rax} {} {rdi:#x}", call::name(*rax)),
            Exit::Call => write!(f, "system call {rax}"),
            Exit::Trap { vector, code, address } => {
                write!(f, "trap {vector}, code {code:#x}, address {address:#x}")
            }
        }
    }
}
