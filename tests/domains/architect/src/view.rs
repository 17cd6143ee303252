//! A page of somebody's memory, as the architect sees it.
#![allow(unsafe_code, reason = "memory that was mapped by call becomes words to read and write")]

use cloison_abi::limits::PAGE_BYTES;

/// A page that the architect sees.
#[derive(Clone, Copy)]
pub struct View(u64);

impl View {
    const WORDS: usize = PAGE_BYTES as usize / 8;

    /// The page at an address.
    ///
    /// # Safety
    /// It is mapped there until the act is over, and no view is kept for longer.
    pub const unsafe fn at(address: u64) -> Self {
        Self(address)
    }

    /// One of its words.
    pub fn get(self, word: usize) -> u64 {
        assert!(word < Self::WORDS, "a word of the page");
        // SAFETY: the maker of the view vouches for the page, and the word is one of its own.
        unsafe { (self.0 as *const u64).add(word).read_volatile() }
    }

    /// Sets one of its words.
    pub fn set(self, word: usize, value: u64) {
        assert!(word < Self::WORDS, "a word of the page");
        // SAFETY: as for `get`; no reference into the page is ever made.
        unsafe { (self.0 as *mut u64).add(word).write_volatile(value) };
    }

    /// Whether all of it is zero.
    pub fn is_zero(self) -> bool {
        (0..Self::WORDS).all(|word| self.get(word) == 0)
    }
}
