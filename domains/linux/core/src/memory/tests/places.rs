//! Places of tables, against a set.

use proptest::prelude::*;
use std::boxed::Box;
use std::collections::BTreeSet;

use super::model::{HIGH, UPPER};
use crate::machine::Space;
use crate::memory::places::{Full, Place, Places};

#[test]
fn a_place_is_all_that_goes_through_its_table() {
    let address = HIGH + 0x1234_5678_9abc;
    let place = |level| Place::of(Space(0), level, address);
    let starts = [1, 2, 3].map(|level| place(level).start);
    assert_eq!(starts, [0xffff_9ab4_5660_0000, 0xffff_9ab4_4000_0000, 0xffff_9a80_0000_0000]);
    assert_eq!(place(1).below(511), (0xffff_9ab4_567f_f000, 1));
    assert_eq!(place(2).below(1), (0xffff_9ab4_4020_0000, 512));
    assert_eq!(place(3).below(511), (0xffff_9aff_c000_0000, 512 * 512));
}

/// So many that searches meet each other, and rounds come to their end.
#[test]
fn places_are_found_until_there_is_no_room() {
    let mut places = Box::new(Places::new());
    let place = |number: u32| Place::of(Space(3), 1, u64::from(number) << 21);
    for round in 0..600 {
        for number in 0..300 {
            assert_eq!(places.note(number * 7 % 32, place(number)), Ok(()), "{round}");
        }
        assert_eq!(places.of(7).count(), 10);
        places.forget(Space(3));
        assert!(round % 512 == 511 || places.of(7).next().is_none(), "{round}");
    }
    let full = (0..10_000).find(|number| places.note(*number, place(*number)) == Err(Full));
    assert_eq!(full, Some(4096));
    // What is known already is no more to note.
    assert_eq!(places.note(17, place(17)), Ok(()));
    assert_eq!(places.of(17).collect::<std::vec::Vec<_>>(), [place(17)]);
    places.clear();
    assert!(places.of(17).next().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    /// Thousands of places of few or many tables, forgotten now and then.
    #[test]
    fn places_are_a_set(
        frames in prop::sample::select(std::vec![3u32, 1 << 18, 1 << 20]),
        steps in prop::collection::vec((any::<u32>(), 0..4u8, 1..4u8, 0..2000u64, 0..400u32), 1..9000),
    ) {
        let mut places = Box::new(Places::new());
        let mut set = BTreeSet::new();
        for (frame, space, level, address, forget) in steps {
            let frame = frame % frames;
            let address = if space == 3 { UPPER } else { 0 } + (address << 21);
            let space = Space(space % 3);
            let place = Place::of(if address < UPPER { space } else { Space(0) }, level, address);
            match places.note(frame, place) {
                Ok(()) => {
                    set.insert((frame, place.space, level, place.start));
                }
                Err(Full) => {
                    prop_assert_eq!(set.len(), 4096);
                    places.clear();
                    set.clear();
                }
            }
            if forget == 0 {
                places.forget(space);
                set.retain(|(_, of, _, start)| *of != space || *start >= UPPER);
            } else if forget == 1 {
                places.forget_upper();
                set.retain(|(.., start)| *start < UPPER);
            }
            let of: BTreeSet<_> = places.of(frame).map(|place| (place.space, place.level, place.start)).collect();
            let expected: BTreeSet<_> =
                set.range((frame, Space(0), 0, 0)..(frame + 1, Space(0), 0, 0)).map(|(_, a, b, c)| (*a, *b, *c)).collect();
            prop_assert_eq!(of, expected);
        }
    }
}
