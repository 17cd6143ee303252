//! The ways into the guest's kernel, and back: frames on its stack.
//!
//! The kernel runs in ring 3 like the user programs. What it finds in the frame says who was interrupted: a kernel's
//! code selector has the privilege 0.

use core::mem::swap;

use cloison_abi::guest::GuestRegisters;
use cloison_xen::cpu::{ReturnFrame, USER_CODE, USER_CODE_OF_XEN, USER_DATA, USER_DATA_OF_XEN};
use zerocopy::IntoBytes;

use super::{Death, Flow, Guest};
use crate::cpu::{Handler, flag};
use crate::machine::Machine;
use crate::memory::{Access, Fault, code, is_canonical};
use crate::stub::Way;
use cloison_xen::shared::VcpuInfo;

/// Numbers of traps.
pub mod vector {
    /// A single step, or a breakpoint of the debug registers.
    pub const DEBUG: u8 = 1;
    /// Not an instruction.
    pub const INVALID_OPCODE: u8 = 6;
    /// Most of what is not allowed.
    pub const GENERAL_PROTECTION: u8 = 13;
    /// An address that leads nowhere.
    pub const PAGE_FAULT: u8 = 14;
}

/// Traps that have an error code.
const WITH_CODE: u32 = 1 << 8 | 0x1f << 10 | 1 << 17 | 1 << 21;
/// Error code: it is about an entry of the table of interrupts.
const CODE_INTERRUPT: u64 = 1 << 1;
/// Error code: it came from outside of the program.
const CODE_EXTERNAL: u64 = 1 << 0;
/// Error code: which selector it is about, without its privilege.
const CODE_SELECTOR: u64 = 0xfffc;
/// In DR6: a single step.
pub(super) const DR6_STEP: u64 = 1 << 14;
/// Privilege of a user program, and in a selector its bits.
const USER_PRIVILEGE: u8 = 3;
/// Words of a frame: two registers, an error code at most, and the five that the CPU knows.
const WORDS: usize = 8;
/// Bits of the flags that a frame can set: those of results, strings and steps, and whether there is `cpuid`.
pub(super) const FLAGS: u64 = 0x20_08d5 | flag::TRAP | flag::DIRECTION | flag::RESUME | flag::ALIGNMENT;

/// What comes of a fault that may be a return of the CPU's own.
pub(super) enum Native {
    /// It was an `iretq`, and is done.
    Done,
    /// It was one, and here its frame cannot be read.
    Unread(u64),
    /// It was none, or one that the CPU would refuse.
    Not,
}

/// How the guest's kernel is entered.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    handler: Handler,
    vector: Option<u8>,
    code: Option<u64>,
    /// The selectors of code and stack in the frame, in place of those that run.
    selectors: Option<[u64; 2]>,
    /// Flags that are cleared beside those that always are.
    clears: u64,
}

impl Entry {
    /// Calls a handler, with nothing more in the frame.
    pub(super) fn to(handler: Handler) -> Self {
        Self { handler, vector: None, code: None, selectors: None, clears: 0 }
    }
}

/// Words of a frame, the lowest address first.
struct Frame {
    words: [u64; WORDS],
    length: usize,
}

impl Frame {
    fn push(&mut self, words: &[u64]) {
        self.words[self.length..][..words.len()].copy_from_slice(words);
        self.length += words.len();
    }
}

impl Guest {
    /// The guest raised an exception.
    pub(super) fn trap(
        &mut self,
        machine: &mut impl Machine,
        number: u8,
        code: u64,
        address: u64,
        registers: &mut GuestRegisters,
    ) -> Result<Flow, Death> {
        match number {
            vector::PAGE_FAULT => self.page_fault(machine, address, code, registers)?,
            vector::GENERAL_PROTECTION => return self.general_protection(machine, code, registers),
            vector::INVALID_OPCODE if self.emulate_cpuid(machine, registers) => {}
            vector::DEBUG => {
                if registers.rflags & flag::TRAP != 0 {
                    self.cpu.debug[6] |= DR6_STEP;
                }
                self.reflect(machine, registers, number, None)?;
            }
            _ => {
                let has_code = number < 32 && WITH_CODE & (1 << number) != 0;
                self.reflect(machine, registers, number, has_code.then_some(code))?;
            }
        }
        Ok(Flow::Run)
    }

    fn page_fault(
        &mut self,
        machine: &mut impl Machine,
        mut address: u64,
        code: u64,
        registers: &mut GuestRegisters,
    ) -> Result<(), Death> {
        if code & code::USER == 0 {
            match self.native_iret(machine, registers)? {
                Native::Done => return Ok(()),
                Native::Unread(at) => address = at,
                Native::Not => {}
            }
        }
        let access = Access::from_code(code, !self.is_in_kernel());
        if self.breaks(address, access, registers) {
            return self.reflect(machine, registers, vector::DEBUG, None);
        }
        self.let_through(machine, address, access);
        let fault = self.paging.fault(machine, address, code, registers);
        if fault != Fault::Resume {
            self.give_up_step(machine);
        } else if code & (code::USER | code::PRESENT) == code::PRESENT && self.way(registers).is_none() {
            // The page was shown when it faulted, so it would for ever.
            self.give_up_step(machine);
            return self.reflect(machine, registers, vector::GENERAL_PROTECTION, Some(0));
        }
        if let Fault::Reflect { .. } | Fault::Device { .. } = fault {
            match self.way(registers) {
                Some(Way::In) => return Err(Death::Stack { at: address, vector: None }),
                Some(Way::Back) => return Err(Death::Return { at: address }),
                Some(Way::Call | Way::Done) => return Ok(()),
                None => {}
            }
        }
        match fault {
            Fault::Resume | Fault::Emulated => Ok(()),
            Fault::Reflect { code } => self.reflect_page_fault(machine, registers, address, code),
            Fault::Device { address: physical, write }
                if self.reach_device(machine, address, physical, write, registers) =>
            {
                Ok(())
            }
            Fault::Device { write, .. } => {
                let write = if write { code::WRITE } else { 0 };
                let code = code::PRESENT | code::RESERVED | write;
                self.reflect_page_fault(machine, registers, address, code)
            }
            Fault::NoRoom => Err(Death::NoRoom),
        }
    }

    /// Something that is not allowed: an `int`, an instruction that is carried out here, or the guest's own affair.
    fn general_protection(
        &mut self,
        machine: &mut impl Machine,
        code: u64,
        registers: &mut GuestRegisters,
    ) -> Result<Flow, Death> {
        if code & (CODE_INTERRUPT | CODE_EXTERNAL) == CODE_INTERRUPT {
            if self.software_interrupt(machine, registers)? {
                return Ok(Flow::Run);
            }
        } else if code == 0
            && self.is_in_kernel()
            && let Some(flow) = self.emulate(machine, registers)
        {
            return Ok(flow);
        }
        self.reflect(machine, registers, vector::GENERAL_PROTECTION, Some(code))?;
        Ok(Flow::Run)
    }

    /// `int` with a number: says whether there is a handler that it may name. The number is the instruction's: in the error
    /// code, QEMU's emulation has twice as much.
    fn software_interrupt(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
    ) -> Result<bool, Death> {
        let Some((number, length)) = self.interrupt_at(machine, registers.rip) else { return Ok(false) };
        let trap = self.cpu.traps[usize::from(number)];
        let is_allowed = self.is_in_kernel() || trap.privilege == USER_PRIVILEGE;
        let Some(handler) = trap.handler.filter(|_| is_allowed) else { return Ok(false) };
        registers.rip = registers.rip.wrapping_add(length);
        self.enter(machine, registers, Entry { vector: Some(number), ..Entry::to(handler) })?;
        Ok(true)
    }

    /// Lets the guest deal with a trap.
    pub(super) fn reflect(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
        number: u8,
        code: Option<u64>,
    ) -> Result<(), Death> {
        let handler = self.cpu.traps[usize::from(number)].handler;
        let handler = handler.ok_or(Death::NoHandler { vector: number })?;
        self.log.reflected(number);
        self.enter(machine, registers, Entry { vector: Some(number), code, ..Entry::to(handler) })
    }

    /// Lets the guest deal with a page fault.
    pub(super) fn reflect_page_fault(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
        address: u64,
        code: u64,
    ) -> Result<(), Death> {
        let _ = machine.store(self.channels.info(VcpuInfo::CR2), address);
        self.reflect(machine, registers, vector::PAGE_FAULT, Some(code))
    }

    /// A user program executed `syscall`.
    pub(super) fn system_call(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
    ) -> Result<Flow, Death> {
        match self.cpu.syscall {
            Some(handler) => {
                let entry = Entry { clears: flag::DIRECTION, ..Entry::to(handler) };
                self.enter(machine, registers, entry)?;
            }
            None => {
                registers.rip = registers.rip.wrapping_sub(super::SYSCALL_BYTES);
                self.reflect(machine, registers, vector::INVALID_OPCODE, None)?;
            }
        }
        Ok(Flow::Run)
    }

    /// Enters the guest's kernel: a frame on its stack, and on at the handler.
    pub(super) fn enter(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
        entry: Entry,
    ) -> Result<(), Death> {
        let in_kernel = self.is_in_kernel();
        let is_masked = self.channels.is_masked(machine);
        let frame = frame(registers, &entry, in_kernel, is_masked);
        let bytes = frame.words[..frame.length].as_bytes();
        let top = if in_kernel { registers.rsp } else { self.kernel_stack(machine) };
        let at = (top & !0xf).wrapping_sub(bytes.len() as u64);
        let written = self.paging.write_virtual(machine, at, bytes);
        written.map_err(|unreachable| Death::Stack { at: unreachable.address, vector: entry.vector })?;
        if !in_kernel {
            swap(&mut registers.gs_base, &mut registers.other_gs_base);
            self.paging.enter_kernel(machine);
        }
        if entry.handler.masks {
            self.channels.set_masked(machine, true);
        }
        let cleared = flag::TRAP | flag::NESTED | flag::RESUME | flag::VIRTUAL_8086 | flag::ALIGNMENT;
        registers.rflags &= !(cleared | entry.clears);
        registers.rsp = at;
        registers.rip = entry.handler.address;
        Ok(())
    }

    /// `iret`: goes on where the frame on the stack says.
    pub(crate) fn iret(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
    ) -> Result<Flow, Death> {
        let at = registers.rsp;
        let frame: ReturnFrame = self.paging.read_value(machine, at).map_err(|_| Death::Return { at })?;
        registers.rax = frame.rax;
        registers.r11 = frame.r11;
        registers.rcx = frame.rcx;
        registers.rip = frame.rip;
        registers.rsp = frame.rsp;
        registers.rflags = frame.rflags & FLAGS | flag::INTERRUPT | flag::ALWAYS;
        self.channels.set_masked(machine, frame.rflags & flag::INTERRUPT == 0);
        if frame.cs as u8 & USER_PRIVILEGE != USER_PRIVILEGE {
            self.paging.show_missed(machine);
            return Ok(Flow::Run);
        }
        self.paging.enter_user(machine).map_err(|_| Death::NoUserRoot)?;
        self.paging.show_missed(machine);
        swap(&mut registers.gs_base, &mut registers.other_gs_base);
        if !is_user_selector(frame.cs, frame.ss) || !is_canonical(frame.rip) {
            self.failed_return(machine, registers, &frame)?;
        }
        Ok(Flow::Run)
    }

    /// A return went to a user program where, or as what, nothing can be. The guest's kernel is told of what the CPU would
    /// have said at the return, as the program's. (Its handler for such returns would have to be told also what is in the
    /// selectors of data, which nobody knows here: with others than those it returns once more.)
    fn failed_return(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
        frame: &ReturnFrame,
    ) -> Result<(), Death> {
        let selectors = [frame.cs, frame.ss].map(|selector| selector & 0xffff);
        let bad = if !is_canonical(frame.rip) {
            0
        } else if is_user_selector(frame.cs, USER_DATA.into()) {
            frame.ss
        } else {
            frame.cs
        };
        let number = vector::GENERAL_PROTECTION;
        let handler = self.cpu.traps[usize::from(number)].handler;
        let handler = handler.ok_or(Death::NoHandler { vector: number })?;
        self.log.reflected(number);
        let code = Some(bad & CODE_SELECTOR);
        let selectors = Some(selectors);
        self.enter(machine, registers, Entry { vector: Some(number), code, selectors, ..Entry::to(handler) })
    }
}

/// What the guest's kernel finds on its stack. It takes `rcx` and `r11` off, and has then what a CPU leaves there.
fn frame(registers: &GuestRegisters, entry: &Entry, in_kernel: bool, is_masked: bool) -> Frame {
    let privilege = if in_kernel { 0 } else { u64::from(USER_PRIVILEGE) };
    let own = [u64::from(USER_CODE & !u16::from(USER_PRIVILEGE)) | privilege, USER_DATA.into()];
    let [code_selector, stack_selector] = entry.selectors.unwrap_or(own);
    let flags = registers.rflags & !(flag::INTERRUPT | flag::IO_PRIVILEGE);
    let mut frame = Frame { words: [0; WORDS], length: 0 };
    frame.push(&[registers.rcx, registers.r11]);
    if let Some(code) = entry.code {
        frame.push(&[code]);
    }
    frame.push(&[
        registers.rip,
        code_selector | u64::from(is_masked) << 32,
        flags | if is_masked { 0 } else { flag::INTERRUPT },
        registers.rsp,
        stack_selector,
    ]);
    frame
}

/// Whether a user program can run with these: there are no others in the table of segments.
fn is_user_selector(code: u64, stack: u64) -> bool {
    [USER_CODE, USER_CODE_OF_XEN].map(u64::from).contains(&(code & 0xffff))
        && [USER_DATA, USER_DATA_OF_XEN].map(u64::from).contains(&(stack & 0xffff | 3))
}
