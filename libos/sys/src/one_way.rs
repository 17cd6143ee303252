//! Memory that only one side writes: what goes out to another domain, and what comes in from it.
//!
//! The plan maps such memory writable to one domain and readable to the other, so the kernel keeps who writes
//! what. Hence the writer may have plain references to its bytes; the reader copies them out, once, because
//! they can change under its eyes.
#![allow(unsafe_code, reason = "addresses from the information page become memory here")]

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use cloison_abi::{
    info::{Channel, Party},
    limits::MAX_MAPPINGS,
};

use crate::memory::{is_in_domain, leads_to_memory};

/// Bytes at the start of each side's memory that hold words, for both sides to look at; the rest is data.
pub const WORD_BYTES: usize = 64;
/// How many words that is.
pub const WORDS: usize = WORD_BYTES / size_of::<u32>();

/// As [`of`], but `None` too if this memory was taken before: for code that may not promise that it asks once.
#[must_use]
pub fn take(party: &'static impl Party) -> Option<(Outgoing, Incoming)> {
    /// Where taken memory starts. There is a place for each mapping that a domain can have.
    static TAKEN: [AtomicU64; MAX_MAPPINGS] = [const { AtomicU64::new(0) }; MAX_MAPPINGS];
    let address = party.channel().address;
    for place in &TAKEN {
        match place.compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed) {
            // SAFETY: no place before this one holds the address, so this is the first time.
            Ok(_) => return unsafe { of(party) },
            Err(taken) if taken == address => return None,
            Err(_) => {}
        }
    }
    None
}

/// Both sides of one-way memory, as a pair: what this domain writes, and what the other party does. `None`
/// if there is no such memory between the two.
///
/// # Safety
/// To be called once for each party: the [`Outgoing`] is the only way to its data.
#[must_use]
pub unsafe fn of(party: &'static impl Party) -> Option<(Outgoing, Incoming)> {
    let &Channel { address, incoming_address, bytes, .. } = party.channel();
    let fits = bytes > WORD_BYTES as u64 && address.is_multiple_of(WORD_BYTES as u64);
    let fits = fits && incoming_address.is_multiple_of(WORD_BYTES as u64);
    let is_there = leads_to_memory(party, address, bytes) && is_in_domain(incoming_address, bytes);
    let length = usize::try_from(bytes).ok()?;
    (fits && is_there).then(|| {
        let outgoing = Outgoing { start: address as *mut u8, bytes: length };
        (outgoing, Incoming { start: incoming_address as *const u8, bytes: length })
    })
}

/// Memory that this domain writes and another one reads.
#[derive(Debug)]
pub struct Outgoing {
    start: *mut u8,
    bytes: usize,
}

/// Memory that another domain writes and this one reads.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    start: *const u8,
    bytes: usize,
}

impl Outgoing {
    /// Bytes of data.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes - WORD_BYTES
    }

    /// Whether there is no room for data; there always is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The words. They can be kept apart from the data, which only this value leads to.
    #[must_use]
    #[inline]
    pub fn words(&self) -> &'static [AtomicU32; WORDS] {
        // SAFETY: `of` has checked that the memory is mapped for good, aligned, and longer than the words;
        // as words it is only ever accessed atomically.
        unsafe { &*self.start.cast() }
    }

    /// `count` bytes of data from `at` on, to fill.
    #[must_use]
    #[inline]
    pub fn bytes_mut(&mut self, at: usize, count: usize) -> Option<&mut [u8]> {
        let start = data(self.bytes, at, count)?;
        // SAFETY: `data` says that they lie in the memory and behind the words. Nobody else can write them
        // (the other domain has them mapped for reading only), and nobody else in this domain refers to them:
        // `of` is called once, and this borrows the only value.
        Some(unsafe { core::slice::from_raw_parts_mut(self.start.add(start), count) })
    }

    /// Copies `count` bytes of what came in, from `from_at` on, to `at`. False, and nothing is copied, if one
    /// of the two is out of range.
    #[must_use]
    #[inline]
    pub fn copy_from(&mut self, at: usize, from: &Incoming, from_at: usize, count: usize) -> bool {
        let (Some(to_start), Some(from_start)) =
            (data(self.bytes, at, count), data(from.bytes, from_at, count))
        else {
            return false;
        };
        // SAFETY: `data` says that both lie in their memories. The two do not overlap: one of them only other
        // domains write. That these may do so now, `copy` does not mind.
        unsafe { cloison_mem::copy(self.start.add(to_start), from.start.add(from_start), count) };
        true
    }
}

impl Incoming {
    /// Bytes of data.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes - WORD_BYTES
    }

    /// Whether there is no room for data; there always is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The word with this number, below [`WORDS`], as it is now.
    #[must_use]
    #[inline]
    pub fn word(&self, number: usize, ordering: Ordering) -> u32 {
        assert!(number < WORDS, "a word of the first {WORD_BYTES} bytes");
        // SAFETY: as for `Outgoing::words`; loading needs no right to write.
        unsafe { (*self.start.cast::<AtomicU32>().add(number)).load(ordering) }
    }

    /// Copies data from `at` on. False, and nothing is copied, if it is out of range.
    #[must_use]
    #[inline]
    pub fn read(&self, at: usize, to: &mut [u8]) -> bool {
        let Some(start) = data(self.bytes, at, to.len()) else { return false };
        // SAFETY: `data` says that the bytes lie in the memory; `to` is this domain's own. That the other
        // domain may write them now, `copy` does not mind.
        unsafe { cloison_mem::copy(to.as_mut_ptr(), self.start.add(start), to.len()) };
        true
    }

    /// This number of words of eight bytes of data from `at` on, a multiple of eight, little endian; each is read once, as a
    /// whole. `None` if they are out of range.
    #[must_use]
    #[inline]
    pub fn read_words<const COUNT: usize>(&self, at: usize) -> Option<[u64; COUNT]> {
        let start = data(self.bytes, at, COUNT * size_of::<u64>()).filter(|start| start.is_multiple_of(8))?;
        let first = self.start.wrapping_add(start).cast::<AtomicU64>();
        // SAFETY: `data` says that the bytes lie in the memory, which `of` found aligned; as words they are only ever
        // loaded.
        Some(core::array::from_fn(|index| unsafe { (*first.add(index)).load(Ordering::Relaxed) }))
    }
}

/// Where `count` bytes of data from `at` on begin in memory of `bytes` bytes, if they lie inside.
#[inline]
fn data(bytes: usize, at: usize, count: usize) -> Option<usize> {
    let start = at.checked_add(WORD_BYTES)?;
    (start.checked_add(count)? <= bytes).then_some(start)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{boxed::Box, vec};

    use cloison_abi::{Name, info::Client};

    use super::*;

    /// Both ends of memory of this size each way.
    fn ends(bytes: usize) -> [(Outgoing, Incoming); 2] {
        let memory = || Box::leak(vec![[0_u64; 8]; bytes / 64].into_boxed_slice()).as_ptr() as u64;
        let (one, other) = (memory().next_multiple_of(64), memory().next_multiple_of(64));
        let party = |address, incoming_address| Client {
            name: Name::EMPTY,
            channel: Channel { address, incoming_address, bytes: bytes as u64 - 64, ..Channel::EMPTY },
            first_grant: 0,
            grants: 0,
        };
        [(one, other), (other, one)].map(|(address, incoming)| {
            let party = Box::leak(Box::new(party(address, incoming)));
            // SAFETY: the memory is leaked, and each party is asked once.
            unsafe { of(party) }.unwrap()
        })
    }

    #[test]
    fn what_one_side_writes_the_other_reads() {
        let [(mut out, from_other), (mut other_out, incoming)] = ends(512);
        out.bytes_mut(3, 5).unwrap().copy_from_slice(b"hello");
        out.words()[1].store(7, Ordering::Release);
        let mut read = [0; 5];
        assert!(incoming.read(3, &mut read));
        assert_eq!(incoming.read_words(0), Some([u64::from_le_bytes(*b"\0\0\0hello"), 0]));
        assert_eq!((&read, incoming.word(1, Ordering::Acquire)), (b"hello", 7));
        assert!(other_out.copy_from(0, &incoming, 3, 5) && from_other.read(0, &mut read));
        assert_eq!(&read, b"hello");
    }

    #[test]
    fn nothing_out_of_range_is_touched() {
        let [(mut out, incoming), _] = ends(512);
        let end = out.len();
        assert_eq!(end, 512 - 128);
        for (at, count) in [(end, 1), (end - 1, 2), (usize::MAX, 1), (usize::MAX - 63, 64), (0, end + 1)] {
            assert!(out.bytes_mut(at, count).is_none(), "{count} bytes at {at}");
            assert!(!out.copy_from(at, &incoming, 0, count) && !out.copy_from(0, &incoming, at, count));
            assert!(!incoming.read(at, &mut vec![0; count]), "{count} bytes at {at}");
        }
        for at in [end - 7, end, usize::MAX - 7, 4] {
            assert_eq!(incoming.read_words::<1>(at), None, "eight bytes at {at}");
        }
        assert_eq!(incoming.read_words::<3>(end - 16), None, "the last of three words");
        assert_eq!(incoming.read_words(end - 24), Some([0; 3]));
        assert!(out.bytes_mut(0, end).is_some() && out.bytes_mut(end, 0).is_some());
    }
}
