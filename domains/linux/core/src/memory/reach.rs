//! How the shim itself reads and writes at the guest kernel's addresses: arguments of hypercalls, frames of traps.

use cloison_abi::guest::{GuestHalf, UPPER_HALF};
use cloison_abi::limits::PAGE_BYTES;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Paging;
use super::walk::{Access, Stop, code, walk};
use crate::machine::Memory;

/// The guest's kernel cannot reach an address either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// The first that it cannot.
    pub address: u64,
    /// The error code that it would have got there.
    pub code: u64,
}

impl Paging {
    /// Reads at an address of the guest's kernel.
    ///
    /// # Errors
    /// Where it is not mapped.
    pub fn read_virtual(
        &self,
        memory: &mut impl Memory,
        address: u64,
        into: &mut [u8],
    ) -> Result<(), Unreachable> {
        self.read_as(memory, address, Access::default(), into)
    }

    /// Reads a value where, and with the rights with which, the guest itself would: a program sees none of its kernel's.
    ///
    /// # Errors
    /// Where it cannot reach it.
    pub fn read_by_guest<T: FromBytes + IntoBytes>(
        &self,
        memory: &mut impl Memory,
        address: u64,
    ) -> Result<T, Unreachable> {
        let mut value = T::new_zeroed();
        let access = Access { user: self.half == GuestHalf::Lower, ..Access::default() };
        self.read_as(memory, address, access, value.as_mut_bytes())?;
        Ok(value)
    }

    fn read_as(
        &self,
        memory: &mut impl Memory,
        address: u64,
        access: Access,
        into: &mut [u8],
    ) -> Result<(), Unreachable> {
        let mut done = 0;
        while done < into.len() {
            let at = address.wrapping_add(done as u64);
            let end = into.len().min(done + rest_of_page(at));
            let physical = self.translate(memory, at, access)?;
            memory.read(physical, &mut into[done..end]).ok_or(foreign(at, access))?;
            done = end;
        }
        Ok(())
    }

    /// Writes at an address of the guest's kernel: all, or nothing.
    ///
    /// # Errors
    /// Where it is not mapped, or mapped without the right to write.
    pub fn write_virtual(
        &self,
        memory: &mut impl Memory,
        address: u64,
        from: &[u8],
    ) -> Result<(), Unreachable> {
        let access = Access { write: true, ..Access::default() };
        // The first page needs no look before: if it refuses, nothing has been written.
        let mut done = rest_of_page(address);
        while done < from.len() {
            let at = address.wrapping_add(done as u64);
            let physical = self.translate(memory, at, access)?;
            memory.read(physical, &mut [0]).ok_or(foreign(at, access))?;
            done += rest_of_page(at);
        }
        let mut done = 0;
        while done < from.len() {
            let at = address.wrapping_add(done as u64);
            let end = from.len().min(done + rest_of_page(at));
            let physical = self.translate(memory, at, access)?;
            memory.write(physical, &from[done..end]).ok_or(foreign(at, access))?;
            done = end;
        }
        Ok(())
    }

    /// Reads a value, as [`read_virtual`](Self::read_virtual) does.
    ///
    /// # Errors
    /// Where it is not mapped.
    pub fn read_value<T: FromBytes + IntoBytes>(
        &self,
        memory: &mut impl Memory,
        address: u64,
    ) -> Result<T, Unreachable> {
        let mut value = T::new_zeroed();
        self.read_virtual(memory, address, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Writes a value, as [`write_virtual`](Self::write_virtual) does.
    ///
    /// # Errors
    /// Where it is not mapped, or mapped without the right to write.
    pub fn write_value<T: IntoBytes + Immutable>(
        &self,
        memory: &mut impl Memory,
        address: u64,
        value: &T,
    ) -> Result<(), Unreachable> {
        self.write_virtual(memory, address, value.as_bytes())
    }

    /// The instruction at an address: as many bytes as are mapped and executable, 15 at most.
    pub fn fetch(&self, memory: &mut impl Memory, address: u64) -> Instruction {
        let mut instruction = Instruction::default();
        let access = Access { execute: true, ..Access::default() };
        while usize::from(instruction.len) < instruction.bytes.len() {
            let done = usize::from(instruction.len);
            let at = address.wrapping_add(done as u64);
            let end = instruction.bytes.len().min(done + rest_of_page(at));
            let Ok(physical) = self.translate(memory, at, access) else { break };
            if memory.read(physical, &mut instruction.bytes[done..end]).is_none() {
                break;
            }
            instruction.len = end as u8;
        }
        instruction
    }

    /// Where in its memory an address of the guest's kernel lies, or one of the program that runs.
    fn translate(&self, memory: &mut impl Memory, address: u64, access: Access) -> Result<u64, Unreachable> {
        let refused = |present| Unreachable { address, code: access.code() | present };
        if access.user && address >= UPPER_HALF {
            return Err(refused(code::PRESENT));
        }
        let root = if access.user { self.root() } else { self.kernel_root() };
        let mut path = walk(memory, root, address).map_err(|stop| match stop {
            Stop::Absent => refused(0),
            Stop::Foreign => foreign(address, access),
        })?;
        if !path.allows(access) {
            return Err(refused(code::PRESENT));
        }
        path.note(memory, address, access.write);
        Ok(path.frame() * PAGE_BYTES + address % PAGE_BYTES)
    }
}

/// The bytes of an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    bytes: [u8; 15],
    len: u8,
}

impl Instruction {
    /// The bytes that could be read.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// An entry on the way to an address names what is not the guest's.
fn foreign(address: u64, access: Access) -> Unreachable {
    Unreachable { address, code: access.code() | code::PRESENT | code::RESERVED }
}

/// Bytes from an address to the end of its page.
fn rest_of_page(address: u64) -> usize {
    (PAGE_BYTES - address % PAGE_BYTES) as usize
}
