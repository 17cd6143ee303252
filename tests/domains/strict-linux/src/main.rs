//! Strict linux: runs a Linux, keeps book of each page that is shown to it, and compares all of them with its page tables,
//! after so many exits of the guest now and so many then.

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
const EXITS: u64 = 500;
/// Coprime to that: no interval comes twice before all have come.
const STEP: u64 = 97;
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
        for ((space, page), shown) in &self.shown {
            let address = page * PAGE_BYTES;
            let is_right = guest.paging().is_right(memory, *space, address, *shown);
            assert!(is_right, "{space:?} shows {shown:?} at {address:#x}, which the tables do not say");
        }
        self.comparisons += 1;
        self.pages += self.shown.len() as u64;
    }

    fn forget(&mut self, space: Space, pages: Range<u64>) {
        while let Some((place, _)) = self.shown.range((space, pages.start)..(space, pages.end)).next() {
            let place = *place;
            self.shown.remove(&place);
        }
    }
}
