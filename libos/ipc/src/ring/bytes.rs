//! The ring of bytes, and what the ring of records is made of.

use core::sync::atomic::Ordering;

use super::{Bell, Control, RingError, RingMemory, Word, advance, distance, pieces};

/// The side that writes.
#[derive(Debug)]
pub struct Producer<M, B> {
    memory: M,
    pub(super) bell: B,
}

/// The side that reads.
#[derive(Debug)]
pub struct Consumer<M, B> {
    memory: M,
    pub(super) bell: B,
}

impl<M: RingMemory, B: Bell> Producer<M, B> {
    /// Takes the writing side, where the last one left off.
    pub fn new(memory: M, bell: B) -> Self {
        Self { memory, bell }
    }

    /// Empties the ring for a consumer that has just begun, where the last one left off: what that has not
    /// read is dropped, and a position that made no sense is one again.
    pub fn restart(&mut self) {
        let position = own_position(&self.memory, Control::Consumed) as u32;
        // The consumer takes its own position as modulo, too.
        self.memory.word(Control::Consumed).store(position, Ordering::Relaxed);
        self.memory.word(Control::Produced).store(position, Ordering::Release);
    }

    /// How many bytes can be written now.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn room(&self) -> Result<usize, RingError> {
        self.room_from(self.position())
    }

    /// How far this side has written.
    pub(super) fn position(&self) -> usize {
        own_position(&self.memory, Control::Produced)
    }

    /// How many bytes can be written from this position on.
    pub(super) fn room_from(&self, position: usize) -> Result<usize, RingError> {
        let capacity = self.memory.capacity();
        let consumed = self.memory.word(Control::Consumed).load(Ordering::Acquire) as usize;
        if consumed >= 2 * capacity {
            return Err(RingError::Corrupt);
        }
        distance(consumed, position, capacity).map(|filled| capacity - filled)
    }

    /// Writes as many bytes as there is room for, without waiting. Returns how many.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn try_write(&mut self, bytes: &[u8]) -> Result<usize, RingError> {
        let position = self.position();
        let count = self.room_from(position)?.min(bytes.len());
        if count > 0 {
            self.put(position, &bytes[..count]);
            self.publish(position, count);
        }
        Ok(count)
    }

    /// Waits until at least one byte can be written.
    ///
    /// # Errors
    /// [`RingError::Corrupt`], [`RingError::PeerFailed`].
    pub fn wait_for_room(&mut self) -> Result<(), RingError> {
        while self.room()? == 0 {
            if self.prepare_wait(0)? {
                self.bell.wait()?;
            }
        }
        Ok(())
    }

    /// Tells the consumer to signal when it next makes room. Returns whether the caller may wait for that:
    /// false if there is more room than `room` bytes already.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn prepare_wait(&self, room: usize) -> Result<bool, RingError> {
        fall_asleep(&self.memory, Control::ProducerAsleep);
        let wait = self.room()? <= room;
        if !wait {
            self.memory.word(Control::ProducerAsleep).store(0, Ordering::Relaxed);
        }
        Ok(wait)
    }

    /// The position `bytes` bytes behind another one.
    pub(super) fn after(&self, position: usize, bytes: usize) -> usize {
        advance(position, bytes, self.memory.capacity())
    }

    /// Copies bytes to a position. The caller knows that there is room.
    pub(super) fn put(&self, position: usize, bytes: &[u8]) {
        let [(at, first), (rest_at, rest)] = pieces(position, bytes.len(), self.memory.capacity());
        self.memory.write(at, &bytes[..first]);
        self.memory.write(rest_at, &bytes[first..][..rest]);
    }

    /// Shows the consumer `count` bytes from `position` on, and wakes it if it may be waiting.
    pub(super) fn publish(&mut self, position: usize, count: usize) {
        move_on(&self.memory, Control::Produced, position, count);
        wake(&self.memory, Control::ConsumerAsleep, &self.bell);
    }
}

impl<M: RingMemory, B: Bell> Consumer<M, B> {
    /// Takes the reading side, where the last one left off.
    pub fn new(memory: M, bell: B) -> Self {
        Self { memory, bell }
    }

    /// How many bytes can be read now.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn available(&self) -> Result<usize, RingError> {
        self.available_from(self.position())
    }

    /// How far this side has read.
    pub(super) fn position(&self) -> usize {
        own_position(&self.memory, Control::Consumed)
    }

    /// How many bytes can be read from this position on.
    pub(super) fn available_from(&self, position: usize) -> Result<usize, RingError> {
        let produced = self.memory.word(Control::Produced).load(Ordering::Acquire) as usize;
        distance(position, produced, self.memory.capacity())
    }

    /// Reads as many bytes as there are, at most as many as fit, without waiting. Returns how many.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn try_read(&mut self, to: &mut [u8]) -> Result<usize, RingError> {
        let position = self.position();
        let count = self.available_from(position)?.min(to.len());
        if count > 0 {
            self.copy(position, &mut to[..count]);
            self.release(position, count);
        }
        Ok(count)
    }

    /// Waits until at least one byte can be read.
    ///
    /// # Errors
    /// [`RingError::Corrupt`], [`RingError::PeerFailed`].
    pub fn wait_for_bytes(&mut self) -> Result<(), RingError> {
        while self.available()? == 0 {
            if self.prepare_wait(0)? {
                self.bell.wait()?;
            }
        }
        Ok(())
    }

    /// Tells the producer to signal when it next writes. Returns whether the caller may wait for that: false
    /// if more than `available` bytes are there already.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn prepare_wait(&self, available: usize) -> Result<bool, RingError> {
        fall_asleep(&self.memory, Control::ConsumerAsleep);
        let wait = self.available()? <= available;
        if !wait {
            self.memory.word(Control::ConsumerAsleep).store(0, Ordering::Relaxed);
        }
        Ok(wait)
    }

    /// The position `bytes` bytes behind another one.
    pub(super) fn after(&self, position: usize, bytes: usize) -> usize {
        advance(position, bytes, self.memory.capacity())
    }

    /// Copies bytes from a position on. The caller knows that they are there.
    pub(super) fn copy(&self, position: usize, to: &mut [u8]) {
        let [(at, first), (rest_at, rest)] = pieces(position, to.len(), self.memory.capacity());
        self.memory.read(at, &mut to[..first]);
        self.memory.read(rest_at, &mut to[first..][..rest]);
    }

    /// Gives `count` bytes from `position` on back to the producer, and wakes it if it may be waiting.
    pub(super) fn release(&mut self, position: usize, count: usize) {
        move_on(&self.memory, Control::Consumed, position, count);
        wake(&self.memory, Control::ProducerAsleep, &self.bell);
    }
}

/// A side's own position, as the last holder of that side left it. Nonsense becomes some position: the bytes
/// are lost then, as the peer, which can always spoil them, wanted.
fn own_position<M: RingMemory>(memory: &M, word: Control) -> usize {
    memory.word(word).load(Ordering::Acquire) as usize % (2 * memory.capacity())
}

/// Moves a side's own position on by `count` bytes. Not if it is elsewhere: then the memory has been withdrawn in the
/// middle of the operation, or has come back, and this side goes on where it was there.
fn move_on<M: RingMemory>(memory: &M, word: Control, from: usize, count: usize) {
    if own_position(memory, word) == from {
        memory.word(word).store(advance(from, count, memory.capacity()) as u32, Ordering::Release);
    }
}

/// Says that this side may be about to wait. What the other side does from here on, it either sees or it is
/// seen.
fn fall_asleep<M: RingMemory>(memory: &M, asleep: Control) {
    memory.word(asleep).store(1, Ordering::Relaxed);
    M::Word::fence(Ordering::SeqCst);
}

/// Wakes the other side if it may be waiting.
fn wake<M: RingMemory>(memory: &M, asleep: Control, bell: &impl Bell) {
    M::Word::fence(Ordering::SeqCst);
    let word = memory.word(asleep);
    if word.load(Ordering::Relaxed) != 0 {
        word.store(0, Ordering::Relaxed);
        bell.signal();
    }
}
