//! Returns and calls of the CPU's own, where they fault as ring 0 does.
//!
//! QEMU 7.2 carries out `iretq`, far returns and far calls with the rights of ring 0, in ring 3 too
//! (`helper_ret_protected`, `helper_lcall_protected`), and a domain's memory is closed to those (SMAP). No other fault of a
//! guest has an error code that says so, and on a CPU none has.

use cloison_abi::guest::{GUEST_CODE_SELECTOR, GUEST_DATA_SELECTOR, GuestRegisters};

use super::trap::{DR6_STEP, FLAGS, Native, vector};
use super::{Death, Guest};
use crate::cpu::flag;
use crate::machine::Machine;
use crate::memory::is_canonical;

/// `iretq`.
const IRETQ: [u8; 2] = [0x48, 0xcf];

impl Guest {
    /// Carries out an `iretq` of the CPU's own, with the rights of what runs. Linux's kernel synchronizes its CPU so while it
    /// changes its text. The machine's kernel does it without an exit where it finds instruction and frame shown; here it is
    /// done where they are not.
    ///
    /// # Errors
    /// [`Death`], if the guest is to be told of its end and cannot be.
    pub(super) fn native_iret(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
    ) -> Result<Native, Death> {
        if !self.paging.fetch(machine, registers.rip).bytes().starts_with(&IRETQ) {
            return Ok(Native::Not);
        }
        let [rip, code, rflags, rsp, data]: [u64; 5] = match self.paging.read_by_guest(machine, registers.rsp)
        {
            Ok(frame) => frame,
            Err(unreachable) => return Ok(Native::Unread(unreachable.address)),
        };
        let stays = code == GUEST_CODE_SELECTOR.into() && data == GUEST_DATA_SELECTOR.into();
        if !stays || !is_canonical(rip) {
            return Ok(Native::Not);
        }
        let traps = registers.rflags & flag::TRAP != 0;
        (registers.rip, registers.rsp) = (rip, rsp);
        registers.rflags = rflags & FLAGS | flag::INTERRUPT | flag::ALWAYS;
        self.end_instruction(machine, registers, traps)?;
        Ok(Native::Done)
    }

    /// An instruction has been carried out here. The guest is told what the CPU would tell it after one.
    fn end_instruction(
        &mut self,
        machine: &mut impl Machine,
        registers: &mut GuestRegisters,
        traps: bool,
    ) -> Result<(), Death> {
        let hits = self.take_hits(machine);
        self.cpu.debug[6] |= hits | if traps { DR6_STEP } else { 0 };
        if hits == 0 && !traps {
            return Ok(());
        }
        self.reflect(machine, registers, vector::DEBUG, None)
    }
}
