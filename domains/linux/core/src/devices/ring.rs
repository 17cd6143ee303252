//! The backend's side of a ring of requests and responses. A response takes the place of the request that it answers;
//! the guest can write all of it at any time, so the backend's own indices are kept here.

use core::mem::offset_of;

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::ring::{ENTRIES, RingHeader};

use crate::byte_ring::Damaged;
use crate::machine::Memory;
use crate::saved::carried;

/// A ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackRing {
    page: u64,
    entries: u32,
    entry_bytes: u32,
    taken: u32,
    answered: u32,
    published: u32,
}

carried!(BackRing { page, entries, entry_bytes, taken, answered, published });

impl BackRing {
    /// A ring in a page; its entries are as large as the larger one of request and response.
    #[must_use]
    pub fn new(page: u64, entry_bytes: u32) -> Self {
        let entries = (PAGE_BYTES - ENTRIES) as u32 / entry_bytes;
        // The largest power of two that fits.
        let entries = 1 << entries.ilog2();
        Self { page, entries, entry_bytes, taken: 0, answered: 0, published: 0 }
    }

    /// Takes the next request; `false` if there is none, and then the guest tells of the next one.
    ///
    /// # Errors
    /// [`Damaged`] if more requests are said to be there than there is room for.
    pub fn take(&mut self, memory: &mut impl Memory, request: &mut [u8]) -> Result<bool, Damaged> {
        if !self.has_request(memory)? {
            return Ok(false);
        }
        memory.read(self.entry(self.taken), request).ok_or(Damaged)?;
        self.taken = self.taken.wrapping_add(1);
        Ok(true)
    }

    /// Whether a request can be taken; if not, the guest tells of the next one.
    ///
    /// # Errors
    /// As [`BackRing::take`].
    pub fn has_request(&self, memory: &mut impl Memory) -> Result<bool, Damaged> {
        let is_there = self.waiting(memory)? > 0;
        if !is_there {
            let next = self.taken.wrapping_add(1);
            self.store(memory, offset_of!(RingHeader, request_event), next)?;
        }
        Ok(is_there)
    }

    /// Requests that can be taken.
    pub(super) fn waiting(&self, memory: &impl Memory) -> Result<u32, Damaged> {
        let waiting = self.load(memory, offset_of!(RingHeader, requests))?.wrapping_sub(self.taken);
        // What is taken and not answered has its place too.
        let room = self.entries - self.taken.wrapping_sub(self.answered);
        if waiting > room { Err(Damaged) } else { Ok(waiting) }
    }

    /// Answers the oldest request that is not answered. The guest sees it once it is published.
    ///
    /// # Errors
    /// [`Damaged`] if each one is answered.
    pub fn answer(&mut self, memory: &mut impl Memory, response: &[u8]) -> Result<(), Damaged> {
        if self.answered == self.taken {
            return Err(Damaged);
        }
        memory.write(self.entry(self.answered), response).ok_or(Damaged)?;
        self.answered = self.answered.wrapping_add(1);
        Ok(())
    }

    /// Shows the guest all answers; `true` if it wants to be told.
    ///
    /// # Errors
    /// [`Damaged`].
    pub fn publish(&mut self, memory: &mut impl Memory) -> Result<bool, Damaged> {
        let before = self.published;
        self.published = self.answered;
        self.store(memory, offset_of!(RingHeader, responses), self.answered)?;
        let wanted = self.load(memory, offset_of!(RingHeader, response_event))?;
        Ok(self.answered.wrapping_sub(wanted) < self.answered.wrapping_sub(before))
    }

    fn entry(&self, index: u32) -> u64 {
        self.page + ENTRIES + u64::from(index % self.entries * self.entry_bytes)
    }

    fn load(&self, memory: &impl Memory, field: usize) -> Result<u32, Damaged> {
        let mut bytes = [0; 4];
        memory.read(self.page + field as u64, &mut bytes).ok_or(Damaged)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn store(&self, memory: &mut impl Memory, field: usize, value: u32) -> Result<(), Damaged> {
        memory.write(self.page + field as u64, &value.to_le_bytes()).ok_or(Damaged)
    }
}
