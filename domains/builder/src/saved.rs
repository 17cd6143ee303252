//! What a domain was, kept until it goes on from there: its memory, and the registers of its thread.
//!
//! The memory is copied into a region of the budget that nobody but the builder ever sees; the rest stays in the builder. What
//! is kept is used once: it is gone when the domain has gone on from there, so nobody can have it live the same time twice.
//! Slots, mappings and page tables are not kept. They are those of the plan, as at each start.

use alloc::{vec, vec::Vec};

use cloison_abi::{
    CallError, CallNumber,
    capture::{CAPTURE_RECEIVES, CAPTURE_WAITS, capture_parts},
    image::Digest,
    limits::{EVENT_PEER_FAILED, PAGE_BYTES},
};
use cloison_sys::Slot;
use sha2::{Digest as _, Sha256};

use builder_api::State;

use crate::{
    BuildError, Kernel, Site, Step,
    site::{Choice, Saved},
};

/// Bytes that are copied at a time.
const CHUNK_BYTES: u64 = 4 * PAGE_BYTES;

/// Bytes of the instruction that makes a call.
const CALL_BYTES: u64 = 2;

impl<K: Kernel> Site<'_, K> {
    /// Keeps what a domain that is held is, and ends it. If that fails before it has ended, it is as it was. Returns how many
    /// pages the budget has less until it is restored or forgotten.
    ///
    /// # Errors
    /// [`BuildError::Refused`], with [`CallError::BadState`] if it waits for an answer; [`BuildError::Memory`],
    /// [`BuildError::Piece`].
    pub fn save(&mut self, domain: u32) -> Result<u64, BuildError> {
        let registers = self.capture(domain)?;
        let pages: u64 = self.plan.memory_of(domain).map(|place| self.pages_of(place)).sum();
        let store = self.carve_budget(pages as u32)?;
        let image = self.shell(domain)?.choice.image;
        match self
            .copy(domain, store.slot, true, &registers)
            .and_then(|digest| self.kill(domain).map(|()| digest))
        {
            Ok(digest) => {
                self.keep(domain, Saved { registers, store, image, digest });
                self.set_state(domain, State::Saved);
                Ok(pages)
            }
            Err(error) => {
                self.delete(store);
                Err(error)
            }
        }
    }

    /// Lets a domain that does not live go on from where it was saved. If that fails, it is saved still.
    ///
    /// # Errors
    /// [`BuildError::Changed`] if what was kept is not what it was; [`BuildError::Refused`], [`BuildError::Memory`],
    /// [`BuildError::Piece`]; [`BuildError::Image`] if nothing was kept.
    pub fn restore(&mut self, domain: u32) -> Result<(), BuildError> {
        let saved = self.take_saved(domain).ok_or(BuildError::Image("nothing of a domain was kept"))?;
        match self.begin_restored(domain, &saved) {
            Ok(()) => {
                self.delete(saved.store);
                self.set_state(domain, State::Running);
                Ok(())
            }
            Err(error) => {
                // What is refused here is refused again when it is killed.
                let _ = self.take_memory(domain);
                self.keep(domain, saved);
                Err(error)
            }
        }
    }

    /// Forgets what was kept of a domain: its memory is scrubbed, and free.
    pub fn forget_saved(&mut self, domain: u32) {
        if let Some(saved) = self.take_saved(domain) {
            self.delete(saved.store);
            self.set_state(domain, State::Defined);
        }
    }

    /// Which of its images a domain has lived with when it was saved, if something was kept of it.
    #[must_use]
    pub fn saved_image(&self, domain: u32) -> Option<u8> {
        self.shell(domain).ok()?.saved.as_ref().map(|saved| saved.image)
    }

    fn take_saved(&mut self, domain: u32) -> Option<Saved> {
        self.shells.get_mut(domain as usize)?.as_mut()?.saved.take()
    }

    fn keep(&mut self, domain: u32, saved: Saved) {
        if let Some(Some(shell)) = self.shells.get_mut(domain as usize) {
            shell.saved = Some(saved);
        }
    }

    /// With what the thread of a domain goes on.
    fn capture(&mut self, domain: u32) -> Result<Vec<[u64; 4]>, BuildError> {
        let slot = self.shell(domain)?.slot;
        let parts = capture_parts().map(|part| self.kernel.capture(slot, part));
        let parts: Result<Vec<_>, CallError> = parts.collect();
        let mut parts = parts.map_err(|error| BuildError::Refused("reading registers", error))?;
        call_again(&mut parts);
        Ok(parts)
    }

    fn begin_restored(&mut self, domain: u32, saved: &Saved) -> Result<(), BuildError> {
        self.choose(domain, Choice { guest_pages: 0, image: saved.image });
        self.give_memory(domain)?;
        let slot = self.shell(domain)?.slot;
        self.carry_out(Step::Reset { domain: slot })?;
        // What is checked is what the domain sees: it is read once.
        if self.copy(domain, saved.store.slot, false, &saved.registers)? != saved.digest {
            return Err(BuildError::Changed);
        }
        for (part, words) in capture_parts().zip(&saved.registers) {
            self.carry_out(Step::Restore { domain: slot, part, words: *words })?;
        }
        Ok(())
    }

    /// Copies the memory of a domain to its copy, or back. Returns the digest of all that is kept of it: with another plan,
    /// another program or other registers, it is another one.
    fn copy(
        &mut self,
        domain: u32,
        store: Slot,
        is_saved: bool,
        registers: &[[u64; 4]],
    ) -> Result<Digest, BuildError> {
        let mut digest = Sha256::new();
        digest.update(self.image.plan_digest());
        digest.update(self.program(domain)?.digest);
        registers.iter().flatten().for_each(|word| digest.update(word.to_le_bytes()));
        // One after the other: a list of all of them would not fit into the heap.
        let mut buffer = vec![0; CHUNK_BYTES as usize];
        let (plan, mut stored_at) = (self.plan, 0);
        for place in plan.memory_of(domain) {
            let (region, end) = (self.region(place)?, self.pages_of(place) * PAGE_BYTES);
            for offset in (0..end).step_by(CHUNK_BYTES as usize) {
                let bytes = buffer.get_mut(..(end - offset).min(CHUNK_BYTES) as usize).unwrap_or_default();
                let (own, copy) = ((region, offset), (store, stored_at + offset));
                let (from, to) = if is_saved { (own, copy) } else { (copy, own) };
                self.move_bytes(from, to, bytes)?;
                digest.update(&*bytes);
            }
            stored_at += end;
        }
        Ok(digest.finalize().into())
    }

    /// Copies bytes from an offset in a region to one in another.
    fn move_bytes(
        &mut self,
        (from, at): (Slot, u64),
        (region, offset): (Slot, u64),
        bytes: &mut [u8],
    ) -> Result<(), BuildError> {
        self.kernel.read(from, at, bytes).map_err(|error| BuildError::Refused("reading memory", error))?;
        self.carry_out(Step::Load { region, offset, bytes })
    }
}

/// A thread that waited waits again: it goes on with the call by which it does so. That is the wait alone, whatever else it was
/// made for: that was done before. It is told to look after its peers, one of which may have failed meanwhile.
fn call_again(parts: &mut [[u64; 4]]) {
    let [registers, .., last] = parts else { return };
    let number = match last[2] & (CAPTURE_RECEIVES | CAPTURE_WAITS) {
        CAPTURE_RECEIVES => Some(CallNumber::ReplyWait),
        CAPTURE_WAITS => Some(CallNumber::Wait),
        _ => None,
    };
    if let Some(number) = number {
        registers[0] = number as u64;
        last[0] = last[0].wrapping_sub(CALL_BYTES);
    }
    last[3] |= 1 << EVENT_PEER_FAILED;
}
