//! What a page fault shows, and what it leaves to the guest.

use std::vec::Vec;

use cloison_abi::guest::{GUEST_LOW_END, GuestHalf};
use cloison_xen::memory::{MACHINE_TO_PHYSICAL, mmuext};

use super::model::{A, D, Guest, HIGH, LOW, NX, P, READ, SHARED, SHARED_FRAME, U, UPPER, W, WRITE};
use crate::machine::{Memory, Page, Shown, Space};
use crate::memory::entry::{entry_address, index};
use crate::memory::{Entry, Fault, NoUserRoot, code, machine_to_physical_pages};

const FETCH: u64 = code::FETCH;

fn ram(frame: u32, write: bool, execute: bool) -> Option<Shown> {
    Some(Shown { page: Page::Ram(frame), write, execute })
}

#[test]
fn a_page_is_shown_for_writing_once_it_is_written_to() {
    let mut guest = Guest::new();
    for address in [LOW, HIGH] {
        let frame = guest.map(1, address, P | W | U);
        // What the CPU says of who it was does not count.
        assert_eq!(guest.fault(address + 8, READ | code::USER), Fault::Resume);
        assert_eq!(guest.shown(address), ram(frame, false, true));
        assert_eq!(guest.entry(1, address), Entry::new(frame.into(), P | W | U | A));
        assert_eq!(guest.fault(address + 8, WRITE | code::PRESENT), Fault::Resume);
        assert_eq!(guest.shown(address), ram(frame, true, true));
        assert_eq!(guest.entry(1, address), Entry::new(frame.into(), P | W | U | A | D));
    }
    assert_eq!(guest.paging.counters().fills, 4);
}

#[test]
fn every_table_on_the_way_is_marked_used() {
    let mut guest = Guest::new();
    guest.map(1, HIGH, P | W);
    assert_eq!(guest.fault(HIGH, WRITE), Fault::Resume);
    let path = crate::memory::walk(&guest.model, 1, HIGH).unwrap();
    let marks = path.entries.map(|entry| entry.0 & (A | D));
    assert_eq!(marks, [A | D, A, A, A]);
}

/// Bits of the entry, who, what for: the error code that the guest sees; none if the page is shown.
#[test]
fn entries_let_through_what_they_say() {
    let refused = code::PRESENT;
    let cases = [
        (P | W | U, false, READ, None),
        (P | W | U, true, WRITE, None),
        (P | U, true, READ, None),
        (P | U, true, FETCH, None),
        (P | U, true, WRITE, Some(refused | WRITE | code::USER)),
        (P | U, false, WRITE, Some(refused | WRITE)),
        (P | U | NX, true, FETCH, Some(refused | FETCH | code::USER)),
        (P | U | NX, false, FETCH, Some(refused | FETCH)),
        (P | W, true, READ, Some(refused | code::USER)),
        (P | W, false, WRITE, None),
        (W | U, true, READ, Some(code::USER)),
        (W | U, false, WRITE, Some(WRITE)),
        (0, true, FETCH, Some(FETCH | code::USER)),
    ];
    for (bits, user, access, reflected) in cases {
        let mut guest = Guest::new();
        guest.map(1, LOW, bits);
        let root = guest.user_root(1);
        guest.paging.mmuext(&mut guest.model, mmuext::NEW_USER_BASEPTR, root.into(), 0).unwrap();
        if user {
            guest.paging.enter_user(&mut guest.model).unwrap();
        }
        // The CPU's own bits *present* and *user* are about the shadow: they are made up here.
        for noise in [0, code::USER, code::PRESENT, code::USER | code::PRESENT] {
            let expected = reflected.map_or(Fault::Resume, |code| Fault::Reflect { code });
            assert_eq!(guest.fault(LOW, access | noise), expected, "{bits:#x} {user} {access}");
            assert_eq!(guest.shown(LOW).is_some(), reflected.is_none(), "{bits:#x} {user} {access}");
        }
    }
}

/// What an entry of an upper level withholds is withheld.
#[test]
fn rights_are_those_of_all_levels() {
    for level in 2..=4 {
        for (taken, access) in [(W, WRITE), (U, READ), (0, FETCH)] {
            let mut guest = Guest::new();
            guest.map(1, LOW, P | W | U);
            let path = crate::memory::walk(&guest.model, 1, LOW).unwrap();
            let at = usize::from(level) - 1;
            let barred = if taken == 0 { NX } else { 0 };
            let entry = path.entries[at].0 & !taken | barred;
            guest.model.store(entry_address(path.tables[at], index(LOW, level)), entry).unwrap();
            let root = guest.user_root(1);
            guest.paging.mmuext(&mut guest.model, mmuext::NEW_USER_BASEPTR, root.into(), 0).unwrap();
            guest.paging.enter_user(&mut guest.model).unwrap();
            let code = access | code::PRESENT | code::USER;
            assert_eq!(guest.fault(LOW, access), Fault::Reflect { code }, "level {level}, {taken:#x}");
        }
    }
}

#[test]
fn what_is_not_the_guests_is_never_shown() {
    let foreign = Fault::Reflect { code: code::PRESENT | code::RESERVED };
    for frame in [300, 511, SHARED_FRAME + SHARED as u64, 0xf_ffff, (1 << 40) - 1] {
        let mut guest = Guest::new();
        guest.set(1, HIGH, Entry::new(frame, P | W));
        assert_eq!(guest.fault(HIGH, READ), foreign, "page {frame:#x}");
        for level in 2..=4 {
            let mut guest = Guest::new();
            guest.map(1, HIGH, P | W);
            let path = crate::memory::walk(&guest.model, 1, HIGH).unwrap();
            let at = entry_address(path.tables[usize::from(level) - 1], index(HIGH, level));
            guest.model.store(at, Entry::new(frame, P | W).0).unwrap();
            assert_eq!(guest.fault(HIGH, READ), foreign, "table {frame:#x} of level {level}");
            // A page of 2 MiB or more.
            guest.model.store(at, Entry::new(8, P | W | Entry::LARGE).0).unwrap();
            assert_eq!(guest.fault(HIGH, READ), foreign, "large page at level {level}");
            assert!(guest.all().is_empty());
        }
    }
}

#[test]
fn shared_pages_are_shown() {
    let mut guest = Guest::new();
    for page in [0, 8] {
        let address = HIGH + u64::from(page) * 0x10_0000;
        guest.set(1, address, Entry::new(SHARED_FRAME + u64::from(page), P | W | NX));
        assert_eq!(guest.fault(address, WRITE), Fault::Resume);
        assert_eq!(
            guest.shown(address),
            Some(Shown { page: Page::Shared(page), write: true, execute: false })
        );
    }
}

#[test]
fn a_root_that_leads_back_to_itself_does_no_harm() {
    let mut guest = Guest::new();
    for at in 0..512 {
        guest.model.store(entry_address(1, at), Entry::new(1, P | W | U).0).unwrap();
    }
    for cmd in mmuext::PIN_L1_TABLE..=mmuext::UNPIN_TABLE {
        guest.paging.mmuext(&mut guest.model, cmd, 1, 0).unwrap();
    }
    assert_eq!(guest.fault(LOW, WRITE), Fault::Resume);
    assert_eq!(guest.shown(LOW).map(|shown| shown.page), Some(Page::Ram(1)));
    let end = Fault::Reflect { code: WRITE | code::PRESENT | code::RESERVED };
    assert_eq!(guest.fault(GUEST_LOW_END, WRITE), end, "the last page below");
    assert_eq!(guest.fault(GUEST_LOW_END - 1, WRITE), Fault::Resume);
    for slot in 264..272 {
        assert_eq!(guest.fault(UPPER + ((slot - 256) << 39), WRITE), end, "slot {slot} is the kernel's");
    }
    assert_eq!(guest.fault(1 << 47, READ), Fault::Reflect { code: 0 }, "no address at all");
}

#[test]
fn user_programs_see_nothing_of_the_upper_half() {
    let mut guest = Guest::new();
    guest.map(1, HIGH, P | U);
    let root = guest.user_root(1);
    assert_eq!(guest.paging.enter_user(&mut guest.model), Err(NoUserRoot));
    guest.paging.mmuext(&mut guest.model, mmuext::NEW_USER_BASEPTR, root.into(), 0).unwrap();
    guest.paging.enter_user(&mut guest.model).unwrap();
    assert_eq!(guest.paging.current(), (Space(0), GuestHalf::Lower));
    assert_eq!(guest.fault(HIGH, READ), Fault::Reflect { code: code::USER });
    assert_eq!(guest.fault(MACHINE_TO_PHYSICAL, READ), Fault::Reflect { code: code::USER });
    // Even if their root leads there, as it does to Linux's page of old system calls.
    let entry = guest.model.load(entry_address(1, index(HIGH, 4))).unwrap();
    guest.model.store(entry_address(root, index(HIGH, 4)), entry).unwrap();
    assert_eq!(guest.fault(HIGH, READ), Fault::Reflect { code: code::PRESENT | code::USER });
    assert!(guest.all().is_empty());
}

/// The kernel of the guest writes to a page that is its own, in the lower half of a root that user programs share: Linux
/// does so to change its own code.
#[test]
fn what_is_the_kernels_in_the_lower_half_goes_before_user_programs_run() {
    let mut guest = Guest::new();
    guest.map(1, LOW, P | W | A | D);
    guest.map(1, LOW + 0x1000, P | W | U | A | D);
    let root = guest.user_root(1);
    assert_eq!(guest.fault(LOW, READ), Fault::Resume);
    guest.paging.mmuext(&mut guest.model, mmuext::NEW_USER_BASEPTR, root.into(), 0).unwrap();
    guest.paging.enter_user(&mut guest.model).unwrap();
    assert_eq!(guest.shown(LOW), None, "shown when there were no user programs");
    guest.paging.enter_kernel(&mut guest.model);
    assert_eq!(guest.fault(LOW + 0x1000, READ), Fault::Resume);
    assert_eq!(guest.shown(LOW), None, "not shown beside what is theirs");
    guest.paging.enter_user(&mut guest.model).unwrap();
    guest.paging.enter_kernel(&mut guest.model);
    assert!(guest.shown(LOW + 0x1000).is_some(), "what both see stays");
    assert_eq!(guest.fault(LOW, WRITE), Fault::Resume);
    assert!(guest.shown(LOW).is_some());
    guest.paging.enter_user(&mut guest.model).unwrap();
    assert_eq!(guest.all(), []);
    assert_eq!(guest.fault(LOW, READ), Fault::Reflect { code: code::PRESENT | code::USER });
}

/// Kernel and user programs may have roots that differ in the lower half.
#[test]
fn each_side_sees_its_own_root() {
    let mut guest = Guest::new();
    let theirs = guest.frame();
    let kernel = guest.map(1, LOW, P | U);
    let user = guest.map(theirs, LOW, P | U);
    guest.paging.mmuext(&mut guest.model, mmuext::NEW_USER_BASEPTR, theirs.into(), 0).unwrap();
    for _ in 0..2 {
        assert_eq!(guest.fault(LOW, READ), Fault::Resume);
        assert_eq!(guest.shown(LOW), ram(kernel, false, true));
        guest.paging.enter_user(&mut guest.model).unwrap();
        assert_eq!(guest.shown(LOW), None);
        assert_eq!(guest.fault(LOW, READ), Fault::Resume);
        assert_eq!(guest.shown(LOW), ram(user, false, true));
        guest.paging.enter_kernel(&mut guest.model);
        assert_eq!(guest.shown(LOW), None);
    }
}

#[test]
fn pages_that_were_used_are_shown_with_the_one_beside_them() {
    let mut guest = Guest::new();
    let start = HIGH + 0x10_0000;
    let bits = [P | A, P | W | A, P | W | A | D, P, P | W | D, 0, P | A | NX];
    let frames: Vec<u32> =
        (0..).zip(bits).map(|(page, bits)| guest.map(1, start + page * 0x1000, bits)).collect();
    // The one before and the one after the sixteen.
    guest.map(1, start - 0x1000, P | A);
    guest.map(1, start + 0x1_0000, P | A);
    let foreign = start + 0xf000;
    guest.set(1, foreign, Entry::new(1 << 30, P | A));
    assert_eq!(guest.fault(start, READ), Fault::Resume);
    let expected = [
        (start, ram(frames[0], false, true)),
        (start + 0x1000, ram(frames[1], false, true)),
        (start + 0x2000, ram(frames[2], true, true)),
        (start + 0x6000, ram(frames[6], false, false)),
    ];
    let expected: Vec<_> = expected.map(|(at, shown)| (at, shown.unwrap())).into();
    assert_eq!(guest.all(), expected);
}

#[test]
fn the_table_of_frames_is_shown_to_the_guests_kernel() {
    let mut guest = Guest::new();
    assert_eq!(machine_to_physical_pages(&guest.model), 2, "300 pages, rounded up, and the shared ones");
    for page in 0..2 {
        let address = MACHINE_TO_PHYSICAL + u64::from(page) * 0x1000;
        assert_eq!(guest.fault(address + 0xff8, READ), Fault::Resume);
        let page = Page::MachineToPhysical(page);
        assert_eq!(guest.shown(address), Some(Shown { page, write: false, execute: false }));
        for access in [WRITE, FETCH] {
            assert_eq!(guest.fault(address, access), Fault::Reflect { code: access | code::PRESENT });
        }
    }
    assert_eq!(guest.fault(MACHINE_TO_PHYSICAL + 0x2000, READ), Fault::Reflect { code: 0 });
}

#[test]
fn a_devices_registers_are_the_shims_to_answer() {
    let mut guest = Guest::new();
    for (page, is_device) in [(0xfed3f, false), (0xfed40, true), (0xfed44, true), (0xfed45, false)] {
        guest.set(1, HIGH, Entry::new(page, P | W | NX));
        let address = page * 0x1000 + 0x18;
        let foreign = Fault::Reflect { code: WRITE | code::PRESENT | code::RESERVED };
        let expected = if is_device { Fault::Device { address, write: true } } else { foreign };
        assert_eq!(guest.fault(HIGH + 0x18, WRITE), expected, "{page:#x}");
    }
    // To user programs they are nothing.
    guest.set(1, LOW, Entry::new(0xfed40, P | W | U));
    let root = guest.user_root(1);
    guest.paging.mmuext(&mut guest.model, mmuext::NEW_USER_BASEPTR, root.into(), 0).unwrap();
    guest.paging.enter_user(&mut guest.model).unwrap();
    let code = code::PRESENT | code::RESERVED | code::USER;
    assert_eq!(guest.fault(LOW, READ), Fault::Reflect { code });
}

#[test]
fn want_of_room_costs_what_is_shown_elsewhere() {
    let mut guest = Guest::new();
    let places = [LOW, LOW + 0x20_0000, HIGH, HIGH + 0x20_0000];
    for address in places {
        guest.map(1, address, P);
    }
    guest.model.room = 2;
    for round in 0..3 {
        for address in places {
            assert_eq!(guest.fault(address, READ), Fault::Resume, "{round}");
            assert!(guest.shown(address).is_some());
        }
    }
    assert!(guest.paging.counters().evictions >= 6);
    guest.model.room = 0;
    assert_eq!(guest.fault(LOW, READ), Fault::NoRoom);
}
