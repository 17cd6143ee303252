//! What is shown is compared with the guest's tables: each way in which it can be wrong is noticed.

use super::model::{A, D, Guest, HIGH, LOW, NX, P, READ, U, W, WRITE};
use crate::machine::{Memory, Page, Shown, Space};
use crate::memory::entry::{Entry, entry_address, index};
use crate::memory::{Fault, walk};
use cloison_xen::memory::{MACHINE_TO_PHYSICAL, mmuext};

fn is_right(guest: &Guest, address: u64, shown: Shown) -> bool {
    guest.paging.is_right(&guest.model, Space(0), address, shown)
}

/// What is shown after an access.
fn shown(guest: &mut Guest, address: u64, code: u64) -> Shown {
    assert_eq!(guest.fault(address, code), Fault::Resume);
    guest.shown(address).unwrap()
}

#[test]
fn what_a_fault_shows_is_right() {
    let mut guest = Guest::new();
    for (address, code) in [(LOW, READ), (LOW + 0x1000, WRITE), (HIGH, WRITE), (HIGH + 0x1000, READ)] {
        guest.map(1, address, P | W | U);
        let shown = shown(&mut guest, address, code);
        assert!(is_right(&guest, address, shown), "{address:#x}: {shown:?}");
    }
}

#[test]
fn another_page_or_more_rights_than_the_tables_give_are_wrong() {
    let mut guest = Guest::new();
    let frame = guest.map(1, LOW, P | U | NX);
    let right = shown(&mut guest, LOW, READ);
    assert!(is_right(&guest, LOW, right));
    let wrong = [
        Shown { page: Page::Ram(frame + 1), ..right },
        Shown { page: Page::Shared(0), ..right },
        Shown { write: true, ..right },
        Shown { execute: true, ..right },
    ];
    for wrong in wrong {
        assert!(!is_right(&guest, LOW, wrong), "{wrong:?}");
    }
    assert!(!is_right(&guest, LOW + 0x1000, right), "nothing is there");
}

#[test]
fn what_was_not_noted_as_used_or_written_is_wrong() {
    let mut guest = Guest::new();
    let frame = guest.map(1, LOW, P | W | U);
    let written = shown(&mut guest, LOW, WRITE);
    assert!(written.write && is_right(&guest, LOW, written));
    for (bits, is_right_to_read) in [(A, true), (D, false)] {
        guest.set(1, LOW, Entry::new(frame.into(), P | W | U | bits));
        assert!(!is_right(&guest, LOW, written));
        assert_eq!(is_right(&guest, LOW, Shown { write: false, ..written }), is_right_to_read);
    }
}

#[test]
fn a_table_that_can_be_written_is_wrong() {
    let mut guest = Guest::new();
    guest.map(1, LOW, P | W | U);
    let table = walk(&guest.model, 1, LOW).unwrap().tables[0];
    guest.set(1, HIGH, Entry::new(table.into(), P | W | A | D));
    let seen = shown(&mut guest, HIGH, READ);
    // The way there is noted.
    assert_eq!(guest.fault(LOW, READ), Fault::Resume);
    let seen = Shown { write: false, ..seen };
    assert!(is_right(&guest, HIGH, seen));
    assert!(!is_right(&guest, HIGH, Shown { write: true, ..seen }));
}

#[test]
fn what_programs_see_has_to_be_in_their_tables_too() {
    let mut guest = Guest::new();
    guest.map(1, LOW, P | W | U);
    let user = guest.user_root(1);
    guest.paging.mmuext(&mut guest.model, mmuext::NEW_USER_BASEPTR, user.into(), 0).unwrap();
    let seen = shown(&mut guest, LOW, READ);
    assert!(is_right(&guest, LOW, seen));
    guest.model.store(entry_address(user, index(LOW, 4)), 0).unwrap();
    assert!(!is_right(&guest, LOW, seen));
}

#[test]
fn pages_that_no_table_names_are_those_that_were_meant() {
    let mut guest = Guest::new();
    let seen = shown(&mut guest, MACHINE_TO_PHYSICAL, READ);
    assert!(is_right(&guest, MACHINE_TO_PHYSICAL, seen));
    assert!(!is_right(&guest, MACHINE_TO_PHYSICAL, Shown { page: Page::Ram(0), ..seen }));
}
