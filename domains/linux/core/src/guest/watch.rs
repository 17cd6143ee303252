//! Breakpoints of the debug registers, for the guest's programs.
//!
//! The CPU's own registers are not touched. The page that a breakpoint is about is not shown for what it is about. So the
//! guest faults; if it was a program that has reached for the place, that is noted, and the guest goes on for one
//! instruction with the page as it is. Then it is told of the breakpoint, as by a CPU (Intel SDM volume 3, section 18.2.4).

use cloison_abi::guest::{GUEST_LOW_END, GuestRegisters};
use cloison_abi::limits::PAGE_BYTES;

use super::trap::vector;
use super::{Exit, Guest};
use crate::cpu::{BREAKPOINTS, flag};
use crate::machine::Machine;
use crate::memory::{Access, Barred, WatchedPage};
use crate::saved::carried;

/// A breakpoint that is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Breakpoint {
    address: u64,
    length: u64,
    barred: Barred,
}

/// The guest goes on for one instruction with all that is watched open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// It has asked itself for a trap after each instruction.
    traps: bool,
    /// A program does, so breakpoints count.
    is_user: bool,
    /// Which breakpoints it has reached, as bits.
    hits: u64,
    /// What was where the breakpoints are.
    before: [u64; BREAKPOINTS],
}

carried!(Step { traps, is_user, hits, before });

impl Guest {
    /// The debug registers have changed.
    pub(crate) fn watch(&mut self, machine: &mut impl Machine) {
        let page = |breakpoint: Breakpoint| WatchedPage {
            address: breakpoint.address & !(PAGE_BYTES - 1),
            barred: breakpoint.barred,
        };
        let pages = self.breakpoints().map(|breakpoint| breakpoint.map(page));
        self.paging.watch(machine, pages);
        if self.step.is_some() {
            self.paging.open_watched();
        }
    }

    /// Those that are on, and about something that a program can reach: DR7 says what for, and how many bytes.
    fn breakpoints(&self) -> [Option<Breakpoint>; BREAKPOINTS] {
        let control = self.cpu.debug[7];
        core::array::from_fn(|number| {
            let kind = control >> (16 + 4 * number);
            let barred = match kind & 3 {
                0 => Barred::Execute,
                1 => Barred::Write,
                3 => Barred::All,
                _ => return None,
            };
            let length = [1, 2, 8, 4][(kind >> 2 & 3) as usize];
            let address = self.cpu.debug[number] & !(length - 1);
            let is_on = control >> (2 * number) & 3 != 0 && address < GUEST_LOW_END;
            is_on.then_some(Breakpoint { address, length, barred })
        })
    }

    /// A program is about to execute the instruction where a breakpoint is: it has to be told. It is told once, and can go
    /// on then.
    pub(super) fn breaks(&mut self, address: u64, access: Access, registers: &GuestRegisters) -> bool {
        let is_fetch = access.execute && access.user && self.paging.is_barred(address, access);
        if !is_fetch || self.step.is_some() || self.passed == registers.rip {
            return false;
        }
        let hits = self
            .hits(|breakpoint| breakpoint.barred == Barred::Execute && breakpoint.address == registers.rip);
        if hits != 0 {
            self.passed = registers.rip;
        }
        self.cpu.debug[6] |= hits;
        hits != 0
    }

    /// If the guest has reached for a page that is watched: lets it through for one instruction, and notes whether it was a
    /// program, and at a breakpoint.
    pub(super) fn let_through(&mut self, machine: &mut impl Machine, address: u64, access: Access) {
        if !self.paging.is_barred(address, access) {
            return;
        }
        let is_reached = |breakpoint: Breakpoint| {
            let counts = match breakpoint.barred {
                Barred::Execute => false,
                Barred::Write => access.write,
                Barred::All => !access.execute,
            };
            counts && address.wrapping_sub(breakpoint.address) < breakpoint.length
        };
        let hits = if access.user { self.hits(is_reached) } else { 0 };
        if let Some(step) = &mut self.step {
            step.hits |= hits;
            return;
        }
        let before = self.contents(machine);
        self.step = Some(Step { traps: false, is_user: access.user, hits, before });
        self.paging.open_watched();
    }

    /// The guest goes on. If that is for one instruction, it is to come out after it.
    pub(super) fn begin_step(&mut self, registers: &mut GuestRegisters) {
        if let Some(step) = &mut self.step {
            step.traps = registers.rflags & flag::TRAP != 0;
            registers.rflags |= flag::TRAP;
        }
    }

    /// The guest came out. If that was after its one instruction, returns whether there is nothing to tell it.
    pub(super) fn end_step(
        &mut self,
        machine: &mut impl Machine,
        exit: Exit,
        registers: &mut GuestRegisters,
    ) -> bool {
        let Some(step) = self.step else { return false };
        if !step.traps {
            registers.rflags &= !flag::TRAP;
        }
        match exit {
            // Something else that this instruction needs: what is open stays so.
            Exit::Trap { vector: vector::PAGE_FAULT, .. } => return false,
            Exit::Call if !step.traps => registers.r11 &= !flag::TRAP,
            _ => {}
        }
        if !matches!(exit, Exit::Trap { vector: vector::DEBUG, .. }) {
            self.give_up_step(machine);
            return false;
        }
        let hits = self.take_hits(machine);
        self.cpu.debug[6] |= hits;
        hits == 0 && !step.traps
    }

    /// The guest has executed an instruction. Returns which breakpoints it has reached, as bits, if it was let through for it.
    pub(super) fn take_hits(&mut self, machine: &mut impl Machine) -> u64 {
        self.passed = 0;
        let Some(step) = self.step.take() else { return 0 };
        let hits = if step.is_user { step.hits | self.changed(machine, step.before) } else { 0 };
        self.paging.close_watched(machine);
        hits
    }

    /// The guest is told of something else than what it was let through for: it reaches for it again later.
    pub(super) fn give_up_step(&mut self, machine: &mut impl Machine) {
        if self.step.take().is_some() {
            self.paging.close_watched(machine);
        }
    }

    /// Which breakpoints are so, as bits.
    fn hits(&self, is_so: impl Fn(Breakpoint) -> bool) -> u64 {
        let breakpoints = self.breakpoints().into_iter().enumerate();
        breakpoints
            .filter(|(_, breakpoint)| breakpoint.is_some_and(&is_so))
            .map(|(number, _)| 1 << number)
            .sum()
    }

    /// What is where the breakpoints are; 0 where nothing can be read.
    fn contents(&self, machine: &mut impl Machine) -> [u64; BREAKPOINTS] {
        self.breakpoints().map(|breakpoint| {
            let mut bytes = [0; 8];
            if let Some(Breakpoint { address, length, barred: Barred::Write | Barred::All }) = breakpoint {
                let _ = self.paging.read_virtual(machine, address, &mut bytes[..length as usize]);
            }
            u64::from_le_bytes(bytes)
        })
    }

    /// Behind which breakpoints something else is than before: an instruction can write there that has begun elsewhere.
    fn changed(&self, machine: &mut impl Machine, before: [u64; BREAKPOINTS]) -> u64 {
        let pairs = self.contents(machine).into_iter().zip(before).enumerate();
        pairs.filter(|(_, (now, before))| now != before).map(|(number, _)| 1 << number).sum()
    }
}
