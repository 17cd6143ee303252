//! Physical memory: pages of a `Vec`.

use std::{cell::RefCell, vec::Vec};

use cloison_rules::{Frame, memory::Run};

/// Words of a page.
pub const WORDS: usize = 512;
/// The first page of memory.
pub const FIRST_FRAME: u64 = 0x100;

/// Memory, and what the CPU has loaded.
#[derive(Default)]
struct Ram {
    words: Vec<u64>,
    loaded: u64,
    flushes: u64,
}

std::thread_local! {
    static RAM: RefCell<Ram> = RefCell::default();
}

/// Begins with this number of pages of memory, all zero.
pub fn reset(pages: usize) {
    RAM.with_borrow_mut(|ram| *ram = Ram { words: std::vec![0; pages * WORDS], ..Ram::default() });
}

/// The place of a frame's first word. One that is not memory has none, and the test fails.
fn place(frame: Frame) -> usize {
    let page = frame.number().checked_sub(FIRST_FRAME).expect("a page below memory is touched");
    page as usize * WORDS
}

/// The words of a page.
pub fn page(frame: Frame) -> [u64; WORDS] {
    let first = place(frame);
    RAM.with_borrow(|ram| ram.words[first..first + WORDS].try_into().expect("a page is a page"))
}

/// Writes to the first word of a page, as a domain could that sees it.
pub fn scribble(frame: Frame, word: u64) {
    write(frame, 0, word);
}

/// The same, to any of its words.
pub fn write(frame: Frame, index: usize, word: u64) {
    let first = place(frame);
    RAM.with_borrow_mut(|ram| ram.words[first + index] = word);
}

/// How often the CPU was told to forget an address.
pub fn flushes() -> u64 {
    RAM.with_borrow(|ram| ram.flushes)
}

/// Nothing follows such an address here.
pub(in crate::arch) fn direct(physical: u64) -> u64 {
    physical
}

/// # Safety
/// As on a PC.
pub(in crate::arch) unsafe fn zero(run: Run) {
    run.frames().for_each(|frame| {
        let first = place(frame);
        RAM.with_borrow_mut(|ram| ram.words[first..first + WORDS].fill(0));
    });
}

/// A word of a page.
///
/// # Safety
/// As on a PC.
pub(in crate::arch) unsafe fn load_word(page: Frame, index: usize) -> u64 {
    let first = place(page);
    RAM.with_borrow(|ram| ram.words[first + index])
}

/// Changes a word of a page.
///
/// # Safety
/// As on a PC.
pub(in crate::arch) unsafe fn store_word(page: Frame, index: usize, value: u64) {
    let first = place(page);
    RAM.with_borrow_mut(|ram| ram.words[first + index] = value);
}

/// Copies words of a page.
///
/// # Safety
/// As on a PC.
pub(in crate::arch) unsafe fn copy_from_page<const WORDS: usize>(page: Frame, index: usize, to: *mut u64) {
    // SAFETY: so says the caller.
    (0..WORDS).for_each(|word| unsafe { to.add(word).write(load_word(page, index + word)) });
}

/// Copies words to a page.
///
/// # Safety
/// As on a PC.
pub(in crate::arch) unsafe fn copy_to_page<const WORDS: usize>(from: *const u64, page: Frame, index: usize) {
    // SAFETY: so says the caller.
    (0..WORDS).for_each(|word| unsafe { store_word(page, index + word, from.add(word).read()) });
}

/// An entry of a page table.
#[derive(Clone, Copy)]
pub(in crate::arch) struct Entry(usize);

impl Entry {
    /// # Safety
    /// As on a PC.
    pub(in crate::arch) unsafe fn of(table: Frame, index: usize) -> Self {
        assert!(index < WORDS);
        Self(place(table) + index)
    }

    /// What it says.
    pub(in crate::arch) fn get(self) -> u64 {
        RAM.with_borrow(|ram| ram.words[self.0])
    }

    /// Changes it.
    pub(in crate::arch) fn set(self, entry: u64) {
        RAM.with_borrow_mut(|ram| ram.words[self.0] = entry);
    }
}

/// Lets the CPU forget what it knows of an address.
pub(in crate::arch) fn flush(_address: u64) {
    RAM.with_borrow_mut(|ram| ram.flushes += 1);
}

/// Whether the CPU uses this root table.
pub(in crate::arch) fn is_loaded(root: Frame) -> bool {
    RAM.with_borrow(|ram| ram.loaded == root.address())
}

/// Loads an address space.
pub fn load(root: u64) {
    RAM.with_borrow_mut(|ram| ram.loaded = root);
}
