use std::{collections::BTreeMap, vec::Vec};

use cloison_abi::guest::GUEST_CODE_SELECTOR;
use proptest::prelude::*;

use super::*;
use crate::region::Backing;

fn space(number: u64) -> SpaceId {
    SpaceId::new(number).unwrap()
}

/// The addresses of the pages, one by one, if they can be a guest's.
fn addresses(space: SpaceId, address: u64, pages: u64) -> Result<Vec<u64>, CallError> {
    let mut left = GuestPages::new(space, address, pages)?;
    let mut found = Vec::new();
    for _ in 0..pages {
        found.push(left.to_arguments().0);
        left = left.without_first();
    }
    Ok(found)
}

#[test]
fn addresses_of_the_kernel_and_none_at_all_are_refused() {
    const PAGE: u64 = PAGE_BYTES;
    let bad = Err(CallError::BadArgument);
    let first = SpaceId::FIRST;
    for (address, pages, why) in [
        (0xffff_8400_0000_0000, 1, "the kernel's first page"),
        (0xffff_87ff_ffff_f000, 1, "the kernel's last page"),
        (0xffff_8600_0000_0000, 1 << 28, "over the kernel's end"),
        (0xffff_83ff_ffff_f000, 2, "up to the kernel's first page"),
        (0xffff_83ff_ffff_f000, 1 << 31, "around the kernel"),
        (GUEST_LOW_END, 1, "the last page of the lower half"),
        (GUEST_LOW_END - PAGE, 2, "up to that"),
        (0x8000_0000_0000, 1, "after the lower half"),
        (0xffff_7fff_ffff_f000, 1, "before the upper half"),
        (0xffff_ffff_ffff_f000, 2, "after the upper half"),
        (0x0001_0000_0000_0000, 1, "too many bits"),
        (0x1001, 1, "not aligned"),
        (0x1000, 0, "no pages"),
        (0x1000, u64::MAX, "a length that overflows"),
        (0x1000, u64::MAX / PAGE, "a length that is too long"),
    ] {
        assert_eq!(addresses(first, address, pages).map(drop), bad, "{why}");
    }
    for address in
        [0, GUEST_LOW_END - PAGE, 0xffff_8000_0000_0000, 0xffff_83ff_ffff_f000, 0xffff_8800_0000_0000]
    {
        assert_eq!(addresses(first, address, 1), Ok(std::vec![address]));
    }
    assert_eq!(addresses(first, 0xffff_ffff_ffff_f000, 1), Ok(std::vec![0xffff_ffff_ffff_f000]));
}

#[test]
fn only_the_first_space_owns_the_upper_half() {
    assert_eq!(SpaceId::new(GUEST_SPACES as u64), Err(CallError::BadArgument));
    assert_eq!(SpaceId::new(u64::MAX), Err(CallError::BadArgument));
    let other = space(GUEST_SPACES as u64 - 1);
    assert!(addresses(other, 0x1000, 1).is_ok());
    assert_eq!(addresses(other, 0xffff_8800_0000_0000, 1), Err(CallError::BadArgument));
}

#[test]
fn the_end_of_the_lower_half_covers_its_last_table() {
    let all = GuestPages::new(SpaceId::FIRST, 0, GUEST_LOW_END / PAGE_BYTES).unwrap();
    assert_eq!(all, GuestPages::LOWER);
    assert_eq!(all.to_arguments(), (0, GUEST_LOW_END / PAGE_BYTES));
    assert_eq!(all.from(all.end()).first(), None);
    assert!(!is_shared(255) && is_shared(256));
}

fn regions() -> (RegionTable, [Option<Attached>; GUEST_REGIONS]) {
    let mut table = RegionTable::EMPTY;
    let mut add =
        |first, pages| table.add(Frame::new(first), pages, Backing::Memory { zeroed: pages }).unwrap();
    let (ram, read_only) = (add(0x100, 16), add(0x200, 4));
    let attached = [
        Some(Attached { region: ram, rights: Rights::READ | Rights::WRITE }),
        None,
        Some(Attached { region: read_only, rights: Rights::READ }),
        None,
    ];
    (table, attached)
}

#[test]
fn an_entry_shows_a_page_of_an_attached_region_and_nothing_else() {
    let (table, attached) = regions();
    let shown = |entry| Shown::new(GuestMapEntry(entry), &attached, &table);
    let entry = |region, page| GuestMapEntry::new(region, page).0;
    for (bits, why) in [
        (entry(0, 16), "a page beyond the region"),
        (entry(0, u32::MAX), "far beyond it"),
        (entry(1, 0), "no region"),
        (entry(3, 0), "no region"),
        (entry(4, 0), "a region that no guest has place for"),
        (entry(15, 0), "the last number of a region"),
        (entry(0, 0) | 1 << 39, "a bit that means nothing"),
        (entry(0, 0) | 1 << 63, "a bit that means nothing"),
        (GuestMapEntry::SKIP.0 | 1, "to skip a page"),
        (u64::MAX, "all bits"),
    ] {
        assert_eq!(shown(bits), Err(CallError::BadArgument), "{why}");
    }
    assert_eq!(shown(entry(2, 0) | GuestMapEntry::WRITE), Err(CallError::MissingRight));
    assert_eq!(shown(GuestMapEntry::SKIP.0), Ok(None));
    let last = shown(entry(0, 15) | GuestMapEntry::WRITE | GuestMapEntry::EXECUTE).unwrap().unwrap();
    assert_eq!((last.frame(), last.write(), last.execute()), (Frame::new(0x10f), true, true));
    let read = shown(entry(2, 3)).unwrap().unwrap();
    assert_eq!((read.frame(), read.write(), read.execute()), (Frame::new(0x203), false, false));
}

#[test]
fn a_region_that_has_ended_is_shown_no_more() {
    let (mut table, attached) = regions();
    table.delete(attached[0].unwrap().region).unwrap();
    assert!(Shown::new(GuestMapEntry::new(0, 0), &attached, &table).is_err());
}

#[test]
fn registers_that_would_fault_on_the_way_out_are_refused() {
    for bad in [0x8000_0000_0000, 0xffff_7fff_ffff_ffff, 1 << 63] {
        for place in 0..4 {
            let mut addresses = [0x1000; 4];
            addresses[place] = bad;
            assert_eq!(checked_flags(addresses, 0), Err(CallError::BadArgument));
        }
    }
    for address in [0, 0x7fff_ffff_ffff, 0xffff_8000_0000_0000, u64::MAX] {
        assert!(checked_flags([address; 4], 0).is_ok());
    }
}

#[test]
fn a_guest_sets_no_flag_but_its_own() {
    let flags = |flags| checked_flags([0; 4], flags).unwrap();
    assert_eq!(flags(0), 0x202, "interrupts are on");
    assert_eq!(flags(u64::MAX), GUEST_FLAGS | 0x202);
    // I/O privilege, nested task, virtual 8086 mode, virtual interrupts.
    assert_eq!(flags(3 << 12 | 1 << 14 | 1 << 17 | 3 << 19), 0x202);
    assert_eq!(GUEST_FLAGS & 0x202, 0);
}

#[test]
fn a_return_is_two_bytes_wherever_they_lie() {
    for rip in 0..8 {
        let mut bytes = [0; 16];
        bytes[rip..rip + 2].copy_from_slice(&[0x48, 0xcf]);
        let words = |bytes: [u8; 16]| {
            let (words, _) = bytes.as_chunks();
            [u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])]
        };
        assert!(is_return(words(bytes), 0x1000 + rip as u64));
        assert!(!is_return(words(bytes), 0x1000 + (rip as u64 ^ 1)));
        for byte in [rip, rip + 1] {
            let mut other = bytes;
            other[byte] ^= 1;
            assert!(!is_return(words(other), rip as u64));
        }
    }
}

#[test]
fn a_return_leads_to_where_a_guest_can_run() {
    let (code, data) = (u64::from(GUEST_CODE_SELECTOR), u64::from(GUEST_DATA_SELECTOR));
    assert_eq!(
        checked_return([0x1000, code, u64::MAX, 7, data], 0x202),
        Some([0x1000, GUEST_FLAGS | 0x202, 7])
    );
    for (code, data) in [
        (0x8, data),
        (code & !3, data),
        (code, 0x10),
        (code, 0),
        (code | 1 << 32, data),
        (code, data | 1 << 63),
    ] {
        assert_eq!(checked_return([0x1000, code, 0, 7, data], 0x202), None, "{code:#x}, {data:#x}");
    }
    for rip in [1 << 47, 0xffff_7fff_ffff_ffff, 1 << 63] {
        assert_eq!(checked_return([rip, code, 0, 7, data], 0x202), None, "{rip:#x}");
    }
    let back = [0x1000, code, 0, 7, data];
    assert_eq!(checked_return(back, !0x100), Some([0x1000, 0x202, 7]));
    assert_eq!(checked_return(back, 0x302), None, "it is stepped over");
    assert_eq!(checked_return([u64::MAX, code, 0, u64::MAX, data], 0x202), Some([u64::MAX, 0x202, u64::MAX]));
}

#[test]
fn only_the_selector_of_data_is_kept() {
    let kept: Vec<_> = (0..=u16::MAX).filter(|selector| kept_selector(*selector) != 0).collect();
    assert_eq!(kept, [GUEST_DATA_SELECTOR]);
    assert_ne!(GUEST_CODE_SELECTOR, GUEST_DATA_SELECTOR);
}

proptest! {
    /// Any range that is taken has only addresses of a guest, and goes on where it stopped.
    #[test]
    fn a_range_has_only_addresses_of_a_guest(
        slot in 0_u64..512, page in 0_u64..4, pages in 1_u64..6, at_end in any::<bool>(),
    ) {
        let page = if at_end { SLOT_PAGES - 1 - page } else { page };
        let address = ((slot * SLOT_PAGES + page) * PAGE_BYTES) << 16;
        let address = (address as i64 >> 16) as u64;
        let asked: Vec<u64> = (0..pages).map(|page| address.wrapping_add(page * PAGE_BYTES)).collect();
        let is_guests = |address: &u64| {
            *address < GUEST_LOW_END
                || (0xffff_8000_0000_0000..0xffff_8400_0000_0000).contains(address)
                || *address >= 0xffff_8800_0000_0000
        };
        let expected = if asked.iter().all(is_guests) && asked.is_sorted() { Ok(asked) } else { Err(CallError::BadArgument) };
        prop_assert_eq!(addresses(SpaceId::FIRST, address, pages), expected);
        if let Ok(range) = GuestPages::new(SpaceId::FIRST, address, pages) {
            let (first, count) = range.to_arguments();
            prop_assert_eq!(GuestPages::new(SpaceId::FIRST, first, count), Ok(range));
        }
    }

    /// Whatever an entry says: what it shows is a page of an attached region, and to be written only where it may be.
    #[test]
    fn any_entry_shows_an_attached_page_or_none(bits in prop_oneof![any::<u64>(), 0..1_u64 << 40, (0..20_u64, 0..16_u64, 0..16_u64)
        .prop_map(|(page, region, flags)| page | region << 32 | flags << 36)]) {
        let (table, attached) = regions();
        if let Ok(Some(shown)) = Shown::new(GuestMapEntry(bits), &attached, &table) {
            let of = attached.iter().flatten().find(|of| {
                table.get(of.region).unwrap().run().contains(Run::new(shown.frame(), 1))
            });
            prop_assert!(of.is_some_and(|of| of.rights.contains(Rights::WRITE) || !shown.write()));
        }
    }

    /// No page is given out twice, all are given out, and a page that was used is known as such.
    #[test]
    fn a_pool_gives_each_page_to_one_at_a_time(steps in prop::collection::vec(any::<Option<u8>>(), 0..200)) {
        let mut pool = Pool::new(Run::new(Frame::new(0x300), 8));
        let mut words = BTreeMap::new();
        let mut taken: Vec<Frame> = Vec::new();
        let mut used: Vec<Frame> = Vec::new();
        for step in steps {
            match step {
                None => {
                    let got = pool.take(|page| words[&page.number()]);
                    prop_assert_eq!(got.is_some(), taken.len() < 8);
                    let Some((page, is_used)) = got else { continue };
                    prop_assert!(pool.run().contains(Run::new(page, 1)) && !taken.contains(&page));
                    prop_assert_eq!(is_used, used.contains(&page));
                    taken.push(page);
                    used.push(page);
                }
                Some(place) if !taken.is_empty() => {
                    let page = taken.remove(usize::from(place) % taken.len());
                    let word = pool.give(page);
                    words.insert(page.number(), word);
                }
                Some(_) => {}
            }
        }
    }
}
