//! Rings in memory that two domains share, with events as bells.

use core::sync::atomic::AtomicU32;

use cloison_abi::info::Party;
use cloison_sys::{
    Instant, KeptSignal, Slot, info,
    memory::SharedMemory,
    peer::{PEER_FAILED, Peer},
};

use super::{Bell, CONTROL_BYTES, Control, Keep, RingError, RingMemory};

/// A ring in memory that the plan shares between two domains.
#[derive(Clone, Copy, Debug)]
pub struct SharedRing {
    memory: SharedMemory,
    words: [&'static AtomicU32; 4],
    /// Where the bytes begin.
    first: usize,
    capacity: usize,
}

impl SharedRing {
    /// A ring in `bytes` bytes of the shared memory from `offset` on. `None` if they are not in the memory,
    /// not aligned to 4 bytes, or too few.
    #[must_use]
    pub fn new(memory: SharedMemory, offset: usize, bytes: usize) -> Option<Self> {
        let inside = offset.checked_add(bytes)? <= memory.len();
        let word = |word: Control| memory.atomic_u32(offset + word.offset());
        let capacity = bytes.checked_sub(CONTROL_BYTES).filter(|capacity| inside && *capacity > 0)?;
        // A position is below twice the capacity and travels as a u32.
        u32::try_from(2 * capacity).ok()?;
        let [produced, consumer_asleep, consumed, producer_asleep] = Control::ALL;
        let words = [word(produced)?, word(consumer_asleep)?, word(consumed)?, word(producer_asleep)?];
        Some(Self { memory, words, first: offset + CONTROL_BYTES, capacity })
    }

    /// A ring that takes up all the memory that is shared with another party.
    #[must_use]
    pub fn of(party: &'static impl Party) -> Option<Self> {
        let memory = SharedMemory::of(party)?;
        Self::new(memory, 0, memory.len())
    }
}

impl RingMemory for SharedRing {
    type Word = AtomicU32;

    fn word(&self, word: Control) -> &AtomicU32 {
        self.words[word as usize]
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn read(&self, at: usize, to: &mut [u8]) {
        let inside = self.memory.read(self.first + at, to);
        debug_assert!(inside, "the ring copies within its capacity");
    }

    fn write(&self, at: usize, from: &[u8]) {
        let inside = self.memory.write(self.first + at, from);
        debug_assert!(inside, "the ring copies within its capacity");
    }
}

/// Wakes the other side by its event bit, and waits for one's own.
#[derive(Clone, Copy, Debug)]
pub struct Doorbell {
    /// Slot of the other side's event, if this side may signal.
    pub other: Option<Slot>,
    /// Mask of this side's event bit.
    pub own: u64,
    /// Who the other side was when this side began.
    pub peer: Option<Peer>,
}

impl Doorbell {
    /// The bell between this domain and another party.
    #[must_use]
    pub fn of(party: &impl Party) -> Self {
        Self { other: info::signal_slot(party), own: info::event_mask(party), peer: Peer::of(party) }
    }
}

impl Bell for Doorbell {
    fn signal(&self) {
        if let Some(slot) = self.other {
            // A peer that is gone needs no wake-up; that it is gone shows when this side waits.
            let _ = cloison_sys::signal(slot);
        }
    }

    /// The event that says that a peer has failed is one for all of them, and may have been taken elsewhere.
    /// So this asks for the other side itself: first, in case it has failed already, and when the event
    /// comes. If it has signalled as well, what it wrote before is looked at first.
    fn wait(&self) -> Result<(), RingError> {
        let failed = || self.peer.is_some_and(|peer| peer.has_failed());
        if failed() {
            return Err(RingError::PeerFailed);
        }
        let events = cloison_sys::wait(self.own | PEER_FAILED, Instant::NEVER);
        if events & self.own == 0 && failed() { Err(RingError::PeerFailed) } else { Ok(()) }
    }
}

impl Keep for Doorbell {
    type Kept = KeptSignal;

    #[inline]
    fn keep(&self) -> Option<KeptSignal> {
        self.other.map(KeptSignal::new)
    }
}

#[cfg(test)]
mod tests {
    use std::{boxed::Box, vec};

    use cloison_abi::{
        Name,
        info::{Channel, Client},
    };

    use super::*;
    use crate::ring::{Consumer, Producer};

    /// What the two sides of a gate see of the same memory. Nothing here makes a call: there is no kernel.
    fn shared(bytes: usize) -> &'static Client {
        let memory = Box::leak(vec![0_u64; bytes / 8].into_boxed_slice());
        let (address, bytes) = (memory.as_ptr() as u64, bytes as u64);
        let channel = Channel { address, bytes, ..Channel::EMPTY };
        Box::leak(Box::new(Client { name: Name::EMPTY, channel, first_grant: 0, grants: 0 }))
    }

    #[test]
    fn both_sides_see_one_ring() {
        let entry = shared(CONTROL_BYTES + 8);
        let bell = Doorbell::of(entry);
        let mut producer = Producer::new(SharedRing::of(entry).unwrap(), bell);
        let mut consumer = Consumer::new(SharedRing::of(entry).unwrap(), bell);
        for round in [&b"12345678"[..], b"abc", b"defghi"] {
            assert_eq!(producer.try_write(round), Ok(round.len()));
            let mut bytes = [0; 16];
            assert_eq!(consumer.try_read(&mut bytes), Ok(round.len()));
            assert_eq!(&bytes[..round.len()], round);
        }
    }

    #[test]
    fn memory_that_is_too_small_makes_no_ring() {
        let memory = SharedMemory::of(shared(512)).unwrap();
        assert!(SharedRing::new(memory, 256, 256).is_some());
        for (offset, bytes) in [(0, CONTROL_BYTES), (256, 257), (2, 256), (512, 256), (usize::MAX, 256)] {
            assert!(SharedRing::new(memory, offset, bytes).is_none(), "{bytes} bytes at {offset}");
        }
    }
}
