//! A domain that has faulted, as it stands: who had called whom.

use alloc::vec::Vec;

use builder_api::REGISTERS;
use cloison_abi::{Rights, limits::PAGE_BYTES, plan::MappingEntry};
use cloison_sys::callers::{CALL_BYTES, MOST, WORDS, ends_with_call};

use crate::{BuildError, Kernel, Site};

/// Bytes of the stack that are copied at once.
const CHUNK: usize = 512;
/// The register with the stack's top, in the order of [`builder_api::REGISTER_NAMES`].
const RSP: u8 = 4;

impl<K: Kernel> Site<'_, K> {
    /// Where the calls return to that a domain was in when it faulted, the innermost first; 0 behind the last one.
    ///
    /// # Errors
    /// [`BuildError::Refused`]; [`BuildError::Image`] if the builder has nothing to do with it.
    pub fn callers(&mut self, domain: u32) -> Result<[u64; MOST], BuildError> {
        let slot = self.shell(domain)?.slot;
        let registers = self.kernel.registers_of(slot, RSP / REGISTERS);
        let registers = registers.map_err(|error| BuildError::Refused("reading registers", error))?;
        let top = registers[usize::from(RSP % REGISTERS)];
        let mut found = Vec::new();
        let stack = self.seen(domain, top, Rights::WRITE);
        let left =
            stack.map_or(0, |stack| end(stack).saturating_sub(top).min((WORDS * size_of::<u64>()) as u64));
        let mut at = top;
        while at < top + left && found.len() < MOST {
            let mut chunk = [0; CHUNK];
            let bytes = chunk.len().min((top + left - at) as usize);
            self.read_at(domain, at, Rights::WRITE, &mut chunk[..bytes])?;
            for word in chunk[..bytes].as_chunks().0 {
                let address = u64::from_le_bytes(*word);
                if found.len() < MOST && self.is_behind_call(domain, address)? {
                    found.push(address);
                }
            }
            at += CHUNK as u64;
        }
        let mut callers = [0; MOST];
        callers[..found.len()].copy_from_slice(&found);
        Ok(callers)
    }

    /// Whether an instruction at an address of a domain is behind a call.
    fn is_behind_call(&mut self, domain: u32, address: u64) -> Result<bool, BuildError> {
        let Some(start) = address.checked_sub(CALL_BYTES as u64) else { return Ok(false) };
        let text = self.seen(domain, start, Rights::EXECUTE);
        if text.is_none_or(|text| address >= end(text)) {
            return Ok(false);
        }
        let mut before = [0; CALL_BYTES];
        self.read_at(domain, start, Rights::EXECUTE, &mut before)?;
        Ok(ends_with_call(&before))
    }

    /// The mapping in which a domain sees an address of its own memory with a right. What it shares is another's, too, and
    /// may be in the builder's hands no more, as the registers of its devices.
    fn seen(&self, domain: u32, address: u64, right: Rights) -> Option<&MappingEntry> {
        let mut its = self.plan.mappings.iter().filter(|seen| seen.domain == domain);
        let seen = its.find(|seen| {
            Rights::from_bits_truncate(seen.rights).contains(right)
                && (seen.address..end(seen)).contains(&address)
        })?;
        let place = seen.region as usize;
        let is_own = self.plan.memory_of(domain).any(|own| own == place);
        Some(seen).filter(|_| is_own && self.region(place).is_ok())
    }

    /// Copies bytes that a domain sees in one mapping.
    fn read_at(
        &mut self,
        domain: u32,
        address: u64,
        right: Rights,
        bytes: &mut [u8],
    ) -> Result<(), BuildError> {
        let seen = self.seen(domain, address, right);
        let seen = seen.ok_or(BuildError::Image("a domain's memory is not where it was"))?;
        let offset = u64::from(seen.first_page) * PAGE_BYTES + (address - seen.address);
        let region = self.region(seen.region as usize)?;
        self.kernel.read(region, offset, bytes).map_err(|error| BuildError::Refused("reading a stack", error))
    }
}

/// The first address behind a mapping.
fn end(seen: &MappingEntry) -> u64 {
    seen.address.saturating_add(u64::from(seen.pages) * PAGE_BYTES)
}
