//! The free memory: pieces of it are given out, come back, and are given out again.

use alloc::vec::Vec;

use cloison_sys::Slot;

/// The free memory of the machine, as the runs that the builder holds in slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeMemory {
    runs: Vec<Run>,
}

/// A run of memory, and what of it is free.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    slot: Slot,
    /// The free parts, by address; none touches the next.
    free: Vec<Part>,
}

/// Pages of a run, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    first: u64,
    pages: u64,
}

/// Memory that was given out. It cannot be copied, so it comes back once.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    run: Slot,
    part: Part,
}

impl Piece {
    /// The slot of the run that it is a part of.
    #[must_use]
    pub fn run(&self) -> Slot {
        self.run
    }

    /// Its first page in that run.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.part.first
    }

    /// Its length, in pages.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.part.pages
    }
}

impl FreeMemory {
    /// Memory in runs of this many pages, each held in its slot.
    pub fn new(runs: impl IntoIterator<Item = (Slot, u64)>) -> Self {
        let whole = |(slot, pages)| {
            let part = Part { first: 0, pages };
            Run { slot, free: (pages > 0).then_some(part).into_iter().collect() }
        };
        Self { runs: runs.into_iter().map(whole).collect() }
    }

    /// The slots of its runs.
    pub fn runs(&self) -> impl Iterator<Item = Slot> {
        self.runs.iter().map(|run| run.slot)
    }

    /// How many pages are free.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.runs.iter().flat_map(|run| &run.free).map(|part| part.pages).sum()
    }

    /// How many pages are free in one piece at most.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.runs.iter().flat_map(|run| &run.free).map(|part| part.pages).max().unwrap_or(0)
    }

    /// Gives out pages, from the smallest part that has as many. `None` if no part has.
    pub fn take(&mut self, pages: u64) -> Option<Piece> {
        let parts = self.runs.iter().enumerate().flat_map(|(run, found)| {
            found.free.iter().enumerate().map(move |(place, part)| (part.pages, run, place))
        });
        let (_, run, place) = parts.filter(|(length, ..)| *length >= pages).min().filter(|_| pages > 0)?;
        let Run { slot, free } = &mut self.runs[run];
        let part = free.get_mut(place)?;
        let piece = Piece { run: *slot, part: Part { first: part.first, pages } };
        part.first += pages;
        part.pages -= pages;
        if part.pages == 0 {
            free.remove(place);
        }
        Some(piece)
    }

    /// Takes a piece back.
    pub fn give_back(&mut self, Piece { run, part }: Piece) {
        let Some(Run { free, .. }) = self.runs.iter_mut().find(|other| other.slot == run) else { return };
        let place = free.partition_point(|other| other.first < part.first);
        free.insert(place, part);
        join(free, place);
        if place > 0 {
            join(free, place - 1);
        }
    }
}

/// Makes one part of two if the second begins where the first ends.
fn join(free: &mut Vec<Part>, place: usize) {
    let (Some(first), Some(second)) = (free.get(place), free.get(place + 1)) else { return };
    if first.first + first.pages == second.first {
        let pages = first.pages + second.pages;
        free[place].pages = pages;
        free.remove(place + 1);
    }
}

#[cfg(test)]
mod search;
