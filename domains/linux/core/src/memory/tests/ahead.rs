//! What is shown before the guest faults for it.

use cloison_xen::memory::mmuext;

use super::model::{A, D, Guest, HIGH, LOW, P, READ, U, W, WRITE};
use crate::machine::{Memory, Page, Shown};
use crate::memory::entry::{entry_address, index};
use crate::memory::{Entry, Fault, code, walk};

/// A guest with a page beside [`LOW`], whose user program was told that it cannot reach that, and whose kernel runs.
/// Returns the address of the entry, too.
fn with_missed(access: u64, bits: u64) -> (Guest, u64) {
    let mut guest = Guest::new();
    guest.map(1, LOW + 0x1000, P | U);
    let at = guest.set(1, LOW, Entry::new(20, bits));
    let user = guest.user_root(1);
    guest.ext(mmuext::NEW_USER_BASEPTR, user);
    guest.paging.enter_user(&mut guest.model).unwrap();
    assert!(matches!(guest.fault(LOW + 8, access), Fault::Reflect { .. }));
    guest.paging.enter_kernel(&mut guest.model);
    (guest, at)
}

impl Guest {
    /// Stores an entry, as the guest's kernel does.
    fn update(&mut self, at: u64, entry: Entry) {
        self.paging.mmu_update(&mut self.model, at, entry.0).unwrap();
    }

    /// The kernel returns to the program that has missed something.
    fn come_back(&mut self) {
        self.paging.enter_user(&mut self.model).unwrap();
        self.paging.show_missed(&mut self.model);
    }
}

#[test]
fn what_was_missed_is_shown_when_it_comes() {
    for (access, before, bits, write) in [
        (READ, 0, P | U, false),
        (READ, 0, P | W | U, false),
        (WRITE, 0, P | W | U | D, true),
        (WRITE, P | U, P | W | U | D, true),
        (code::FETCH, 0, P | U, false),
    ] {
        let (mut guest, at) = with_missed(access, before);
        guest.update(at, Entry::new(21, bits));
        assert_eq!(guest.shown(LOW), None, "not before");
        guest.come_back();
        assert_eq!(
            guest.shown(LOW),
            Some(Shown { page: Page::Ram(21), write, execute: true }),
            "{access} {bits:#x}"
        );
        assert_eq!(guest.entry(1, LOW), Entry::new(21, bits | A), "it will be used");
        assert_eq!(guest.shown(LOW + 0x1000), None, "nothing else changed");
        assert_eq!(guest.paging.counters().fills, 1);
    }
}

#[test]
fn what_does_not_let_it_through_is_not_shown() {
    for (access, bits) in
        [(READ, 0), (READ, P), (WRITE, P | U), (WRITE, P | W | U), (code::FETCH, P | U | Entry::NO_EXECUTE)]
    {
        let (mut guest, at) = with_missed(access, 0);
        guest.paging.mmu_update(&mut guest.model, at, Entry::new(21, bits).0).unwrap();
        assert_eq!(guest.shown(LOW), None, "{access} {bits:#x}");
        let entry = Entry(guest.model.load(at).unwrap());
        assert_eq!(entry, Entry::new(21, bits), "nobody was there, and nobody wrote");
    }
    let (mut guest, at) = with_missed(READ, 0);
    guest.update(at, Entry::new(400, P | U));
    guest.come_back();
    assert_eq!(guest.shown(LOW), None, "not the guest's");
}

/// A Linux maps pages of a file around the one that was missed.
#[test]
fn what_was_stored_with_it_is_shown_with_it() {
    for (is_used, bits) in [(true, P | U | A), (false, P | U)] {
        let (mut guest, at) = with_missed(READ, 0);
        guest.update(at, Entry::new(21, P | U));
        guest.update(at + 16, Entry::new(22, bits));
        guest.come_back();
        assert!(guest.shown(LOW).is_some());
        assert_eq!(guest.shown(LOW + 0x2000).is_some(), is_used);
        assert_eq!(guest.shown(LOW + 0x1000), None, "nobody has used it");
    }
}

#[test]
fn another_entry_shows_nothing() {
    // That of another address, and the same one of another table.
    let (mut guest, at) = with_missed(READ, 0);
    guest.update(at + 8, Entry::new(21, P | U));
    let other = guest.frame();
    guest.update(entry_address(other, index(LOW, 1)), Entry::new(21, P | U));
    guest.come_back();
    assert!(guest.all().is_empty());
    // It counts once.
    guest.update(at, Entry::new(21, P | U));
    guest.come_back();
    assert!(guest.all().is_empty());
}

/// Another program has the address, too.
#[test]
fn nothing_is_shown_to_another_program() {
    let (mut guest, at) = with_missed(READ, 0);
    guest.update(at, Entry::new(21, P | U));
    let other = guest.user_root(1);
    guest.ext(mmuext::NEW_USER_BASEPTR, other);
    guest.come_back();
    assert!(guest.all().is_empty());
}

/// A table would not be known any more after a write to it, and nobody has written.
#[test]
fn a_table_is_not_shown_for_what_was_missed() {
    let (mut guest, at) = with_missed(WRITE, 0);
    let table = walk(&guest.model, 1, LOW + 0x1000).unwrap().tables[0];
    guest.ext(mmuext::PIN_L1_TABLE, table);
    guest.update(at, Entry::new(table.into(), P | W | U | D));
    guest.come_back();
    assert_eq!(guest.shown(LOW), None);
}

/// Linux lets no page be written to that becomes a table, and gives it back later; it uses both at once.
#[test]
fn an_address_whose_entry_changes_is_shown_as_it_is_now() {
    let mut guest = Guest::new();
    guest.set(1, HIGH, Entry::new(20, P | W | A | D));
    guest.show(HIGH);
    for bits in [P | A | D, P | W | A | D] {
        guest.paging.update_va_mapping(&mut guest.model, HIGH, Entry::new(20, bits).0, 0).unwrap();
        let shown = Shown { page: Page::Ram(20), write: bits & W != 0, execute: true };
        assert_eq!(guest.shown(HIGH), Some(shown));
    }
    guest.paging.update_va_mapping(&mut guest.model, HIGH, Entry::new(20, P | W).0, 0).unwrap();
    assert_eq!(guest.shown(HIGH), None, "it was not used yet");
    assert_eq!(guest.entry(1, HIGH), Entry::new(20, P | W));
}

/// What user programs may not see is not shown in the lower half by itself: both sides share it.
#[test]
fn what_one_side_may_see_is_not_shown_again() {
    let mut guest = Guest::new();
    guest.set(1, LOW, Entry::new(20, P | W | A | D));
    guest.show(LOW);
    guest.paging.update_va_mapping(&mut guest.model, LOW, Entry::new(20, P | A).0, 0).unwrap();
    assert_eq!(guest.shown(LOW), None);
}
