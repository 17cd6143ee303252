//! What a guest has of the stub: its words, and which half of the guest the kernel has switched to by itself.

use cloison_abi::guest::{GuestHalf, GuestRegisters};
use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::call;

use super::{Death, Flow, Guest};
use crate::machine::{Machine, Memory, Page, Space};
use crate::stub::{self, ADDRESS, CODE, CODE_BYTES, WORDS, Way};

/// Calls of the guest's kernel that lead into the stub.
const NUMBERS: u64 = 1 << call::IRET | 1 << call::MMU_UPDATE | 1 << call::STACK_SWITCH;

impl Guest {
    /// Writes the stub, and lets the kernel lead there.
    pub(super) fn begin_stub(&mut self, machine: &mut impl Machine) {
        let code = machine.shared_address() + u64::from(CODE) * PAGE_BYTES;
        self.has_stub = machine.write(code, &CODE_BYTES).is_some()
            && machine.lead(Page::Shared(WORDS), [stub::START, stub::CALLED, stub::SITE], NUMBERS);
        let bytes = u64::from(machine.pages()) * PAGE_BYTES;
        self.returns_long = true;
        for (word, value) in [(stub::BYTES, bytes), (stub::WINDOW, stub::MEMORY), (stub::LONG_RETURN, 1)] {
            let _ = machine.store(stub::word(machine, word), value);
        }
        self.tell_stub(machine);
    }

    /// Writes the words that the stub reads, and the guest can change.
    pub(crate) fn tell_stub(&mut self, machine: &mut impl Machine) {
        let information = self.channels.info(0);
        if self.paging.information != information {
            self.paging.information = information;
            machine.unmap(Space(0), ADDRESS, 1);
        }
        for (word, value) in [
            (stub::INFORMATION, ADDRESS + information % PAGE_BYTES),
            (stub::HANDLER, self.cpu.syscall.map_or(0, |handler| handler.address)),
        ] {
            let _ = machine.store(stub::word(machine, word), value);
        }
    }

    /// Top of the stack for what comes from user programs. The stub changes it, too.
    pub(crate) fn kernel_stack(&self, memory: &impl Memory) -> u64 {
        memory.load(stub::word(memory, stub::STACK)).unwrap_or(0)
    }

    /// Changes it.
    pub(crate) fn set_kernel_stack(&self, machine: &mut impl Machine, top: u64) {
        let _ = machine.store(stub::word(machine, stub::STACK), top & !0xf);
    }

    /// Counts as made what the stub has done since this was asked last.
    pub fn count_stub(&mut self, machine: &mut impl Machine) {
        for (word, number) in [(stub::STORES, call::MMU_UPDATE), (stub::STACKS, call::STACK_SWITCH)] {
            let at = stub::word(machine, word);
            let times = machine.load(at).unwrap_or(0);
            let _ = machine.store(at, 0);
            self.log.called_often(number, times);
            if number == call::MMU_UPDATE {
                // Each was a list of one.
                self.log.updated(times);
                self.paging.count_stored(times);
            }
        }
    }

    /// The guest came out: it can be in the other half by now.
    pub(crate) fn follow(&mut self, registers: &GuestRegisters) {
        if let Some(half) = GuestHalf::from_number(registers.half).filter(|_| self.switches) {
            self.paging.follow(half);
        }
    }

    /// The guest is about to go on: whether the kernel can switch its halves by itself. As long as its kernel runs, the stub
    /// says whether it goes to a program.
    pub(crate) fn let_switch(&mut self, machine: &mut impl Machine, registers: &mut GuestRegisters) {
        let half = self.paging.current().1;
        registers.half = half as u64;
        let masks = self.cpu.syscall.is_some_and(|handler| handler.masks);
        let is_even = masks && self.paging.is_even();
        let can_switch = self.has_stub && (is_even || half == GuestHalf::Both);
        // A call in place of the one instruction comes out.
        self.switches = can_switch && self.step.is_none();
        let returns_long = !is_even || self.paging.has_missed();
        if self.returns_long != returns_long {
            self.returns_long = returns_long;
            let _ = machine.store(stub::word(machine, stub::LONG_RETURN), returns_long.into());
        }
    }

    /// Which way the guest goes in the stub.
    pub(crate) fn way(&self, registers: &GuestRegisters) -> Option<Way> {
        stub::way(registers.rip).filter(|_| self.is_in_kernel())
    }

    /// Whether it is in a call there.
    pub(super) fn is_in_call(&self, registers: &GuestRegisters) -> bool {
        matches!(self.way(registers), Some(Way::Call | Way::Done))
    }

    /// Does what the guest has begun in the stub, but for a way in.
    pub(super) fn finish(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
        way: Way,
    ) -> Result<Flow, Death> {
        match way {
            Way::In => return Ok(Flow::Run),
            Way::Back => return self.iret(machine, registers),
            Way::Call | Way::Done => {}
        }
        registers.rip = machine.load(stub::word(machine, stub::CALLER)).unwrap_or(0);
        if way == Way::Done {
            registers.rax = 0;
            return Ok(Flow::Run);
        }
        registers.rax &= !stub::LONG_NUMBER;
        self.hypercall(machine, registers)
    }
}
