//! Rings: bytes or records from one producer to one consumer, through memory that both can write.
//!
//! ```text
//! byte    0            4                64            68                128
//!         ┌────────────┬──────┬─────────┬─────────────┬──────┬──────────┬──────────────────┐
//!         │ produced   │ consumer asleep│ consumed    │ producer asleep │ bytes, `capacity` │
//!         └────────────┴──────┴─────────┴─────────────┴──────┴──────────┴──────────────────┘
//!           written by the producer       written by the consumer
//! ```
//!
//! Positions count modulo twice the capacity, so that full and empty differ. All zeros is an empty ring:
//! nobody has to set one up.
//!
//! **A hostile peer.** Each side reads both positions once an operation. It takes its own as it is modulo twice the
//! capacity, and refuses the other's ([`RingError::Corrupt`]) if that makes no sense beside it. So the peer can spoil
//! what the two say to each other, and nothing else: every copy stays inside the ring.
//!
//! **Memory that is withdrawn.** While the monitor has withdrawn the memory from one side, that side has other memory,
//! with nothing in it, in its place. As no side keeps its position to itself, it goes on in either where it was there:
//! what it writes meanwhile is lost, it reads nothing, and no byte is lost that the other side has written.
//!
//! **Who wakes whom.** A side that finds nothing to do sets its "asleep" word, looks once more, and only then
//! waits for its event. The other side, after each step, looks at that word and signals only if it is set. A
//! full fence on both sides between the write and the look makes sure that at least one of them sees the
//! other, so no wake-up is lost; the loom model in `tests/` goes through all interleavings.

mod bytes;
mod records;
mod shared;
mod stream;
#[cfg(test)]
mod tests;

use core::sync::atomic::{AtomicU32, Ordering, fence};

pub use bytes::{Consumer, Producer};
pub use records::{RecordConsumer, RecordProducer};
pub use shared::{Doorbell, SharedRing};

/// Bytes that a ring needs beside its capacity.
pub const CONTROL_BYTES: usize = 128;

/// Why an operation on a ring failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// The other side left a position or a length in the ring that cannot be.
    Corrupt,
    /// The other side has failed or ended.
    PeerFailed,
    /// The next record is longer than the buffer: this many bytes.
    TooLong(usize),
}

impl core::fmt::Display for RingError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Corrupt => out.write_str("the other side left nonsense in the ring"),
            Self::PeerFailed => out.write_str("the other side of the ring has failed or ended"),
            Self::TooLong(bytes) => write!(out, "the next record has {bytes} bytes, more than the buffer"),
        }
    }
}

impl core::error::Error for RingError {}

/// The four words that the two sides share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Position up to which the producer has written.
    Produced,
    /// Not 0: the consumer may be waiting for its event.
    ConsumerAsleep,
    /// Position up to which the consumer has read.
    Consumed,
    /// Not 0: the producer may be waiting for its event.
    ProducerAsleep,
}

impl Control {
    /// Every word, in the order of their offsets.
    pub const ALL: [Self; 4] = [Self::Produced, Self::ConsumerAsleep, Self::Consumed, Self::ProducerAsleep];

    /// Where it lies in the ring, in bytes. The two sides write to cache lines of their own.
    #[must_use]
    pub const fn offset(self) -> usize {
        match self {
            Self::Produced => 0,
            Self::ConsumerAsleep => 4,
            Self::Consumed => 64,
            Self::ProducerAsleep => 68,
        }
    }
}

/// A word that both sides can reach at the same time.
pub trait Word {
    /// As [`AtomicU32::load`].
    fn load(&self, ordering: Ordering) -> u32;
    /// As [`AtomicU32::store`].
    fn store(&self, value: u32, ordering: Ordering);
    /// As [`core::sync::atomic::fence`], for the memory that such words are in.
    fn fence(ordering: Ordering);
}

impl Word for AtomicU32 {
    fn load(&self, ordering: Ordering) -> u32 {
        Self::load(self, ordering)
    }

    fn store(&self, value: u32, ordering: Ordering) {
        Self::store(self, value, ordering);
    }

    fn fence(ordering: Ordering) {
        fence(ordering);
    }
}

/// The memory of one ring.
pub trait RingMemory {
    /// The type of its words: one that a model checker can watch, in the tests.
    type Word: Word;

    /// One of the four words.
    fn word(&self, word: Control) -> &Self::Word;

    /// How many bytes the ring holds; the same at each call, and at least 1.
    fn capacity(&self) -> usize;

    /// Copies bytes out, from `at` on. The caller sees to it that they lie below the capacity.
    fn read(&self, at: usize, to: &mut [u8]);

    /// Copies bytes in, from `at` on. The caller sees to it that they lie below the capacity.
    fn write(&self, at: usize, from: &[u8]);
}

impl<M: RingMemory + ?Sized> RingMemory for &M {
    type Word = M::Word;

    fn word(&self, word: Control) -> &Self::Word {
        (**self).word(word)
    }

    fn capacity(&self) -> usize {
        (**self).capacity()
    }

    fn read(&self, at: usize, to: &mut [u8]) {
        (**self).read(at, to);
    }

    fn write(&self, at: usize, from: &[u8]) {
        (**self).write(at, from);
    }
}

/// How one side of a ring wakes the other, and is woken.
pub trait Bell {
    /// Wakes the other side, now or when it next waits.
    fn signal(&self);

    /// Waits until the other side has signalled since the last wait.
    ///
    /// # Errors
    /// [`RingError::PeerFailed`] if there is no other side any more.
    fn wait(&self) -> Result<(), RingError>;
}

/// A bell that can be rung a little later, together with something else.
pub trait Keep: Bell {
    /// That it has to be rung: which is done, at the latest, when this is dropped.
    type Kept;

    /// Keeps the bell. `None` if there is none to ring.
    fn keep(&self) -> Option<Self::Kept>;
}

/// How far `from` is behind `to`, if both are positions in a ring of this capacity and no further apart than
/// that.
fn distance(from: usize, to: usize, capacity: usize) -> Result<usize, RingError> {
    if to >= 2 * capacity {
        return Err(RingError::Corrupt);
    }
    let apart = if to >= from { to - from } else { to + 2 * capacity - from };
    if apart <= capacity { Ok(apart) } else { Err(RingError::Corrupt) }
}

/// The position `bytes` further on; at most the capacity at a time.
fn advance(position: usize, bytes: usize, capacity: usize) -> usize {
    let next = position + bytes;
    if next >= 2 * capacity { next - 2 * capacity } else { next }
}

/// The two pieces, each an offset into the ring and a length, that `bytes` bytes from `position` on take up.
fn pieces(position: usize, bytes: usize, capacity: usize) -> [(usize, usize); 2] {
    let at = if position >= capacity { position - capacity } else { position };
    let first = bytes.min(capacity - at);
    [(at, first), (0, bytes - first)]
}
