//! Memory of the host in place of a guest's, and a guest on it.

pub mod fixture;
pub mod host;
pub mod tpm;

pub use fixture::{Fixture, address};
pub use host::Host;
pub use tpm::FakeTpm;

use std::vec;
use std::vec::Vec;

use cloison_abi::limits::PAGE_BYTES;

use crate::machine::Memory;
use crate::stub;

/// A guest's memory, all zero at first.
#[derive(Clone)]
pub struct Ram {
    pages: u32,
    bytes: Vec<u8>,
}

impl Ram {
    pub fn new(pages: u32) -> Self {
        let mut ram = Self { pages, bytes: Vec::new() };
        ram.bytes = vec![0; (ram.shared_address() + u64::from(stub::CODE + 1) * PAGE_BYTES) as usize];
        ram
    }

    /// Bytes that are its own or shared.
    pub fn bytes(&self, at: u64, length: usize) -> Option<&[u8]> {
        self.is_there(at, length).then(|| &self.bytes[at as usize..][..length])
    }

    fn is_there(&self, at: u64, length: usize) -> bool {
        let own = 0..u64::from(self.pages) * PAGE_BYTES;
        let shared = self.shared_address()..self.bytes.len() as u64;
        let end = at.saturating_add(length as u64);
        [own, shared].iter().any(|range| range.contains(&at) && end <= range.end)
    }
}

impl Memory for Ram {
    fn pages(&self) -> u32 {
        self.pages
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
        into.copy_from_slice(self.bytes(at, into.len())?);
        Some(())
    }

    fn write(&mut self, at: u64, from: &[u8]) -> Option<()> {
        if !self.is_there(at, from.len()) {
            return None;
        }
        self.bytes[at as usize..][..from.len()].copy_from_slice(from);
        Some(())
    }
}
/// Lets a machine of a test have the memory in its field `ram`.
macro_rules! memory_in_ram {
    ($machine:ty) => {
        impl $crate::machine::Memory for $machine {
            fn pages(&self) -> u32 {
                self.ram.pages()
            }

            fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
                self.ram.read(at, into)
            }

            fn write(&mut self, at: u64, from: &[u8]) -> Option<()> {
                self.ram.write(at, from)
            }
        }
    };
}
pub(crate) use memory_in_ram;
