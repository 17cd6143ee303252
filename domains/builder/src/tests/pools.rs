//! What is given out and comes back.

use std::{collections::BTreeSet, vec::Vec};

use cloison_sys::Slot;
use proptest::prelude::*;

use crate::{FreeMemory, Numbers, Piece};

/// Asks for pages, or gives a piece back.
#[derive(Clone, Debug)]
enum Deed {
    Take(u64),
    GiveBack(prop::sample::Index),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed =
        prop_oneof![(0..40_u64).prop_map(Deed::Take), any::<prop::sample::Index>().prop_map(Deed::GiveBack)];
    prop::collection::vec(deed, 0..200)
}

fn overlap(one: &Piece, other: &Piece) -> bool {
    let same = one.run() == other.run();
    same && one.first() < other.first() + other.pages() && other.first() < one.first() + one.pages()
}

proptest! {
    /// Nothing is given out twice, nothing is lost, and what has come back is whole again.
    #[test]
    fn memory_comes_back(deeds in deeds(), runs in prop::collection::vec(0..60_u64, 1..4)) {
        let slots = (4..).map(Slot);
        let all: u64 = runs.iter().sum();
        let whole = FreeMemory::new(slots.zip(runs.iter().copied()));
        let (mut memory, mut taken): (_, Vec<Piece>) = (whole.clone(), Vec::new());
        for deed in deeds {
            match deed {
                Deed::Take(pages) => {
                    let free = memory.clone();
                    match memory.take(pages) {
                        Some(piece) => {
                            prop_assert_eq!(piece.pages(), pages);
                            prop_assert!(piece.first() + pages <= runs[usize::from(piece.run().0) - 4]);
                            prop_assert!(!taken.iter().any(|other| overlap(other, &piece)));
                            taken.push(piece);
                        }
                        None => prop_assert_eq!(&memory, &free),
                    }
                }
                Deed::GiveBack(_) if taken.is_empty() => {}
                Deed::GiveBack(which) => memory.give_back(taken.swap_remove(which.index(taken.len()))),
            }
            let given: u64 = taken.iter().map(Piece::pages).sum();
            prop_assert_eq!(memory.pages() + given, all);
        }
        taken.into_iter().for_each(|piece| memory.give_back(piece));
        prop_assert_eq!(memory, whole);
    }

    #[test]
    fn numbers_come_back(first in 0..128_u8, end in 0..=128_u8, deeds in prop::collection::vec(any::<(bool, u8)>(), 0..300)) {
        let (mut numbers, mut taken) = (Numbers::new(first, end), BTreeSet::new());
        for (takes, number) in deeds {
            if takes {
                let lowest = (first..end).find(|number| !taken.contains(number));
                prop_assert_eq!(numbers.take(), lowest);
                taken.extend(lowest);
            } else {
                numbers.give_back(number);
                taken.remove(&number);
            }
            prop_assert!((0..=255).all(|number| numbers.is_taken(number) == taken.contains(&number)));
        }
    }
}

#[test]
fn the_smallest_part_that_fits_is_used() {
    let mut memory = FreeMemory::new([(Slot(4), 100)]);
    let (first, between, hole) = (memory.take(10).unwrap(), memory.take(1).unwrap(), memory.take(5).unwrap());
    let last = memory.take(1).unwrap();
    memory.give_back(hole);
    memory.give_back(first);
    assert_eq!(memory.take(5).map(|piece| piece.first()), Some(11), "not the ten pages before it");
    assert_eq!((between.first(), last.first()), (10, 16));
    assert_eq!(memory.take(100), None, "there are a hundred pages, but not in one piece");
    assert_eq!(memory.take(0), None);
}
