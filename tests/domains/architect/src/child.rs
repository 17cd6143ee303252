//! A child: a domain with a page of code that does one thing, tells what came of it in a page that the architect
//! sees, and faults, which ends its turn.
#![allow(unsafe_code, reason = "the child's program is a few instructions")]

use alloc::vec::Vec;
use core::{arch::global_asm, time::Duration};

use cloison_abi::{CallNumber, Fault, FaultKind, Rights, limits::IMAGE_ADDRESS};
use cloison_rt::time::after;
use cloison_sys::{
    Slot,
    build::{domain_map, domain_start, fault_read},
    wait, window,
};

use crate::{
    outcome::{Outcome, same},
    view::View,
};

/// Pages for a child's page tables.
pub const TABLE_PAGES: u64 = 8;
/// Where a child's code lies.
pub const CODE_ADDRESS: u64 = IMAGE_ADDRESS;
/// Where a child's page lies.
const PAGE_ADDRESS: u64 = CODE_ADDRESS + 0x1000;
/// The event that says that a child has faulted: the one that a configuration without a handler's bit names.
const FAULTED: u64 = 1;
/// The word of the page in which a child counts.
const COUNT: usize = 7;

/// Words of an entry of the page: seven registers that go in, two that come out.
const ENTRY: usize = 9;
/// Where the entries begin: behind their number.
const FIRST: usize = 1;

// `rdi` is the address of the page. Each piece ends in an instruction that faults.
global_asm!(
    ".globl child_calls",
    "child_calls:",
    "mov r12, [rdi]",
    "lea rbx, [rdi + 8]",
    "2: mov rax, [rbx]",
    "mov rdi, [rbx + 8]",
    "mov rsi, [rbx + 16]",
    "mov rdx, [rbx + 24]",
    "mov r10, [rbx + 32]",
    "mov r8, [rbx + 40]",
    "mov r9, [rbx + 48]",
    "syscall",
    "mov [rbx + 56], rax",
    "mov [rbx + 64], rdi",
    "add rbx, 72",
    "dec r12",
    "jnz 2b",
    "ud2",
    ".globl child_port",
    "child_port:",
    "mov rdx, [rdi]",
    "in al, dx",
    "ud2",
    ".globl child_count",
    "child_count: inc qword ptr [rdi + 56]",
    "jmp child_count",
    // Its stack's selector in all others.
    ".globl child_selectors",
    "child_selectors: mov eax, ss",
    "mov ds, eax",
    "mov es, eax",
    "mov fs, eax",
    "mov gs, eax",
    "ud2",
    ".globl child_end",
    "child_end:",
);

unsafe extern "C" {
    static child_calls: u8;
    static child_port: u8;
    static child_count: u8;
    static child_selectors: u8;
    static child_end: u8;
}

/// A call: number, slot, arguments.
pub type Call = (CallNumber, u8, [u64; 6]);

/// A child.
pub struct Child {
    /// The domain.
    pub domain: Slot,
    view: View,
}

impl Child {
    /// Fills a child's code and maps what it needs.
    pub fn new(domain: Slot, code: Slot, page: Slot, view: View) -> Outcome<Self> {
        let length = &raw const child_end as usize - &raw const child_calls as usize;
        // SAFETY: both labels lie in this program's text, the second behind the first.
        let program = unsafe { core::slice::from_raw_parts(&raw const child_calls, length) };
        window::write(code, 0, program)?;
        domain_map(domain, code, CODE_ADDRESS, 0, 1, Rights::READ | Rights::EXECUTE)?;
        domain_map(domain, page, PAGE_ADDRESS, 0, 1, Rights::READ | Rights::WRITE)?;
        Ok(Self { domain, view })
    }

    /// Has the child make a call. Returns the status and the first result.
    pub fn call(&self, call: CallNumber, slot: u8, arguments: [u64; 6]) -> Outcome<(i32, u64)> {
        Ok(self.calls(&[(call, slot, arguments)])?[0])
    }

    /// Has the child make calls in one life, one after the other. Returns the status and the first result of each.
    pub fn calls(&self, calls: &[Call]) -> Outcome<Vec<(i32, u64)>> {
        self.begin(calls)?;
        self.results(calls.len())
    }

    /// What came of calls that have begun, when all are made.
    pub fn results(&self, calls: usize) -> Outcome<Vec<(i32, u64)>> {
        self.fault()?;
        let results = (0..calls).map(|place| FIRST + ENTRY * place + 7);
        Ok(results.map(|word| (self.view.get(word) as i32, self.view.get(word + 1))).collect())
    }

    /// What came of one of the calls that have begun.
    pub fn answered(&self, place: usize) -> i32 {
        self.view.get(FIRST + ENTRY * place + 7) as i32
    }

    /// The first result of one of the calls that have begun.
    pub fn first_result(&self, place: usize) -> u64 {
        self.view.get(FIRST + ENTRY * place + 8)
    }

    /// Has the child make a call from which it does not come back.
    pub fn last_call(&self, call: CallNumber, slot: u8) -> Outcome {
        self.begin(&[(call, slot, [0; 6])])?;
        wait(FAULTED, after(Duration::from_millis(50)));
        Ok(())
    }

    /// Has the child begin to make calls.
    pub fn begin(&self, calls: &[Call]) -> Outcome {
        self.view.set(0, calls.len() as u64);
        for (place, (call, slot, arguments)) in calls.iter().enumerate() {
            let first = FIRST + ENTRY * place;
            self.view.set(first, *call as u64 | u64::from(*slot) << 8);
            (1..).zip(arguments).for_each(|(word, argument)| self.view.set(first + word, *argument));
        }
        self.start(&raw const child_calls)
    }

    /// Has the child read a port. Returns whether it could.
    pub fn reads(&self, port: u16) -> Outcome<bool> {
        self.view.set(0, port.into());
        self.start(&raw const child_port)?;
        Ok(self.fault()?.kind == FaultKind::InvalidInstruction)
    }

    /// Has the child load segment selectors.
    pub fn loads_selectors(&self) -> Outcome {
        self.start(&raw const child_selectors)?;
        same(self.fault()?.kind, FaultKind::InvalidInstruction)
    }

    /// Lets the child count, until it has begun.
    pub fn count(&self) -> Outcome {
        self.start(&raw const child_count)?;
        while self.counted() == 0 {
            wait(0, after(Duration::from_millis(1)));
        }
        Ok(())
    }

    /// How far it has counted.
    pub fn counted(&self) -> u64 {
        self.view.get(COUNT)
    }

    fn start(&self, piece: *const u8) -> Outcome {
        let offset = piece as u64 - (&raw const child_calls) as u64;
        Ok(domain_start(self.domain, CODE_ADDRESS + offset, CODE_ADDRESS, PAGE_ADDRESS)?)
    }

    fn fault(&self) -> Outcome<Fault> {
        wait(FAULTED, after(Duration::from_secs(20)));
        Ok(fault_read(self.domain)?)
    }
}

/// What this domain finds in the selectors DS, ES, FS and GS.
pub fn selectors() -> [u16; 4] {
    let (ds, es, fs, gs): (u16, u16, u16, u16);
    // SAFETY: reading a selector changes nothing.
    unsafe {
        core::arch::asm!(
            "mov {0:x}, ds", "mov {1:x}, es", "mov {2:x}, fs", "mov {3:x}, gs",
            out(reg) ds, out(reg) es, out(reg) fs, out(reg) gs,
            options(nomem, nostack, preserves_flags)
        );
    }
    [ds, es, fs, gs]
}
