//! The console: two rings of bytes in a page of the guest's memory.

use cloison_xen::console::{
    IN, IN_BYTES, IN_CONSUMED, IN_PRODUCED, OUT, OUT_BYTES, OUT_CONSUMED, OUT_PRODUCED,
};

use crate::byte_ring::{ByteRing, Damaged};
use crate::machine::{Machine, Memory};
use crate::saved::carried;

/// Bytes that are brought out at once.
const CHUNK_BYTES: usize = 256;

/// The console.
pub struct Console {
    printed: ByteRing,
    typed: ByteRing,
}

carried!(Console { printed, typed });

impl Console {
    /// One in the page at an address.
    pub const fn new(at: u64) -> Self {
        Self {
            printed: ByteRing {
                data: at + OUT,
                size: OUT_BYTES,
                consumed: at + OUT_CONSUMED,
                produced: at + OUT_PRODUCED,
            },
            typed: ByteRing {
                data: at + IN,
                size: IN_BYTES,
                consumed: at + IN_CONSUMED,
                produced: at + IN_PRODUCED,
            },
        }
    }

    /// Brings out what the guest has printed: nothing of a ring whose indices contradict each other. Says whether it was
    /// full, so that the guest may wait for room.
    pub fn drain(&self, machine: &mut impl Machine) -> bool {
        let mut left = OUT_BYTES as usize;
        let mut chunk = [0; CHUNK_BYTES];
        while left > 0 {
            match self.printed.take(machine, &mut chunk) {
                Err(_) | Ok(0) => return false,
                Ok(taken) => {
                    machine.print(&chunk[..taken]);
                    left = left.saturating_sub(taken);
                }
            }
        }
        true
    }

    /// Gives the guest what was typed, as far as there is room. Returns how many bytes it was.
    pub fn fill(&self, memory: &mut impl Memory, typed: &[u8]) -> usize {
        self.give(memory, typed).unwrap_or(0)
    }

    /// The same.
    ///
    /// # Errors
    /// [`Damaged`]: its indices contradict each other.
    pub fn give(&self, memory: &mut impl Memory, typed: &[u8]) -> Result<usize, Damaged> {
        self.typed.put(memory, typed)
    }

    /// Takes as much of what the guest has printed as fits.
    ///
    /// # Errors
    /// As [`Console::give`].
    pub fn take(&self, memory: &mut impl Memory, into: &mut [u8]) -> Result<usize, Damaged> {
        self.printed.take(memory, into)
    }
}
