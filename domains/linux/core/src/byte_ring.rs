//! A ring of bytes in a page of the guest, with a producer's index and a consumer's. Both run freely and count modulo
//! the ring's size. The guest can write all of it, so what they say is checked each time.

use crate::machine::Memory;
use crate::saved::carried;

/// Where a ring lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRing {
    /// Address of its bytes.
    pub data: u64,
    /// Number of these, a power of two.
    pub size: u32,
    /// Address of the consumer's index.
    pub consumed: u64,
    /// Address of the producer's index.
    pub produced: u64,
}

/// The indices contradict each other, or the ring is not in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

carried!(ByteRing { data, size, consumed, produced });

impl ByteRing {
    /// Takes as much as is there, and fits.
    ///
    /// # Errors
    /// [`Damaged`].
    pub fn take(&self, memory: &mut impl Memory, into: &mut [u8]) -> Result<usize, Damaged> {
        let (consumed, filled) = self.indices(memory)?;
        let taken = into.len().min(filled as usize);
        let (first, second) = into[..taken].split_at_mut(taken.min(self.contiguous(consumed)));
        memory.read(self.address(consumed), first).ok_or(Damaged)?;
        memory.read(self.data, second).ok_or(Damaged)?;
        self.advance(memory, self.consumed, consumed, taken)
    }

    /// Puts in as much as there is room for.
    ///
    /// # Errors
    /// [`Damaged`].
    pub fn put(&self, memory: &mut impl Memory, from: &[u8]) -> Result<usize, Damaged> {
        let (consumed, filled) = self.indices(memory)?;
        let produced = consumed.wrapping_add(filled);
        let put = from.len().min((self.size - filled) as usize);
        let (first, second) = from[..put].split_at(put.min(self.contiguous(produced)));
        memory.write(self.address(produced), first).ok_or(Damaged)?;
        memory.write(self.data, second).ok_or(Damaged)?;
        self.advance(memory, self.produced, produced, put)
    }

    /// What was taken, and how much is in the ring.
    fn indices(&self, memory: &impl Memory) -> Result<(u32, u32), Damaged> {
        let consumed = index(memory, self.consumed)?;
        let filled = index(memory, self.produced)?.wrapping_sub(consumed);
        if filled > self.size { Err(Damaged) } else { Ok((consumed, filled)) }
    }

    fn address(&self, index: u32) -> u64 {
        self.data + u64::from(index % self.size)
    }

    /// Bytes from an index to the end of the ring.
    fn contiguous(&self, index: u32) -> usize {
        (self.size - index % self.size) as usize
    }

    fn advance(&self, memory: &mut impl Memory, at: u64, index: u32, by: usize) -> Result<usize, Damaged> {
        if by > 0 {
            memory.write(at, &index.wrapping_add(by as u32).to_le_bytes()).ok_or(Damaged)?;
        }
        Ok(by)
    }
}

fn index(memory: &impl Memory, at: u64) -> Result<u32, Damaged> {
    let mut bytes = [0; 4];
    memory.read(at, &mut bytes).ok_or(Damaged)?;
    Ok(u32::from_le_bytes(bytes))
}
