//! The virtual CPU: handlers, stack, segments, debug registers.

use cloison_abi::guest::GuestRegisters;
use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::Errno;
use cloison_xen::cpu::{CallbackRegister, TRAP_MASKS, TRAP_PRIVILEGE, TrapInfo, callback, segment};

use super::{Answer, Arguments, Progress, Share};
use crate::cpu::{BREAKPOINTS, GDT_FRAMES, Handler, Trap};
use crate::guest::Guest;
use crate::machine::{Machine, Memory};
use crate::memory::is_canonical;

/// Bytes of a descriptor.
const DESCRIPTOR_BYTES: u64 = 8;
/// Bits of a selector that say which descriptor it is, and that it is not one of the guest's own table.
const SELECTOR_INDEX: u64 = 0xfff8;
const SELECTOR_LOCAL: u64 = 1 << 2;

/// In DR7: a breakpoint is on.
const ANY_ON: u64 = 0xff;

impl Guest {
    /// `set_trap_table(list)`: up to an entry without an address. No list takes all handlers away.
    pub(super) fn set_trap_table(
        &mut self,
        machine: &mut impl Machine,
        a: &mut Arguments,
        share: &mut Share,
    ) -> Answer {
        if a[0] == 0 {
            self.cpu.traps.fill(Trap::NONE);
            return Ok(Progress::Done(0));
        }
        while share.take() {
            let trap: TrapInfo = self.get(machine, a[0])?;
            if trap.address == 0 {
                return Ok(Progress::Done(0));
            }
            let handler = handler(trap.address, trap.flags & TRAP_MASKS != 0)?;
            self.cpu.traps[usize::from(trap.vector)] =
                Trap { handler: Some(handler), privilege: trap.flags & TRAP_PRIVILEGE };
            a[0] = a[0].wrapping_add(size_of::<TrapInfo>() as u64);
        }
        Ok(Progress::Step)
    }

    /// `callback_op(command, argument)`.
    pub(super) fn callback_op(
        &mut self,
        machine: &mut impl Machine,
        command: u64,
        at: u64,
    ) -> Result<(), Errno> {
        if command != callback::REGISTER {
            return Err(Errno::NotOffered);
        }
        let register: CallbackRegister = self.get(machine, at)?;
        let masks = register.flags & callback::MASKS != 0;
        match register.kind {
            // An event always masks the next.
            callback::EVENT => self.cpu.event = Some(handler(register.address, true)?),
            // Of a return that cannot be, its handler of traps is told.
            callback::FAILSAFE => {
                handler(register.address, masks)?;
            }
            callback::SYSCALL => self.cpu.syscall = Some(handler(register.address, masks)?),
            // Other ways to call a system, of 32-bit programs.
            _ => return Err(Errno::NotOffered),
        }
        self.tell_stub(machine);
        Ok(())
    }

    /// `stack_switch(selector, address)`.
    pub(super) fn stack_switch(&mut self, machine: &mut impl Machine, address: u64) -> Result<(), Errno> {
        if !is_canonical(address) {
            return Err(Errno::Invalid);
        }
        self.set_kernel_stack(machine, address);
        Ok(())
    }

    /// `set_gdt(frames, entries)`. The table is kept to be read; the CPU's own is another.
    pub(super) fn set_gdt(&mut self, machine: &mut impl Machine, at: u64, entries: u64) -> Result<(), Errno> {
        let count = (entries & u64::from(u32::MAX)).div_ceil(PAGE_BYTES / DESCRIPTOR_BYTES) as usize;
        if count > GDT_FRAMES {
            return Err(Errno::Invalid);
        }
        let mut frames = [0; GDT_FRAMES];
        for (number, frame) in frames[..count].iter_mut().enumerate() {
            let word: u64 = self.get(machine, at.wrapping_add(number as u64 * 8))?;
            *frame = u32::try_from(word).ok().filter(|word| *word < machine.pages()).ok_or(Errno::Invalid)?;
        }
        (self.cpu.gdt, self.cpu.gdt_frames) = (frames, count);
        Ok(())
    }

    /// `update_descriptor(address, descriptor)`: stored like any word of memory, page tables included.
    pub(super) fn update_descriptor(
        &mut self,
        machine: &mut impl Machine,
        address: u64,
        descriptor: u64,
    ) -> Result<(), Errno> {
        if !address.is_multiple_of(DESCRIPTOR_BYTES) {
            return Err(Errno::Invalid);
        }
        self.paging.mmu_update(machine, address, descriptor)
    }

    /// `set_segment_base(which, base)`.
    pub(super) fn set_segment_base(
        &mut self,
        machine: &impl Machine,
        which: u64,
        base: u64,
        registers: &mut GuestRegisters,
    ) -> Result<(), Errno> {
        if which == segment::GS_USER_SELECTOR {
            registers.other_gs_base = self.base_of(machine, base);
            return Ok(());
        }
        if !is_canonical(base) {
            return Err(Errno::Invalid);
        }
        match which {
            segment::FS => registers.fs_base = base,
            segment::GS_USER => registers.other_gs_base = base,
            segment::GS_KERNEL => registers.gs_base = base,
            _ => return Err(Errno::Invalid),
        }
        Ok(())
    }

    /// The base that a selector stands for in the guest's table; 0 if it stands for nothing.
    fn base_of(&self, memory: &impl Memory, selector: u64) -> u64 {
        let offset = selector & SELECTOR_INDEX;
        let frame = (offset / PAGE_BYTES) as usize;
        if offset == 0 || selector & SELECTOR_LOCAL != 0 || frame >= self.cpu.gdt_frames {
            return 0;
        }
        let at = u64::from(self.cpu.gdt[frame]) * PAGE_BYTES + offset % PAGE_BYTES;
        let descriptor = memory.load(at).unwrap_or(0);
        descriptor >> 16 & 0x00ff_ffff | descriptor >> 32 & 0xff00_0000
    }

    /// `set_debugreg(number, value)`: kept, and never loaded. What breakpoints do is done without the CPU's registers.
    pub(super) fn set_debugreg(
        &mut self,
        machine: &mut impl Machine,
        number: u64,
        value: u64,
    ) -> Result<(), Errno> {
        *self.cpu.debug.get_mut(number as usize).ok_or(Errno::Invalid)? = value;
        if number == 7 || number < BREAKPOINTS as u64 && self.cpu.debug[7] & ANY_ON != 0 {
            self.watch(machine);
        }
        Ok(())
    }

    /// `get_debugreg(number)`.
    pub(super) fn get_debugreg(&self, number: u64) -> Result<u64, Errno> {
        self.cpu.debug.get(number as usize).copied().ok_or(Errno::Invalid)
    }
}

fn handler(address: u64, masks: bool) -> Result<Handler, Errno> {
    if is_canonical(address) { Ok(Handler { address, masks }) } else { Err(Errno::Invalid) }
}
