//! Strict linux: runs a Linux, keeps book of each page that is shown to it, and compares them with its page tables, after so
//! many exits of the guest now and so many then: all of the lower halves, and in turn a part of the upper half, which is far
//! larger and changes far less.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::collections::BTreeMap;
use core::ops::Range;

use cloison_abi::{guest::UPPER_HALF, limits::PAGE_BYTES};
use cloison_rt::log;
use linux::{Unfit, Watch};
use linux_core::{
    guest::Guest,
    machine::{Memory, Shown, Space},
};

cloison_rt::entry!(main);

/// Exits between two comparisons, at most: about what a new process takes.
const EXITS: u64 = 190;
/// Coprime to that: no interval comes twice before all have come.
const STEP: u64 = 97;
/// Comparisons until each page of the upper half has been compared.
const TURNS: u64 = 8;
/// Comparisons between two lines that say how many there were.
const ROUND: u64 = 100;

fn main() -> Result<(), Unfit> {
    linux::run(Book::default())
}

/// A page of a space. Those of the upper half are the first space's.
type Place = (Space, u64);

/// All that is shown.
#[derive(Default)]
struct Book {
    shown: BTreeMap<Place, Shown>,
    /// Exits until the next comparison.
    left: u64,
    comparisons: u64,
    pages: u64,
}

impl Watch for Book {
    fn look(&mut self, guest: &Guest, memory: &impl Memory) {
        if self.left > 0 {
            self.left -= 1;
            return;
        }
        self.left = self.comparisons * STEP % EXITS;
        self.compare(guest, memory);
        if self.comparisons.is_multiple_of(ROUND) {
            log!("{} comparisons, {} pages, all as the tables say", self.comparisons, self.pages);
        }
    }

    fn shown(&mut self, space: Space, at: u64, pages: &[Option<Shown>]) {
        for (page, shown) in (at / PAGE_BYTES..).zip(pages) {
            if let Some(shown) = shown {
                self.shown.insert((space, page), *shown);
            }
        }
    }

    fn hidden(&mut self, space: Space, at: u64, pages: u64) {
        self.forget(space, at / PAGE_BYTES..at / PAGE_BYTES + pages);
    }

    fn ended(&mut self, space: Space) {
        let end = if space == Space(0) { u64::MAX } else { UPPER_HALF / PAGE_BYTES };
        self.forget(space, 0..end);
    }
}

impl Book {
    fn compare(&mut self, guest: &Guest, memory: &impl Memory) {
        let turn = self.comparisons % TURNS;
        let is_due = |page: u64| page < UPPER_HALF / PAGE_BYTES || page % TURNS == turn;
        for ((space, page), shown) in self.shown.iter().filter(|((_, page), _)| is_due(*page)) {
            let address = page * PAGE_BYTES;
            let is_right = guest.paging().is_right(memory, *space, address, *shown);
            assert!(is_right, "{space:?} shows {shown:?} at {address:#x}, which the tables do not say");
            self.pages += 1;
        }
        self.comparisons += 1;
    }

    fn forget(&mut self, space: Space, pages: Range<u64>) {
        while let Some((place, _)) = self.shown.range((space, pages.start)..(space, pages.end)).next() {
            let place = *place;
            self.shown.remove(&place);
        }
    }
}
