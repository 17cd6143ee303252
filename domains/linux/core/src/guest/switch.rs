//! What a guest has of the stub: its words, and which half of the guest the kernel has switched to by itself.

use cloison_abi::guest::{GuestHalf, GuestRegisters};
use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::call;

use super::Guest;
use crate::machine::{Machine, Page, Space};
use crate::stub::{self, ADDRESS, CODE, CODE_BYTES, WORDS, Way};

impl Guest {
    /// Writes the stub, and lets the kernel lead there.
    pub(super) fn begin_stub(&mut self, machine: &mut impl Machine) {
        let code = machine.shared_address() + u64::from(CODE) * PAGE_BYTES;
        self.has_stub = machine.write(code, &CODE_BYTES).is_some()
            && machine.lead(Page::Shared(WORDS), [stub::START, stub::BACK, stub::SITE], call::IRET as u32);
        self.tell_stub(machine);
    }

    /// Writes the words that the stub reads.
    pub(crate) fn tell_stub(&mut self, machine: &mut impl Machine) {
        if !self.has_stub {
            return;
        }
        let words = machine.shared_address() + u64::from(WORDS) * PAGE_BYTES;
        let information = self.channels.info(0);
        if self.paging.information != information {
            self.paging.information = information;
            machine.unmap(Space(0), ADDRESS, 1);
        }
        for (word, value) in [
            (stub::INFORMATION, ADDRESS + information % PAGE_BYTES),
            (stub::STACK, self.cpu.kernel_stack & !0xf),
            (stub::HANDLER, self.cpu.syscall.map_or(0, |handler| handler.address)),
        ] {
            let _ = machine.store(words + word, value);
        }
    }

    /// The guest came out: it can be in the other half by now.
    pub(crate) fn follow(&mut self, registers: &GuestRegisters) {
        if let Some(half) = GuestHalf::from_number(registers.half).filter(|_| self.switches) {
            self.paging.follow(half);
        }
    }

    /// The guest is about to go on: whether the kernel can switch its halves by itself.
    pub(crate) fn let_switch(&mut self, registers: &mut GuestRegisters) {
        registers.half = self.paging.current().1 as u64;
        let masks = self.cpu.syscall.is_some_and(|handler| handler.masks);
        self.switches = self.has_stub && masks && self.paging.is_even();
    }

    /// Which way the guest goes in the stub.
    pub(crate) fn way(&self, registers: &GuestRegisters) -> Option<Way> {
        stub::way(registers.rip).filter(|_| self.is_in_kernel())
    }
}
