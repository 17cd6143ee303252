//! Registers of devices: the guest's kernel reaches for one at an address of its own, which leads out of its memory, and
//! the instruction is carried out here. Linux does so by four kinds of `mov` (Intel SDM, volume 2).

use cloison_abi::guest::GuestRegisters;
use cloison_abi::limits::PAGE_BYTES;
use cloison_tpm::TPM_ADDRESS;

use super::Guest;
use crate::decode::{Decoder, Register};
use crate::machine::Machine;

/// A move between a register of the CPU and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Move {
    register: Register,
    /// Bytes that are moved.
    size: u8,
    /// The address in memory.
    address: u64,
    /// Whether it is to memory.
    is_store: bool,
    /// Bytes of the instruction.
    length: u8,
    opcode: u16,
}

impl Move {
    /// Decodes an instruction; `None` if it is another one, or not whole.
    fn decode(bytes: &[u8], registers: &GuestRegisters) -> Option<Self> {
        let mut code = Decoder::new(bytes, registers);
        let opcode = code.opcode()?;
        if !matches!(opcode, 0x88..=0x8b) {
            return None;
        }
        let size = code.size(opcode);
        let operands = code.operands(registers)?;
        Some(Self {
            register: code.register(operands.register, size),
            size,
            address: code.address(operands.place, registers)?,
            is_store: opcode < 0x8a,
            length: code.length(),
            opcode,
        })
    }
}

impl Guest {
    /// Carries out the instruction by which the guest's kernel reaches for a device: at this address of its own, which is
    /// that physical one. Says whether the instruction is known.
    pub(super) fn reach_device(
        &mut self,
        machine: &mut impl Machine,
        address: u64,
        physical: u64,
        is_store: bool,
        registers: &mut GuestRegisters,
    ) -> bool {
        let fetched = self.paging.fetch(machine, registers.rip);
        // What would reach into another page would have to be translated once more.
        let Some(found) = Move::decode(fetched.bytes(), registers).filter(|found| {
            found.address == address
                && found.is_store == is_store
                && address % PAGE_BYTES + u64::from(found.size) <= PAGE_BYTES
        }) else {
            return false;
        };
        let offset = physical - TPM_ADDRESS;
        if is_store {
            self.tis.write(machine, offset, found.size, found.register.get(registers, found.size));
        } else {
            let value = self.tis.read(machine, offset, found.size);
            found.register.set(registers, found.size, value);
        }
        registers.rip = registers.rip.wrapping_add(found.length.into());
        self.log.emulated(found.opcode);
        true
    }
}
