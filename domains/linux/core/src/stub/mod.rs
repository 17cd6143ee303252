//! The stub: a few instructions in the guest's upper half, by which its system calls and their returns take the kernel of
//! the machine alone, without this domain ([`cloison_abi::guest::GuestSwitch`]).
//!
//! It lies in addresses that Xen keeps for itself, with a page of words before it, and before that the page with the virtual
//! CPU's information. What it does is what [`Guest::enter`] and [`Guest::iret`] do for a program; what is not as usual goes
//! the long way. It can be interrupted anywhere: on the way in events are held back until the guest asks for them; on the way
//! back the frame stays on the guest's stack, and the return is done here in its place.

use cloison_abi::guest::{GuestHalf, GuestRegisters};
use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::call;
use cloison_xen::memory::MACHINE_TO_PHYSICAL;

use crate::grants::TABLE_FRAMES;
use crate::guest::Guest;
use crate::machine::{Machine, Memory, Page, Shown, Space};
use crate::memory::page_of;

/// Where the guest sees its pages: the entry of a root after that of the table of frames.
pub const ADDRESS: u64 = MACHINE_TO_PHYSICAL + (1 << 39);
/// Pages there: the information on the CPU, the words, the code.
pub const PAGES: u32 = 3;
/// The shared page that is the one of words: the first after the table of grants.
pub const WORDS: u32 = 1 + TABLE_FRAMES;
/// The one of code.
pub const CODE: u32 = WORDS + 1;

/// Words beside those that the kernel knows: where the information lies, the stack for a call, and its handler.
const INFORMATION: u64 = 64;
const STACK: u64 = 72;
const HANDLER: u64 = 80;

/// The first byte of code, as the guest sees it.
const START: u64 = ADDRESS + 2 * PAGE_BYTES;
/// Where a return begins; behind which instruction it is done; the end.
const BACK: u64 = START + 0x40;
const SITE: u64 = START + 0xc7;
const END: u64 = START + CODE_BYTES.len() as u64;

/// The code. `[word]` is one of the page before.
pub const CODE_BYTES: [u8; 0xce] = *b"\
\x48\x8b\x0d\x39\xf0\xff\xff\
\xc6\x41\x01\x01\
\x48\x89\xe1\
\x48\x8b\x25\x33\xf0\xff\xff\
\x6a\x2b\
\x51\
\xff\x35\xea\xef\xff\xff\
\x6a\x33\
\xff\x35\xda\xef\xff\xff\
\xff\x35\xdc\xef\xff\xff\
\xff\x35\xce\xef\xff\xff\
\xff\x25\x18\xf0\xff\xff\
\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\
\x0f\xb7\x4c\x24\x28\
\x83\xf9\x33\
\x74\x08\
\x81\xf9\x33\xe0\x00\x00\
\x75\x75\
\x0f\xb7\x4c\x24\x40\
\x83\xc9\x03\
\x83\xf9\x2b\
\x74\x08\
\x81\xf9\x2b\xe0\x00\x00\
\x75\x60\
\x48\x8b\x4c\x24\x20\
\x48\x89\x0d\x8d\xef\xff\xff\
\x48\xc1\xe9\x2f\
\x75\x4e\
\x48\x8b\x4c\x24\x30\
\xf7\xc1\x00\x02\x00\x00\
\x74\x41\
\x48\x89\x0d\x7b\xef\xff\xff\
\x48\x8b\x4c\x24\x38\
\x48\x89\x0d\x77\xef\xff\xff\
\x48\x8b\x4c\x24\x10\
\x48\x89\x0d\x73\xef\xff\xff\
\x48\x8b\x4c\x24\x08\
\x48\x89\x0d\x6f\xef\xff\xff\
\x48\x8b\x0d\x88\xef\xff\xff\
\x80\x39\x00\
\x75\x0a\
\xc6\x41\x01\x00\
\x48\x8b\x04\x24\
\x0f\x05\
\xb8\x17\x00\x00\x80\
\x0f\x05";

/// Where the guest's kernel is in the stub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// On the way in from a program: its frame is not complete.
    In,
    /// On the way back: the frame is on the stack, and `rsp` points to it.
    Back,
}

/// Which way the guest's kernel goes, if its next instruction is in the stub.
pub fn way(rip: u64) -> Option<Way> {
    match rip {
        START..BACK => Some(Way::In),
        BACK..=END => Some(Way::Back),
        _ => None,
    }
}

/// The page of the stub at an address, if there is one.
pub fn shown(memory: &impl Memory, address: u64, information: u64) -> Option<Shown> {
    match address.checked_sub(ADDRESS)? / PAGE_BYTES {
        0 => Some(Shown { page: page_of(memory, information / PAGE_BYTES)?, write: true, execute: false }),
        1 => Some(Shown { page: Page::Shared(WORDS), write: true, execute: false }),
        2 => Some(Shown { page: Page::Shared(CODE), write: false, execute: true }),
        _ => None,
    }
}

impl Guest {
    /// Writes the stub, and lets the kernel lead there.
    pub(crate) fn begin_stub(&mut self, machine: &mut impl Machine) {
        let code = machine.shared_address() + u64::from(CODE) * PAGE_BYTES;
        self.has_stub = machine.write(code, &CODE_BYTES).is_some()
            && machine.lead(Page::Shared(WORDS), [START, BACK, SITE], call::IRET as u32);
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
            (INFORMATION, ADDRESS + information % PAGE_BYTES),
            (STACK, self.cpu.kernel_stack & !0xf),
            (HANDLER, self.cpu.syscall.map_or(0, |handler| handler.address)),
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
        way(registers.rip).filter(|_| self.is_in_kernel())
    }
}

#[cfg(test)]
mod tests;
