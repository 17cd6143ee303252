use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn memory(table: &mut RegionTable, pages: u32) -> RegionRef {
    table.add(Frame::new(0x100), pages, Backing::Memory { zeroed: 0 }).unwrap()
}

#[test]
fn a_parent_with_children_is_of_no_use() {
    let mut table = RegionTable::EMPTY;
    let parent = memory(&mut table, 8);
    table.scrub(parent, 8).unwrap();
    assert!(table.usable(parent).is_ok());
    let child = table.carve(parent, 0, 4).unwrap();
    assert_eq!(table.usable(parent), Err(CallError::BadState));
    assert_eq!(table.usable(child), Err(CallError::BadState), "not zeroed yet");
    assert_eq!(table.check_deletable(parent), Err(CallError::BadState));
    assert_eq!(table.delete(parent), Err(CallError::BadState));
    table.delete(child).unwrap();
    assert_eq!(table.get(child), Err(CallError::BadSlot));
    assert!(table.usable(parent).is_ok());
}

#[test]
fn page_tables_are_of_no_use() {
    let mut table = RegionTable::EMPTY;
    let tables = memory(&mut table, 8);
    assert_eq!(table.take_tables(tables), Err(CallError::BadState), "not zeroed yet");
    table.scrub(tables, 8).unwrap();
    assert_eq!(table.take_tables(tables).unwrap().pages(), 8);
    assert_eq!(table.take_tables(tables), Err(CallError::BadState), "of two address spaces");
    for _ in 0..2 {
        assert_eq!(table.usable(tables), Err(CallError::BadState));
        assert_eq!(table.carve(tables, 0, 1), Err(CallError::BadState));
        assert_eq!(table.check_deletable(tables), Err(CallError::BadState));
        assert_eq!(table.delete(tables), Err(CallError::BadState));
        // The same while the next life is made ready.
        let _ = table.end_tables(tables);
    }
}

#[test]
fn tables_are_zeroed_when_no_address_space_uses_them() {
    let mut table = RegionTable::EMPTY;
    let tables = memory(&mut table, 8);
    table.scrub(tables, 8).unwrap();
    assert_eq!(table.end_tables(tables), Err(CallError::BadState), "they are none");
    table.take_tables(tables).unwrap();
    assert_eq!(table.begin_scrub(tables), Err(CallError::BadState));
    assert_eq!(table.release_tables(tables), Err(CallError::BadState));
    assert_eq!(table.scrub(tables, 8).unwrap().pages(), 0, "a CPU may walk them");
    table.end_tables(tables).unwrap();
    assert_eq!(table.take_tables(tables), Err(CallError::BadState), "not zeroed yet");
    assert_eq!(table.scrub(tables, 5).unwrap(), Run::new(Frame::new(0x100), 5));
    assert_eq!(table.scrub(tables, 5).unwrap(), Run::new(Frame::new(0x105), 3));
    assert!(table.take_tables(tables).is_ok(), "the next life");
    table.end_tables(tables).unwrap();
    table.release_tables(tables).unwrap();
    assert_eq!(table.usable(tables), Err(CallError::BadState), "not zeroed yet");
    table.scrub(tables, 8).unwrap();
    assert!(table.usable(tables).is_ok());
}

#[test]
fn devices_are_neither_zeroed_nor_page_tables() {
    let mut table = RegionTable::EMPTY;
    let device = table.add(Frame::new(0x100), 8, Backing::Device).unwrap();
    table.begin_scrub(device).unwrap();
    assert_eq!(table.scrub(device, 8), Ok(Run::NONE));
    assert!(table.usable(device).is_ok());
    assert_eq!(table.take_tables(device), Err(CallError::BadState));
}

#[test]
fn what_a_guest_has_stays_as_it_is() {
    let mut table = RegionTable::EMPTY;
    let region = memory(&mut table, 8);
    assert_eq!(table.attach(region, 4), Err(CallError::BadState), "not zeroed yet");
    table.scrub(region, 8).unwrap();
    (0..2).for_each(|_| table.attach(region, 4).unwrap());
    for _ in 0..2 {
        assert!(table.usable(region).is_ok(), "it is seen as before");
        assert_eq!(table.unattached(region), Err(CallError::BadState));
        assert_eq!(table.carve(region, 0, 1), Err(CallError::BadState));
        assert_eq!(table.check_deletable(region), Err(CallError::BadState));
        assert_eq!(table.take_tables(region), Err(CallError::BadState));
        table.detach(region);
    }
    assert!(table.unattached(region).is_ok() && table.carve(region, 0, 1).is_ok());
    assert_eq!(table.attach(region, 4), Err(CallError::BadState), "something is carved out of it");
    let device = table.add(Frame::new(0x200), 1, Backing::Device).unwrap();
    assert_eq!(table.attach(device, 4), Err(CallError::BadState));
}

#[test]
fn what_was_carved_before_is_known_again() {
    let mut table = RegionTable::EMPTY;
    let parent = memory(&mut table, 8);
    let child = table.carve(parent, 2, 3).unwrap();
    let (is, of) = (*table.get(child).unwrap(), *table.get(parent).unwrap());
    assert!(is.is_part(parent.id, &of, 2, 3));
    assert!(!is.is_part(child.id, &of, 2, 3));
    assert!(!is.is_part(parent.id, &of, 1, 3) && !is.is_part(parent.id, &of, 2, 2));
    assert!(!is.is_part(parent.id, &of, u64::MAX, 3));
}

#[test]
fn an_old_reference_does_not_reach_a_new_region() {
    let mut table = RegionTable::EMPTY;
    let parent = memory(&mut table, 8);
    let first = table.carve(parent, 0, 1).unwrap();
    table.delete(first).unwrap();
    let second = table.carve(parent, 0, 1).unwrap();
    assert_eq!(first.id, second.id);
    assert_eq!(table.get(first), Err(CallError::BadSlot));
}

#[test]
fn an_empty_place_is_no_region() {
    assert_eq!(RegionTable::EMPTY.get(RegionRef::NONE), Err(CallError::BadSlot));
}

#[test]
fn a_place_that_has_had_all_its_regions_is_not_used_again() {
    let mut table = RegionTable::EMPTY;
    let parent = memory(&mut table, 8);
    let first = table.carve(parent, 0, 1).unwrap();
    table.generations[first.id.index()] = u32::MAX - 1;
    let last = RegionRef { generation: u32::MAX - 1, ..first };
    table.delete(last).unwrap();
    let next = table.carve(parent, 0, 1).unwrap();
    assert_ne!(next.id, first.id, "a generation that counted on would reach 0 and old references with it");
}

#[test]
fn devices_do_not_overlap_memory() {
    let mut table = RegionTable::EMPTY;
    memory(&mut table, 8);
    assert_eq!(table.add(Frame::new(0x107), 1, Backing::Device), Err(CallError::Overlap));
    assert_eq!(table.add(Frame::new(u64::MAX), 1, Backing::Device), Err(CallError::BadArgument));
    assert!(table.add(Frame::new(0x108), 1, Backing::Device).is_ok());
    assert!(table.add(Frame::new(0xff), 1, Backing::Device).is_ok());
}

proptest! {
    /// Whatever is asked for, no page is ever part of two children.
    #[test]
    fn children_never_overlap(asked in prop::collection::vec((0_u64..70, 0_u64..20), 0..100)) {
        let mut table = RegionTable::EMPTY;
        let parent = memory(&mut table, 64);
        let mut got: Vec<Region> = Vec::new();
        for (first, pages) in asked {
            let new = Region { first: Frame::new(0x100 + first), pages: pages as u32, ..Region::NONE };
            let fits = pages > 0 && first + pages <= 64 && !got.iter().any(|other| overlap(&new, other));
            let carved = table.carve(parent, first, pages);
            prop_assert_eq!(carved.is_ok(), fits, "{} pages from {} on", pages, first);
            if let Ok(child) = carved {
                let child = *table.get(child).unwrap();
                prop_assert!(Run::new(Frame::new(0x100), 64).contains(child.run()));
                prop_assert!(got.iter().all(|other| !overlap(&child, other)));
                got.push(child);
            }
        }
    }
}
