//! Frames through one-way memory: both directions of one port.
//!
//! Each side writes one half of the memory and reads the other's ([`cloison_sys::one_way`]). A half is four
//! words and a ring of frames that its owner sends:
//!
//! ```text
//! byte  0          4          8                      12                     64
//!       ┌──────────┬──────────┬──────────────────────┬──────────────────────┬─────────────────────────┐
//!       │ produced │ consumed │ wake me when you have│ wake me when you have│ frames: a power of two  │
//!       │          │          │ produced beyond this │ consumed beyond this │ of bytes                │
//!       └──────────┴──────────┴──────────────────────┴──────────────────────┴─────────────────────────┘
//!         of the     of the     of the receiving       of the sending
//!         own ring   other's    side                   side
//! ```
//!
//! A record is a header of eight bytes (length and tag, four bytes each, little endian), the frame behind it
//! in one piece, and up to seven bytes that nobody reads. Where the next record does not fit before the end
//! of the ring, a header with the length [`SKIP`] stands, and the record lies at the start. Hence the
//! [longest frame](FrameSender::longest) is a little less than half of the ring: one that short always fits
//! into an empty ring, wherever it stands.
//!
//! **Positions** count units of eight bytes and run on freely, modulo 2³². The ring's size being a power of
//! two, the place in the ring is a position's lower bits, there is no division and nothing to keep beside the
//! position; and a side that is restarted has all that it needs in its own words. (The other rings of this
//! crate count modulo twice a size of any kind, so that a ring fills a page. Here speed is worth the rest.)
//!
//! **A hostile peer.** Each side keeps its own position to itself, reads the other's once an operation, and
//! refuses it ([`RingError::Corrupt`]) if the two are further apart than the ring is long. A header is read
//! once, as one word; a length must fit into what was produced and before the end of the ring, and a skip
//! must lead somewhere. So the peer can spoil what it sends, and nothing else. What it can do to the frame
//! while it is being read is the reader's to mind: [`FrameReceiver::read`] copies.
//!
//! **Who wakes whom.** A side does not say "I am asleep" (that would be a word with two writers) but at which
//! position it wants to be woken. The other side signals when it passes that position: when it lies at or
//! after the position at the last [`flush`](FrameSender::flush), and before the one now. So however many
//! frames go out between two flushes, they cost one signal at most; and a position that was passed once
//! asks for nothing more (but once each 2³² units, which costs a needless look).
//!
//! No wake-up is lost. The one writes its position, then, behind a full fence, reads where to wake; the other
//! writes where to be woken, then, behind a full fence, reads the position, and sleeps only if nothing is
//! there. With both fences at least one of the two reads what the other wrote. If it is the sleeper, it does
//! not sleep. If it is the waker, then the position W that it reads is the one at which the other still is;
//! and W has been passed since the last flush, not earlier: had it been passed at an earlier flush, that
//! flush would have written its position before this sleeper looked, or have read W itself and signalled. The
//! loom model in `tests/` goes through the interleavings, and finds the deadlock if a fence is left out.
//!
//! **A side that is restarted** finds its own words as it left them, since nobody else writes them. It goes
//! on from there if they make sense beside the other's; else the sender gives up what it sent, and the
//! receiver what it has not read. Either way it signals once, for what its last life may have failed to say.

mod ends;
mod memory;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;

use core::sync::atomic::Ordering;

use cloison_abi::info::Party;
use cloison_sys::one_way;

pub use ends::{FrameEnds, Spoilt};
pub use memory::OneWay;
pub use receiver::{Frame, FrameReceiver};
pub use sender::FrameSender;

use crate::ring::{Bell, Doorbell, RingError, Word};

/// Bytes in front of each frame.
pub const HEADER_BYTES: usize = 8;
/// Bytes that [`FrameReceiver::start`] gives: the Ethernet header, and behind it an ARP packet, or an IPv4
/// header and the ports of TCP or UDP.
pub const START_BYTES: usize = 48;
/// Length in a header behind which there is no frame: the next record lies at the start of the ring.
pub const SKIP: u32 = u32::MAX;
/// Bytes that a position counts as one.
const UNIT: usize = 8;

/// Both ends of the port between this domain and another party, at this domain's side. They go on where this domain's
/// last life left off. `None` if the two have no one-way memory, or it was attached before.
#[must_use]
pub fn attach(party: &'static impl Party) -> Option<(FrameSender, FrameReceiver)> {
    let (outgoing, incoming) = one_way::take(party)?;
    let memory = OneWay::new(&outgoing, incoming);
    let bell = Doorbell::of(party);
    let sender = FrameSender::new(memory, outgoing, bell);
    let receiver = FrameReceiver::new(memory, bell);
    bell.signal();
    Some((sender, receiver))
}

/// The words of a half. All are written by its owner alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Up to where the owner has sent.
    Produced,
    /// Up to where the owner has read the other half.
    Consumed,
    /// The owner wants a signal once the other side has sent beyond this position.
    WakeProduced,
    /// The owner wants a signal once the other side has read beyond this position.
    WakeConsumed,
}

/// How far both sides are, for people to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    /// How far this side is.
    pub own: u32,
    /// How far the other side says that it is.
    pub other: u32,
}

/// The memory of a port, as one side sees it.
pub trait FrameMemory {
    /// The type of this side's words: one that a model checker can watch, in the tests.
    type Word: Word;
    /// What leads to the frames of this side's half; only the sender has it.
    type Data;

    /// Bytes of frames and their headers that a half has room for; the same at each call.
    fn ring_bytes(&self) -> usize;

    /// A word of this side's half.
    fn own(&self, word: Control) -> &Self::Word;

    /// A word of the other half, as it is now.
    fn other(&self, word: Control, ordering: Ordering) -> u32;

    /// Words of eight bytes of the other half from `at` on, a multiple of eight, each read as one.
    fn read_words<const COUNT: usize>(&self, at: usize) -> Option<[u64; COUNT]>;

    /// Copies out of the other half. False, and nothing is copied, if it is out of range.
    fn read(&self, at: usize, to: &mut [u8]) -> bool;

    /// `bytes` bytes of this side's half.
    fn bytes<'a>(&self, data: &'a mut Self::Data, at: usize, bytes: usize) -> Option<&'a mut [u8]>;

    /// Writes a header into this side's half; the bytes behind it are complete.
    fn put_header(&self, data: &mut Self::Data, at: usize, header: u64);

    /// Copies from the other half at `at` into this domain's half of another port.
    fn copy(&self, at: usize, data: &mut Self::Data, to_at: usize, bytes: usize) -> bool;
}

/// The size of a ring in memory of this length: the largest power of two that fits, in units.
fn capacity(bytes: usize) -> u32 {
    let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).min(1 << 28);
    units.checked_ilog2().map_or(1, |bits| 1 << bits)
}

/// Where in the ring a position is, in bytes.
#[inline]
fn place(position: u32, capacity: u32) -> usize {
    (position & (capacity - 1)) as usize * UNIT
}

/// Units from a position to the end of the ring.
#[inline]
fn to_end(position: u32, capacity: u32) -> u32 {
    capacity - (position & (capacity - 1))
}

/// Units that a frame takes up with its header. The caller has checked that it is no longer than the ring.
#[inline]
fn units(bytes: usize) -> u32 {
    // Rounded up; a shift, because `div_ceil` looks at the remainder.
    ((HEADER_BYTES + bytes + UNIT - 1) >> UNIT.trailing_zeros()) as u32
}

/// How far `ahead` is ahead of `behind`, if that is no further than the ring is long.
#[inline]
fn distance(behind: u32, ahead: u32, capacity: u32) -> Result<u32, RingError> {
    let apart = ahead.wrapping_sub(behind);
    if apart <= capacity { Ok(apart) } else { Err(RingError::Corrupt) }
}

/// Whether the other side has asked to be signalled now: whether the position that it named was passed between the last
/// time (`told`) and now. That position is a word of the other half.
#[inline]
fn is_due<M: FrameMemory>(memory: &M, word: Control, told: &mut u32, now: u32) -> bool {
    let passed = now.wrapping_sub(*told);
    if passed == 0 {
        return false;
    }
    *told = now;
    // The position was written before; see the module's text.
    M::Word::fence(Ordering::SeqCst);
    let at = memory.other(word, Ordering::Relaxed);
    now.wrapping_sub(at).wrapping_sub(1) < passed
}

/// Says where this side wants to be woken. What the other side does from here on, this one sees, or is told.
fn ask<M: FrameMemory>(memory: &M, word: Control, at: u32) {
    memory.own(word).store(at, Ordering::Relaxed);
    M::Word::fence(Ordering::SeqCst);
}
