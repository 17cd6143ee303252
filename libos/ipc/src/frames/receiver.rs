//! The end that frames come out of.

use core::sync::atomic::Ordering;

use super::{
    Control, FrameMemory, FrameSender, HEADER_BYTES, OneWay, Positions, SKIP, START_BYTES, UNIT, ask,
    capacity, distance, is_due, place, to_end, units,
};
use crate::ring::{Bell, Doorbell, RingError, Word};

/// The words that are the start of a frame.
const START_WORDS: usize = START_BYTES / size_of::<u64>();

/// The end of a port that receives.
#[derive(Debug)]
pub struct FrameReceiver<M: FrameMemory = OneWay, B = Doorbell> {
    memory: M,
    bell: B,
    capacity: u32,
    /// Up to where frames are released; as for the sender.
    position: u32,
    /// The position at the last flush.
    told: u32,
    /// Where the frame that `next` gave ends, as a position; the position itself if there is none.
    end: u32,
    /// Where that frame begins in the ring, in bytes, and how long it is.
    at: usize,
    bytes: usize,
}

/// What is known of a frame without looking into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// How long it is.
    pub bytes: usize,
    /// What the sender said of it.
    pub tag: u32,
}

impl<M: FrameMemory, B: Bell> FrameReceiver<M, B> {
    /// Takes this end, where the last one left off.
    pub fn new(memory: M, bell: B) -> Self {
        let capacity = capacity(memory.ring_bytes());
        let position = memory.own(Control::Consumed).load(Ordering::Relaxed);
        let mut receiver =
            Self { memory, bell, capacity, position, told: position, end: position, at: 0, bytes: 0 };
        if receiver.available().is_err() {
            receiver.resync();
        }
        receiver
    }

    /// The oldest frame that is not released yet.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    #[allow(clippy::should_implement_trait, reason = "an iterator's `next` would give each frame once")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Frame>, RingError> {
        let available = self.available()?;
        if available == 0 {
            return Ok(None);
        }
        let (start, left) = (self.position, available.min(to_end(self.position, self.capacity)));
        let header = self.header(start)?;
        if header as u32 == SKIP {
            return self.next_at_start(available).map(Some);
        }
        self.accept(start, left, header).map(Some)
    }

    /// The first bytes of the frame that [`next`](Self::next) gave, copied out; zeros behind a shorter one.
    /// Each call reads them again, and the other side may have changed them.
    #[must_use]
    #[inline]
    pub fn start(&self) -> [u8; START_BYTES] {
        if self.bytes < START_BYTES {
            return self.short_start();
        }
        // Six words are a few instructions, where a copy has to ask how much there is.
        let words = self.memory.read_words::<START_WORDS>(self.at);
        debug_assert!(words.is_some(), "`next` has found the frame inside of the ring");
        let mut start = [0; START_BYTES];
        for (bytes, word) in start.as_chunks_mut().0.iter_mut().zip(words.unwrap_or_default()) {
            *bytes = word.to_le_bytes();
        }
        start
    }

    /// The same for a frame that is shorter than that.
    #[inline(never)]
    fn short_start(&self) -> [u8; START_BYTES] {
        let mut start = [0; START_BYTES];
        let read = self.memory.read(self.at, &mut start[..self.bytes]);
        debug_assert!(read, "`next` has found the frame inside of the ring");
        start
    }

    /// Copies out of the frame that [`next`](Self::next) gave, from `at` on. False, and nothing is copied, if
    /// the frame is shorter.
    #[must_use]
    #[inline]
    pub fn read(&self, at: usize, to: &mut [u8]) -> bool {
        self.has(at, to.len()) && self.memory.read(self.at + at, to)
    }

    /// Copies `bytes` bytes from `at` on straight into the frame that `sender` has reserved, from `to_at` on:
    /// the one copy on the way from domain to domain. False, and nothing is copied, if one of the two frames
    /// is shorter.
    #[must_use]
    #[inline]
    pub fn copy_to<C: Bell>(
        &self,
        at: usize,
        sender: &mut FrameSender<M, C>,
        to_at: usize,
        bytes: usize,
    ) -> bool {
        self.has(at, bytes) && sender.fill(&self.memory, self.at + at, to_at, bytes)
    }

    /// Drops the frame that [`next`](Self::next) gave. Call [`flush`](Self::flush) after the last one of a
    /// batch, or a sender that waits for room may sleep on.
    #[inline]
    pub fn release(&mut self) {
        self.move_to(self.end);
    }

    /// Wakes the other side if it waits for room and has not been told of what was released since.
    #[inline]
    pub fn flush(&mut self) {
        if is_due(&self.memory, Control::WakeConsumed, &mut self.told, self.position) {
            self.bell.signal();
        }
    }

    /// Asks to be woken when a frame comes. Returns whether the caller may wait for that: false if one is
    /// here now.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    #[inline]
    pub fn prepare_wait(&mut self) -> Result<bool, RingError> {
        ask(&self.memory, Control::WakeProduced, self.position);
        self.available().map(|available| available == 0)
    }

    /// Gives up what was sent and not read yet, and signals: the way on with a peer that left nonsense.
    pub fn resync(&mut self) {
        self.move_to(self.memory.other(Control::Produced, Ordering::Acquire));
        self.told = self.position;
        self.bell.signal();
    }

    /// How far this end has released, and how far the other side says that it has sent.
    #[must_use]
    pub fn positions(&self) -> Positions {
        Positions { own: self.position, other: self.memory.other(Control::Produced, Ordering::Relaxed) }
    }

    /// The frame behind a skip, which leads to the start of the ring.
    #[cold]
    fn next_at_start(&mut self, available: u32) -> Result<Frame, RingError> {
        let skipped = to_end(self.position, self.capacity);
        // A skip at the start, or with nothing behind it, leads nowhere.
        if skipped == self.capacity || available <= skipped {
            return Err(RingError::Corrupt);
        }
        let start = self.position.wrapping_add(skipped);
        let header = self.header(start)?;
        self.accept(start, available - skipped, header)
    }

    /// Takes the record at `start` for the next frame, if its header makes sense with `left` units behind it
    /// in one piece.
    #[inline]
    fn accept(&mut self, start: u32, left: u32, header: u64) -> Result<Frame, RingError> {
        let bytes = header as u32 as usize;
        if bytes + HEADER_BYTES > left as usize * UNIT {
            self.forget();
            return Err(RingError::Corrupt);
        }
        self.at = place(start, self.capacity) + HEADER_BYTES;
        self.bytes = bytes;
        self.end = start.wrapping_add(units(bytes));
        Ok(Frame { bytes, tag: (header >> 32) as u32 })
    }

    #[inline]
    fn header(&self, position: u32) -> Result<u64, RingError> {
        let words = self.memory.read_words(place(position, self.capacity));
        words.map(|[header]| header).ok_or(RingError::Corrupt)
    }

    /// Units that were sent and are not released.
    #[inline]
    fn available(&self) -> Result<u32, RingError> {
        // Acquire: what was sent is there.
        let produced = self.memory.other(Control::Produced, Ordering::Acquire);
        distance(self.position, produced, self.capacity)
    }

    /// Whether the frame that `next` gave has this number of bytes from `at` on.
    #[inline]
    fn has(&self, at: usize, bytes: usize) -> bool {
        at.checked_add(bytes).is_some_and(|end| end <= self.bytes)
    }

    /// Releases everything before `position`.
    #[inline]
    fn move_to(&mut self, position: u32) {
        self.position = position;
        self.forget();
        // Release: this side has read what the other may overwrite from now on.
        self.memory.own(Control::Consumed).store(position, Ordering::Release);
    }

    /// There is no frame that `next` gave.
    #[inline]
    fn forget(&mut self) {
        (self.end, self.bytes) = (self.position, 0);
    }
}
