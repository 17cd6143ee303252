//! The ring of records: each is read as it was written, whole.
//!
//! A record is its length, 4 bytes little endian, and its bytes. The producer shows both in one step, so the
//! consumer never meets half a record from an honest peer; from another one it takes it for
//! [`RingError::Corrupt`].

use super::{Bell, Consumer, Producer, RingError, RingMemory};

/// Bytes in front of each record.
const LENGTH_BYTES: usize = 4;

/// The side that writes records.
#[derive(Debug)]
pub struct RecordProducer<M, B>(Producer<M, B>);

/// The side that reads records.
#[derive(Debug)]
pub struct RecordConsumer<M, B>(Consumer<M, B>);

impl<M: RingMemory, B: Bell> RecordProducer<M, B> {
    /// Takes the writing side, where the last one left off.
    pub fn new(memory: M, bell: B) -> Self {
        Self(Producer::new(memory, bell))
    }

    /// Writes a record if there is room for it, without waiting. Returns whether there was.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn try_write(&mut self, record: &[u8]) -> Result<bool, RingError> {
        let Ok(length) = u32::try_from(record.len()) else { return Ok(false) };
        let (position, bytes) = (self.0.position(), LENGTH_BYTES + record.len());
        if self.0.room_from(position)? < bytes {
            return Ok(false);
        }
        self.0.put(position, &length.to_le_bytes());
        self.0.put(self.0.after(position, LENGTH_BYTES), record);
        self.0.publish(position, bytes);
        Ok(true)
    }

    /// As [`Producer::prepare_wait`]: tells the consumer to signal. Returns false if a record of `bytes`
    /// bytes fits now.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn prepare_wait(&self, bytes: usize) -> Result<bool, RingError> {
        self.0.prepare_wait((LENGTH_BYTES + bytes).saturating_sub(1))
    }
}

impl<M: RingMemory, B: Bell> RecordConsumer<M, B> {
    /// Takes the reading side, where the last one left off.
    pub fn new(memory: M, bell: B) -> Self {
        Self(Consumer::new(memory, bell))
    }

    /// Length of the next record, if there is one.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] if it is not there whole.
    pub fn next_length(&self) -> Result<Option<usize>, RingError> {
        self.length_at(self.0.position())
    }

    /// The same of the record at this position.
    fn length_at(&self, position: usize) -> Result<Option<usize>, RingError> {
        let available = self.0.available_from(position)?;
        if available == 0 {
            return Ok(None);
        }
        let rest = available.checked_sub(LENGTH_BYTES).ok_or(RingError::Corrupt)?;
        let mut length = [0; LENGTH_BYTES];
        self.0.copy(position, &mut length);
        let length = u32::from_le_bytes(length) as usize;
        if length <= rest { Ok(Some(length)) } else { Err(RingError::Corrupt) }
    }

    /// Reads the next record, without waiting. Returns its length; `None` if there is none.
    ///
    /// # Errors
    /// [`RingError::Corrupt`]; [`RingError::TooLong`] if it does not fit, and it stays in the ring.
    pub fn try_read(&mut self, to: &mut [u8]) -> Result<Option<usize>, RingError> {
        // The length is read once: the producer can change it at any time.
        let position = self.0.position();
        let Some(length) = self.length_at(position)? else { return Ok(None) };
        let record = to.get_mut(..length).ok_or(RingError::TooLong(length))?;
        self.0.copy(self.0.after(position, LENGTH_BYTES), record);
        self.0.release(position, LENGTH_BYTES + length);
        Ok(Some(length))
    }

    /// Drops the next record unread. Returns whether there was one.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn skip(&mut self) -> Result<bool, RingError> {
        let position = self.0.position();
        let Some(length) = self.length_at(position)? else { return Ok(false) };
        self.0.release(position, LENGTH_BYTES + length);
        Ok(true)
    }

    /// As [`Consumer::prepare_wait`]: tells the producer to signal. Returns false if there is a record now.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn prepare_wait(&self) -> Result<bool, RingError> {
        self.0.prepare_wait(0)
    }
}
