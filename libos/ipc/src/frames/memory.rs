//! Frames in memory that the plan gives to two domains.

use core::sync::atomic::{AtomicU32, Ordering};

use cloison_sys::one_way::{Incoming, Outgoing, WORDS};

use super::{Control, FrameMemory, HEADER_BYTES};

/// Memory of a port: one half for each side to write.
#[derive(Clone, Copy, Debug)]
pub struct OneWay {
    own: &'static [AtomicU32; WORDS],
    incoming: Incoming,
}

impl OneWay {
    /// The memory whose halves these are. The frames of the first stay with who has it.
    #[must_use]
    pub fn new(outgoing: &Outgoing, incoming: Incoming) -> Self {
        Self { own: outgoing.words(), incoming }
    }
}

impl FrameMemory for OneWay {
    type Word = AtomicU32;
    type Data = Outgoing;

    #[inline]
    fn ring_bytes(&self) -> usize {
        // Both halves have the length of one entry.
        self.incoming.len()
    }

    #[inline]
    fn own(&self, word: Control) -> &AtomicU32 {
        &self.own[word as usize]
    }

    #[inline]
    fn other(&self, word: Control, ordering: Ordering) -> u32 {
        self.incoming.word(word as usize, ordering)
    }

    #[inline]
    fn read_words<const COUNT: usize>(&self, at: usize) -> Option<[u64; COUNT]> {
        self.incoming.read_words(at)
    }

    #[inline]
    fn read(&self, at: usize, to: &mut [u8]) -> bool {
        self.incoming.read(at, to)
    }

    #[inline]
    fn bytes<'a>(&self, data: &'a mut Outgoing, at: usize, bytes: usize) -> Option<&'a mut [u8]> {
        data.bytes_mut(at, bytes)
    }

    #[inline]
    fn put_header(&self, data: &mut Outgoing, at: usize, header: u64) {
        if let Some(place) = data.bytes_mut(at, HEADER_BYTES) {
            place.copy_from_slice(&header.to_le_bytes());
        }
    }

    #[inline]
    fn copy(&self, at: usize, data: &mut Outgoing, to_at: usize, bytes: usize) -> bool {
        data.copy_from(to_at, &self.incoming, at, bytes)
    }
}
