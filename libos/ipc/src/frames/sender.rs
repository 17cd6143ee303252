//! The end that frames go into.

use core::sync::atomic::Ordering;

use super::{
    Control, FrameMemory, HEADER_BYTES, OneWay, Positions, SKIP, UNIT, ask, capacity, distance, is_due,
    place, to_end, units,
};
use crate::ring::{Bell, Doorbell, Keep, RingError, Word};

/// The end of a port that sends.
#[derive(Debug)]
pub struct FrameSender<M: FrameMemory = OneWay, B = Doorbell> {
    memory: M,
    data: M::Data,
    bell: B,
    capacity: u32,
    /// Up to where frames are published. The word in the memory is for the other side; it is read at the
    /// start only.
    position: u32,
    /// The position at the last flush.
    told: u32,
    /// Where the frame begins that is reserved, header included: here or at the start of the ring.
    start: u32,
    /// Bytes reserved for it; 0: none is.
    reserved: usize,
}

impl<M: FrameMemory, B: Bell> FrameSender<M, B> {
    /// Takes this end, where the last one left off.
    pub fn new(memory: M, data: M::Data, bell: B) -> Self {
        let capacity = capacity(memory.ring_bytes());
        let position = memory.own(Control::Produced).load(Ordering::Relaxed);
        let mut sender =
            Self { memory, data, bell, capacity, position, told: position, start: 0, reserved: 0 };
        if sender.room().is_err() {
            sender.resync();
        }
        sender
    }

    /// Length of the longest frame that can ever be sent.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.capacity as usize * UNIT / 2 - HEADER_BYTES
    }

    /// A place for a frame of `bytes` bytes, for [`publish`](Self::publish) to send. `None` if there is no
    /// room now. What was there before means nothing.
    ///
    /// # Errors
    /// [`RingError::Corrupt`]; [`RingError::TooLong`] if there can never be room.
    #[inline]
    pub fn reserve(&mut self, bytes: usize) -> Result<Option<&mut [u8]>, RingError> {
        self.reserved = 0;
        let (start, needed) = self.fit(bytes)?;
        if self.room()? < needed {
            return Ok(None);
        }
        (self.start, self.reserved) = (start, bytes);
        let at = self.frame_at();
        Ok(self.memory.bytes(&mut self.data, at, bytes))
    }

    /// Sends the frame last reserved, or its first `bytes` bytes. Call [`flush`](Self::flush) after the last
    /// one of a batch, or the other side may sleep on.
    ///
    /// # Panics
    /// If fewer bytes are reserved.
    #[inline]
    pub fn publish(&mut self, bytes: usize, tag: u32) {
        assert!(bytes <= self.reserved, "a frame is published after it was reserved, and no longer");
        if self.start != self.position {
            let at = place(self.position, self.capacity);
            self.memory.put_header(&mut self.data, at, SKIP.into());
        }
        let at = place(self.start, self.capacity);
        self.memory.put_header(&mut self.data, at, u64::from(tag) << 32 | bytes as u64);
        self.position = self.start.wrapping_add(units(bytes));
        self.reserved = 0;
        self.memory.own(Control::Produced).store(self.position, Ordering::Release);
    }

    /// Wakes the other side if it waits for a frame and has not been told of those sent since.
    #[inline]
    pub fn flush(&mut self) {
        if self.is_due() {
            self.bell.signal();
        }
    }

    /// The same, but for the signal: if there has to be one, the caller gets it, to be given with its next wait.
    #[inline]
    pub fn flush_keeping(&mut self) -> Option<B::Kept>
    where
        B: Keep,
    {
        if self.is_due() { self.bell.keep() } else { None }
    }

    /// Asks to be woken when there is room for a frame of `bytes` bytes. Returns whether the caller may wait
    /// for that: false if there is room now.
    ///
    /// # Errors
    /// As for [`reserve`](Self::reserve).
    pub fn prepare_wait(&mut self, bytes: usize) -> Result<bool, RingError> {
        let (_, needed) = self.fit(bytes)?;
        let enough = self.position.wrapping_add(needed).wrapping_sub(self.capacity);
        ask(&self.memory, Control::WakeConsumed, enough.wrapping_sub(1));
        Ok(self.room()? < needed)
    }

    /// Gives up what was sent and not read yet, and signals: the way on with a peer whose words made no sense.
    pub fn resync(&mut self) {
        self.position = self.memory.other(Control::Consumed, Ordering::Acquire);
        (self.told, self.reserved) = (self.position, 0);
        self.memory.own(Control::Produced).store(self.position, Ordering::Release);
        self.bell.signal();
    }

    /// How far this end has sent, and how far the other side says that it has read.
    #[must_use]
    pub fn positions(&self) -> Positions {
        Positions { own: self.position, other: self.memory.other(Control::Consumed, Ordering::Relaxed) }
    }

    /// Copies from `at` of the other half of another port into the frame that is reserved, from `to_at` on.
    #[inline]
    pub(super) fn fill(&mut self, from: &M, at: usize, to_at: usize, bytes: usize) -> bool {
        let inside = to_at.checked_add(bytes).is_some_and(|end| end <= self.reserved);
        let frame_at = self.frame_at();
        inside && from.copy(at, &mut self.data, frame_at + to_at, bytes)
    }

    /// Whether the other side waits for what was sent since it was last told.
    #[inline]
    fn is_due(&mut self) -> bool {
        is_due(&self.memory, Control::WakeProduced, &mut self.told, self.position)
    }

    /// Units that are free.
    #[inline]
    fn room(&self) -> Result<u32, RingError> {
        // Acquire: the other side has done with the bytes that are written next.
        let consumed = self.memory.other(Control::Consumed, Ordering::Acquire);
        distance(consumed, self.position, self.capacity).map(|used| self.capacity - used)
    }

    /// Where a frame of this length would begin, and how many units that takes, those skipped included.
    #[inline]
    fn fit(&self, bytes: usize) -> Result<(u32, u32), RingError> {
        if bytes > self.longest() {
            return Err(RingError::TooLong(bytes));
        }
        let (needed, rest) = (units(bytes), to_end(self.position, self.capacity));
        if needed <= rest {
            Ok((self.position, needed))
        } else {
            Ok((self.position.wrapping_add(rest), rest + needed))
        }
    }

    /// Where the frame that is reserved begins in the ring, in bytes.
    #[inline]
    fn frame_at(&self) -> usize {
        place(self.start, self.capacity) + HEADER_BYTES
    }
}
