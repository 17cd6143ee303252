//! What a guest did: how often what, and its last exits. A death is explained by them.

use core::fmt::{self, Write};

use cloison_abi::guest::{GuestHalf, GuestRegisters};
use cloison_xen::call;
use heapless::String;

use super::Exit;

/// Exits that are kept.
const LAST: usize = 16;
/// What a line of counters says. With what stands before it, it fits into a line of the system's log.
type Line = String<80>;
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
    /// Entries of page tables that the guest has asked for in lists (`mmu_update`).
    updates: u64,
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
            updates: 0,
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
        self.called_often(number, 1);
    }

    /// Notes hypercalls of a number.
    pub(super) fn called_often(&mut self, number: u64, times: u64) {
        let number = usize::try_from(number).unwrap_or(usize::MAX).min(call::NUMBERS);
        self.calls[number] = self.calls[number].saturating_add(u32::try_from(times).unwrap_or(u32::MAX));
    }

    /// Notes entries of a list that were looked at.
    pub(crate) fn updated(&mut self, entries: u64) {
        self.updates = self.updates.saturating_add(entries);
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

impl Log {
    /// Tells it line by line: counters first, then the last exits, the latest at the end.
    pub fn report(&self, mut line: impl FnMut(fmt::Arguments<'_>)) {
        line(format_args!("{} exits, {} system calls", self.exits, self.system_calls));
        let calls = (0..).zip(self.calls).filter(|(_, times)| *times > 0);
        table(&mut line, "hypercalls", calls, |text, (number, times)| match call::name(number) {
            "" if number == call::NUMBERS as u64 => write!(text, " others: {times}"),
            "" => write!(text, " {number}: {times}"),
            name => write!(text, " {name}: {times}"),
        });
        let lists = u64::from(self.calls(call::MMU_UPDATE));
        let tenths = self.updates.saturating_mul(10).checked_div(lists).unwrap_or(0);
        let (whole, tenth) = (tenths / 10, tenths % 10);
        line(format_args!(
            "{} updates in {lists} lists of mmu_update, {whole}.{tenth} in each",
            self.updates
        ));
        let traps = self.traps.iter().zip(self.reflected).enumerate();
        let traps = traps.filter(|(_, (times, reflected))| **times > 0 || *reflected > 0);
        table(&mut line, "traps/left to the guest", traps, |text, (number, (times, reflected))| {
            write!(text, " {number}: {times}/{reflected}")
        });
        let emulated = EMULATED.iter().zip(self.emulated).filter(|(_, times)| *times > 0);
        table(&mut line, "instructions carried out", emulated, |text, (name, times)| {
            write!(text, " {name}: {times}")
        });
        for exit in self.exits.saturating_sub(LAST as u64)..self.exits {
            line(format_args!("{exit} {}", self.last[(exit % LAST as u64) as usize]));
        }
    }
}

/// Tells items in lines of some length, each with the same beginning. An item that no line has room for is not told.
fn table<T: Copy>(
    line: &mut impl FnMut(fmt::Arguments<'_>),
    name: &str,
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut Line, T) -> fmt::Result,
) {
    let mut text = Line::new();
    for item in items {
        let length = text.len();
        if write(&mut text, item).is_err() {
            text.truncate(length);
            line(format_args!("{name}:{text}"));
            text.clear();
            if write(&mut text, item).is_err() {
                text.clear();
            }
        }
    }
    if !text.is_empty() {
        line(format_args!("{name}:{text}"));
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.report(|line| result = result.and_then(|()| writeln!(f, "{line}")));
        result
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
