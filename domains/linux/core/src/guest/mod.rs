//! A guest: its virtual CPU, its page tables, its devices.
//!
//! The place where it runs enters it where [`Guest::place`] says, waits until it comes out, asks [`Guest::step`] what
//! comes next, and so on.

mod device;
mod emulate;
mod log;
mod native;
mod save;
mod switch;
mod trap;
mod turn;
mod watch;

#[cfg(test)]
mod tests;

use cloison_abi::guest::{GuestHalf, GuestRegisters};
use cloison_xen::event::VIRQ_TIMER;

pub use log::Log;
pub use save::{NoVectors, Vectors};
pub use turn::{Death, Exit, Next, Shutdown};

use crate::boot::{CONSOLE_PORT, Start};
use crate::console::Console;
use crate::cpu::Cpu;
use crate::cpuid;
use crate::devices::Devices;
use crate::events::Channels;
use crate::machine::{Machine, NoRoom, Space};
use crate::memory::{Paging, is_canonical};
use crate::stub::Way;
use crate::time::Clock;
use crate::tis::Tis;
use cloison_abi::limits::PAGE_BYTES;
use trap::vector;
use watch::Step;

/// Bytes of `syscall`.
pub(crate) const SYSCALL_BYTES: u64 = 2;

/// A guest.
pub struct Guest {
    pub(crate) paging: Paging,
    pub(crate) cpu: Cpu,
    pub(crate) channels: Channels,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
    console: Console,
    devices: Devices,
    /// The kernel knows how to switch its halves.
    pub(crate) has_stub: bool,
    /// It may, from where the guest goes on.
    pub(crate) switches: bool,
    /// The stub has been told to take the long way back.
    returns_long: bool,
    tis: Tis,
    /// It goes on for one instruction, because of a breakpoint.
    step: Option<Step>,
    /// The address of the instruction at which it was told of a breakpoint; 0 once it has executed another.
    passed: u64,
}

/// What the guest does after an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It runs on.
    Run,
    /// It waits for an event.
    Block,
    /// It ends.
    End(Shutdown),
}

impl Guest {
    /// A guest that has not begun.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            paging: Paging::new(),
            cpu: Cpu::new(),
            channels: Channels::new(),
            clock: Clock::new(),
            log: Log::new(),
            console: Console::new(0),
            devices: Devices::new(),
            has_stub: false,
            switches: false,
            returns_long: false,
            tis: Tis::new(),
            step: None,
            passed: 0,
        }
    }

    /// Begins with what [`build`](crate::boot::build) put into its memory; returns the first registers.
    ///
    /// # Errors
    /// [`NoRoom`] for the first space.
    pub fn start(&mut self, machine: &mut impl Machine, start: &Start) -> Result<GuestRegisters, NoRoom> {
        // Part by part: the whole is too large for a stack.
        self.paging.start(machine, start.root)?;
        self.cpu = Cpu::new();
        self.log = Log::new();
        self.channels.start(machine);
        self.clock.start(machine, self.channels.time());
        self.console = Console::new(u64::from(start.console) * PAGE_BYTES);
        self.devices.start(machine, start);
        self.tis.reset(machine);
        self.cpu.xcr0 = cpuid::states(machine);
        self.cpu.cr4 |= cpuid::cr4(machine);
        (self.step, self.passed) = (None, 0);
        self.switches = false;
        self.set_kernel_stack(machine, 0);
        self.begin_stub(machine);
        Ok(start.registers)
    }

    /// Where it is to be entered.
    #[must_use]
    pub fn place(&self) -> (Space, GuestHalf) {
        self.paging.current()
    }

    /// Whether the kernel may switch its halves meanwhile.
    #[must_use]
    pub fn switches(&self) -> bool {
        self.switches
    }

    /// Its page tables.
    #[must_use]
    pub fn paging(&self) -> &Paging {
        &self.paging
    }

    /// What it did so far.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The guest came out: what comes next.
    pub fn step(&mut self, machine: &mut impl Machine, exit: Exit, registers: &mut GuestRegisters) -> Next {
        self.follow(registers);
        self.log.note(exit, registers, self.paging.current().1);
        let flow = match exit {
            _ if self.end_step(machine, exit, registers) => Ok(Flow::Run),
            Exit::Pause => Ok(Flow::Run),
            Exit::Call if self.way(registers).is_some() => Ok(Flow::Run),
            // A call that cannot be made in the stub is made here, and so refused.
            Exit::Trap { vector, .. } if vector != vector::PAGE_FAULT && self.is_in_call(registers) => {
                Ok(Flow::Run)
            }
            Exit::Call if self.is_in_kernel() => self.hypercall(machine, registers),
            Exit::Call => self.system_call(machine, registers),
            Exit::Trap { vector, code, address } => self.trap(machine, vector, code, address, registers),
        };
        match flow.and_then(|flow| self.go_on(machine, flow, exit == Exit::Pause, registers)) {
            Ok(next) => next,
            Err(death) => Next::Dead(death),
        }
    }

    /// Gives the guest what was typed at its console, as far as there is room. Returns how many bytes it was.
    pub fn input(&mut self, machine: &mut impl Machine, typed: &[u8]) -> usize {
        let taken = self.console.fill(machine, typed);
        if taken > 0 {
            self.channels.raise(machine, CONSOLE_PORT);
        }
        taken
    }

    /// Asks the guest to switch itself off, as a button would: it does so when it likes, or not at all.
    ///
    /// # Errors
    /// [`Death::Store`]
    pub fn ask_to_end(&mut self, machine: &mut impl Machine) -> Result<(), Death> {
        self.devices.ask_to_end(machine, &self.channels).map_err(Death::Store)
    }

    /// The guest has stood still for some ticks of the counter. Its clock has, too: all goes on as if no time had passed.
    pub fn stood_still(&mut self, machine: &mut impl Machine, ticks: u64) {
        self.clock.stand_still(machine, &self.paging, self.channels.time(), ticks);
    }

    pub(crate) fn is_in_kernel(&self) -> bool {
        self.paging.current().1 == GuestHalf::Both
    }

    /// Serves the devices and delivers what is due.
    fn go_on(
        &mut self,
        machine: &mut impl Machine,
        flow: Flow,
        is_pause: bool,
        registers: &mut GuestRegisters,
    ) -> Result<Next, Death> {
        let way = self.way(registers);
        let flow = match way {
            Some(way) if flow == Flow::Run => self.finish(machine, registers, way)?,
            _ => flow,
        };
        self.serve(machine, is_pause)?;
        match flow {
            Flow::Run => {}
            Flow::Block => self.cpu.is_blocked = true,
            Flow::End(shutdown) => return Ok(Next::End(shutdown)),
        }
        let is_due = self.channels.is_due(machine);
        if self.cpu.is_blocked && !is_due {
            return Ok(Next::Wait { until: self.clock.deadline() });
        }
        self.cpu.is_blocked = false;
        if !is_canonical(registers.rip) {
            // The guest jumped there, and came out before its CPU noticed.
            self.reflect(machine, registers, vector::GENERAL_PROTECTION, Some(0))?;
        }
        // On the way in, events are held back before anything else is done; the guest asks for them when it is in.
        if is_due
            && way != Some(Way::In)
            && let Some(handler) = self.cpu.event
        {
            // It goes on at its instruction only after the handler. It might not come out of a step before it is told.
            self.give_up_step(machine);
            self.enter(machine, registers, trap::Entry::to(handler))?;
        }
        self.begin_step(registers);
        self.let_switch(machine, registers);
        Ok(Next::Go { deadline: self.clock.deadline() })
    }

    fn serve(&mut self, machine: &mut impl Machine, is_pause: bool) -> Result<(), Death> {
        if self.clock.rings(machine.ticks())
            && let Some(port) = self.channels.port_of_virq(VIRQ_TIMER)
        {
            self.channels.raise(machine, port);
        }
        if self.channels.take_raised(CONSOLE_PORT) && self.console.drain(machine) {
            self.channels.raise(machine, CONSOLE_PORT);
        }
        self.devices.serve(machine, &mut self.channels, is_pause).map_err(Death::Store)
    }
}

impl Default for Guest {
    fn default() -> Self {
        Self::new()
    }
}
