//! Whatever a client asks for, it reaches its own sectors and no others.

use std::vec;

use proptest::prelude::*;

use super::*;

const WHOLE: Part = Part { first: 0, sectors: 1000, is_read_only: false };

fn choice(partition: u8, is_read_only: bool) -> Choice {
    Choice { partition, is_read_only }
}

#[test]
fn a_client_has_all_of_its_part_and_nothing_else() {
    let part = Part { first: 100, sectors: 50, is_read_only: false };
    assert_eq!(part.locate(0, 50), Some(100));
    assert_eq!(part.locate(49, 1), Some(149));
    for (first, sectors) in [(0, 51), (50, 1), (49, 2), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
        assert_eq!(part.locate(first, sectors), None, "{sectors} from {first} on");
    }
    assert_eq!(Part { first: u64::MAX, ..part }.locate(1, 1), None, "no disk is so long");
}

#[test]
fn sectors_that_somebody_writes_are_nobody_elses() {
    let [reads, writes] = [true, false].map(|is_read_only| choice(0, is_read_only));
    let outcome = |choices: &[Choice]| -> Vec<_> {
        assign(WHOLE, None, choices).into_iter().map(|part| part.map(|part| part.is_read_only)).collect()
    };
    assert_eq!(outcome(&[writes]), [Ok(false)]);
    assert_eq!(outcome(&[reads, reads]), [Ok(true), Ok(true)]);
    assert_eq!(outcome(&[writes, reads]), [Ok(false), Err(Unfit::Shared(0))]);
    assert_eq!(outcome(&[reads, writes, reads]), [Ok(true), Err(Unfit::Shared(0)), Ok(true)]);
    let read_only = Part { is_read_only: true, ..WHOLE };
    let parts = assign(read_only, None, &[writes, writes]);
    assert_eq!(parts, [Ok(read_only); 2], "nobody writes a disk that cannot be written");
}

#[test]
fn a_partition_that_is_not_there_is_nobodys() {
    let table = Table::of(&[(1, 10, 20), (3, 40, 5)]);
    let choices = [choice(1, false), choice(2, false), choice(3, true)];
    let parts = assign(WHOLE, Some(&table), &choices);
    let [one, three] = [(10, 20, false), (40, 5, true)]
        .map(|(first, sectors, is_read_only)| Ok(Part { first, sectors, is_read_only }));
    assert_eq!(parts, [one, Err(Unfit::NoPartition(2)), three]);
    assert_eq!(assign(WHOLE, None, &choices[..1]), [Err(Unfit::NoPartition(1))]);
    // Partitions that overlap are two clients' only if neither writes.
    let table = Table::of(&[(1, 10, 20), (2, 29, 5), (3, 30, 5)]);
    let choices = [choice(1, false), choice(2, true), choice(3, true)];
    assert_eq!(assign(WHOLE, Some(&table), &choices)[1], Err(Unfit::Shared(0)));
    assert!(assign(WHOLE, Some(&table), &choices)[2].is_ok());
}

proptest! {
    #[test]
    fn what_is_located_is_inside(
        part_first in 0..1000_u64,
        part_sectors in 0..1000_u64,
        first in prop_oneof![0..1200_u64, any::<u64>()],
        sectors in prop_oneof![0..1200_u64, any::<u64>()],
    ) {
        let part = Part { first: part_first, sectors: part_sectors, is_read_only: false };
        let fits = u128::from(first) + u128::from(sectors) <= u128::from(part_sectors);
        prop_assert_eq!(part.locate(first, sectors), fits.then(|| part_first + first));
    }

    #[test]
    fn no_two_clients_reach_one_sector_that_one_of_them_writes(
        partitions in prop::collection::vec((0..200_u64, 0..60_u64), 0..6),
        choices in prop::collection::vec((0..8_u8, any::<bool>()), 0..6),
        is_read_only: bool,
    ) {
        let entries: Vec<_> =
            (1..).zip(&partitions).map(|(number, (first, sectors))| (number, *first, *sectors)).collect();
        let whole = Part { first: 0, sectors: 300, is_read_only };
        let choices: Vec<_> = choices.into_iter().map(|(number, reads)| choice(number, reads)).collect();
        let parts = assign(whole, Some(&Table::of(&entries)), &choices);
        let mut owners = vec![(0, 0); 300];
        for part in parts.iter().flatten() {
            for owner in &mut owners[part.first as usize..(part.first + part.sectors) as usize] {
                *if part.is_read_only { &mut owner.0 } else { &mut owner.1 } += 1;
            }
        }
        let is_apart = |(readers, writers): &(u32, u32)| *writers == 0 || (*writers == 1 && *readers == 0);
        prop_assert!(owners.iter().all(is_apart));
        // And the first to ask for something that is there gets it.
        if let (Some(first), Some(part)) = (choices.first(), parts.first()) {
            prop_assert_eq!(part.is_ok(), first.partition == 0 || usize::from(first.partition) <= entries.len());
            prop_assert!(part.is_err() || part.unwrap().is_read_only == (is_read_only || first.is_read_only));
        }
    }
}
