//! What changes of the guest's tables do to what is shown.

use cloison_xen::Errno;
use cloison_xen::memory::{UPDATE_FLUSH_ALL, UPDATE_FLUSH_PAGE, mmuext};

use super::model::{A, D, Guest, HIGH, LOW, NX, P, READ, SHARED_FRAME, TEXT, U, W};
use crate::machine::{Memory, Page, Shown};
use crate::memory::entry::{entry_address, index};
use crate::memory::{Entry, Fault, walk};

impl Guest {
    pub fn ext(&mut self, cmd: u32, arg: u32) {
        self.paging.mmuext(&mut self.model, cmd, arg.into(), 0).unwrap();
    }

    /// Shows an address, with those that are used beside it.
    pub fn show(&mut self, address: u64) {
        assert_eq!(self.fault(address, READ), Fault::Resume);
        assert!(self.shown(address).is_some());
    }
}

#[test]
fn what_the_upper_half_shows_changes_at_once() {
    for (after, stays) in [
        (Entry(0), false),
        (Entry::new(9, P | W | A | D), false),
        (Entry::new(8, P | A | D), false),
        (Entry::new(8, P | W | A), false),
        (Entry::new(8, P | W | D), false),
        (Entry::new(8, P | W | A | D | NX), false),
        (Entry::new(8, P | W | A | D | U), true),
    ] {
        let mut guest = Guest::new();
        let at = guest.set(1, HIGH, Entry::new(8, P | W | A | D));
        // The same table of level 1 a second time, as Linux has it at first.
        let table = (at / 0x1000) as u32;
        guest.map(1, TEXT, P);
        let level2 = walk(&guest.model, 1, TEXT).unwrap().tables[1];
        let second = TEXT - index(TEXT, 1) * 0x1000 + index(HIGH, 1) * 0x1000;
        let link = Entry::new(table.into(), P | W).0;
        guest.model.store(entry_address(level2, index(TEXT, 2)), link).unwrap();
        guest.show(HIGH);
        guest.show(second);
        guest.paging.mmu_update(&mut guest.model, at, after.0).unwrap();
        assert_eq!(guest.model.load(at), Some(after.0));
        for address in [HIGH, second] {
            assert_eq!(guest.shown(address).is_some(), stays, "{address:#x} {after:x?}");
        }
        assert_eq!(guest.model.unmaps > 0, !stays, "nothing is asked of the kernel in vain");
    }
}

/// An entry of an upper level stands for all that is below it.
#[test]
fn a_table_that_goes_takes_what_it_shows_with_it() {
    for level in 2..=4 {
        let mut guest = Guest::new();
        let beside = 0xffff_c900_0000_0000;
        for address in [HIGH, beside] {
            guest.map(1, address, P);
            guest.show(address);
        }
        let path = walk(&guest.model, 1, HIGH).unwrap();
        let at = entry_address(path.tables[usize::from(level) - 1], index(HIGH, level));
        guest.paging.mmu_update(&mut guest.model, at, 0).unwrap();
        assert_eq!(guest.shown(HIGH), None, "level {level}");
        assert!(guest.shown(beside).is_some());
    }
}

/// A table does not become a page of 2 MiB in secret.
#[test]
fn a_large_page_shows_nothing_of_the_table_before_it() {
    let mut guest = Guest::new();
    guest.map(1, HIGH, P);
    guest.show(HIGH);
    let path = walk(&guest.model, 1, HIGH).unwrap();
    let at = entry_address(path.tables[1], index(HIGH, 2));
    guest.paging.mmu_update(&mut guest.model, at, path.entries[1].0 | Entry::LARGE).unwrap();
    assert_eq!(guest.shown(HIGH), None);
}

/// The root's entry was changed unseen: what is shown because of the old one goes as soon as that is noticed.
#[test]
fn one_slot_of_the_upper_half_shows_one_table() {
    let mut guest = Guest::new();
    let other = guest.frame();
    guest.map(1, HIGH, P);
    guest.map(other, HIGH + 0x20_0000, P);
    guest.show(HIGH);
    let entry = guest.model.load(entry_address(other, index(HIGH, 4))).unwrap();
    guest.model.store(entry_address(1, index(HIGH, 4)), entry).unwrap();
    guest.show(HIGH + 0x20_0000);
    assert_eq!(guest.shown(HIGH), None);
}

/// A root that is unpinned while it is in use, as the first of a Linux is, can be changed unseen once another is in use.
#[test]
fn what_an_ended_root_has_shown_goes_with_it() {
    for of_programs in [false, true] {
        let mut guest = Guest::new();
        let other = guest.frame();
        let at = guest.set(1, LOW, Entry::new(20, P | U | A));
        let user = guest.user_root(1);
        guest.ext(mmuext::NEW_USER_BASEPTR, user);
        guest.ext(mmuext::UNPIN_TABLE, if of_programs { user } else { 1 });
        guest.show(LOW);
        guest.ext(mmuext::NEW_BASEPTR, other);
        guest.model.store(at, 0).unwrap();
        guest.ext(mmuext::NEW_BASEPTR, 1);
        assert_eq!(guest.shown(LOW), None);
    }
}

/// Nothing is asked of the kernel because of what was shown once.
#[test]
fn what_was_dropped_is_not_taken_back() {
    let mut guest = Guest::new();
    let at = guest.set(1, LOW, Entry::new(20, P | A));
    guest.show(LOW);
    guest.ext(mmuext::TLB_FLUSH_LOCAL, 0);
    let unmaps = guest.model.unmaps;
    guest.paging.mmu_update(&mut guest.model, at, 0).unwrap();
    assert_eq!(guest.model.unmaps, unmaps);
    let mut guest = Guest::new();
    let at = guest.set(1, HIGH, Entry::new(20, P | A));
    guest.show(HIGH);
    guest.paging.drop_upper(&mut guest.model);
    let unmaps = guest.model.unmaps;
    guest.paging.mmu_update(&mut guest.model, at, 0).unwrap();
    assert_eq!(guest.model.unmaps, unmaps);
}

/// All roots of a Linux have the same upper half; here two differ.
#[test]
fn an_upper_half_that_differs_is_not_taken_over() {
    let mut guest = Guest::new();
    guest.map(1, HIGH, P);
    guest.map(1, TEXT, P);
    let other = guest.frame();
    let shared = guest.model.load(entry_address(1, index(TEXT, 4))).unwrap();
    guest.model.store(entry_address(other, index(TEXT, 4)), shared | A).unwrap();
    guest.show(HIGH);
    guest.show(TEXT);
    guest.ext(mmuext::NEW_BASEPTR, other);
    assert_eq!(guest.shown(HIGH), None);
    assert!(guest.shown(TEXT).is_some());
    // A root that is not in use changes; then it is in use.
    guest.model.store(entry_address(1, index(TEXT, 4)), 0).unwrap();
    guest.ext(mmuext::NEW_BASEPTR, 1);
    assert!(guest.all().is_empty());
}

#[test]
fn another_root_shows_nothing_of_the_last_ones_lower_half() {
    let mut guest = Guest::new();
    let other = guest.frame();
    guest.map(1, LOW, P | U);
    guest.show(LOW);
    guest.ext(mmuext::NEW_BASEPTR, other);
    assert_eq!(guest.shown(LOW), None);
    assert_eq!(guest.fault(LOW, READ), Fault::Reflect { code: 0 });
    guest.ext(mmuext::NEW_BASEPTR, 1);
    let root = guest.user_root(1);
    guest.ext(mmuext::NEW_USER_BASEPTR, root);
    guest.show(LOW);
    let empty = guest.frame();
    guest.ext(mmuext::NEW_USER_BASEPTR, empty);
    guest.paging.enter_user(&mut guest.model).unwrap();
    assert_eq!(guest.shown(LOW), None);
}

/// The guest changes a table that nobody was told of, and flushes.
#[test]
fn after_a_flush_what_is_shown_is_what_the_tables_say() {
    let all = [mmuext::TLB_FLUSH_LOCAL, mmuext::TLB_FLUSH_MULTI, mmuext::TLB_FLUSH_ALL];
    let one = [mmuext::INVLPG_LOCAL, mmuext::INVLPG_MULTI, mmuext::INVLPG_ALL];
    // The upper half is flushed as a whole only if its changes may go unseen.
    for (address, keeps) in [(LOW, false), (LOW, true), (HIGH, false)] {
        for cmd in all.into_iter().chain(one) {
            let mut guest = Guest::new();
            guest.paging.keep(keeps);
            let at = guest.set(1, address, Entry::new(20, P | W | A | D));
            guest.map(1, address + 0x1000, P | A);
            guest.show(address);
            guest.model.store(at, 0).unwrap();
            let args = if one.contains(&cmd) { address + 0x123 } else { 0 };
            guest.paging.mmuext(&mut guest.model, cmd, args, 0).unwrap();
            assert_eq!(guest.shown(address), None, "{address:#x} {cmd}");
            assert_eq!(guest.shown(address + 0x1000).is_some(), one.contains(&cmd));
        }
    }
}

#[test]
fn an_entry_stored_for_an_address_is_flushed() {
    for (address, keeps) in [(LOW, false), (LOW, true), (HIGH, false), (HIGH, true)] {
        for flags in [0, UPDATE_FLUSH_PAGE, UPDATE_FLUSH_ALL, UPDATE_FLUSH_ALL | 0x1000] {
            let mut guest = Guest::new();
            guest.paging.keep(keeps);
            guest.set(1, address, Entry::new(20, P | W | A | D));
            guest.map(1, address + 0x1000, P | A);
            guest.show(address);
            let entry = Entry::new(20, P | A | D);
            guest.paging.update_va_mapping(&mut guest.model, address, entry.0, flags).unwrap();
            assert_eq!(guest.entry(1, address), entry);
            // What user programs may not see is shown when the guest asks for it; all else as the entry has it now.
            let is_shown = address == HIGH && (keeps || flags & 1 == 0);
            let shown = Shown { page: Page::Ram(20), write: false, execute: true };
            assert_eq!(guest.shown(address), is_shown.then_some(shown), "{address:#x} {flags}");
            assert_eq!(guest.shown(address + 0x1000).is_some(), keeps || flags & 1 == 0);
        }
    }
}

/// The root of user programs alone loses an entry.
#[test]
fn user_programs_lose_what_their_root_loses() {
    let mut guest = Guest::new();
    guest.map(1, LOW, P | U);
    let user = guest.user_root(1);
    guest.ext(mmuext::NEW_USER_BASEPTR, user);
    guest.show(LOW);
    guest.paging.mmu_update(&mut guest.model, entry_address(user, 0), 0).unwrap();
    guest.paging.enter_user(&mut guest.model).unwrap();
    assert_eq!(guest.shown(LOW), None);
}

/// The upper half of roots that are pinned is compared when something has changed, and else not.
#[test]
fn roots_with_other_upper_halves_show_what_is_theirs() {
    let mut guest = Guest::new();
    let at = guest.set(1, HIGH, Entry::new(20, P | A));
    let slot = index(HIGH, 4);
    let other = guest.frame();
    let theirs = guest.model.load(entry_address(1, slot)).unwrap();
    guest.model.store(entry_address(other, slot), theirs).unwrap();
    guest.ext(mmuext::PIN_L4_TABLE, 1);
    guest.ext(mmuext::PIN_L4_TABLE, other);
    guest.show(HIGH);
    for (root, is_known) in [(other, false), (1, false), (other, true), (1, true), (other, true)] {
        let loads = guest.model.loads.get();
        guest.ext(mmuext::NEW_BASEPTR, root);
        assert!(guest.shown(HIGH).is_some());
        assert_eq!(guest.model.loads.get() == loads, is_known);
    }
    // The root that is not in use gets another table there.
    let table = guest.frame();
    let new = Entry::new(table.into(), P | W | U).0;
    guest.paging.mmu_update(&mut guest.model, entry_address(1, slot), new).unwrap();
    guest.ext(mmuext::NEW_BASEPTR, 1);
    assert_eq!(guest.shown(HIGH), None);
    // What the first shows now is not what the other one has.
    guest.map(1, HIGH, P | A);
    guest.show(HIGH);
    guest.ext(mmuext::NEW_BASEPTR, other);
    assert_eq!(guest.shown(HIGH), None);
    guest.show(HIGH);
    guest.paging.mmu_update(&mut guest.model, at, 0).unwrap();
    assert_eq!(guest.shown(HIGH), None);
}

/// Below roots that are pinned nothing changes unseen, and nothing is asked of the kernel.
#[test]
fn a_flush_of_what_is_pinned_takes_nothing_back() {
    for (pins, user_pins, cmd) in [
        (true, true, mmuext::TLB_FLUSH_LOCAL),
        (true, true, mmuext::INVLPG_LOCAL),
        (true, true, mmuext::NEW_BASEPTR),
        (true, false, mmuext::TLB_FLUSH_LOCAL),
        (false, true, mmuext::INVLPG_LOCAL),
        (false, false, mmuext::NEW_BASEPTR),
    ] {
        let mut guest = Guest::new();
        let at = guest.set(1, LOW, Entry::new(20, P | U | A));
        let user = guest.user_root(1);
        for (root, pins) in [(1, pins), (user, user_pins)] {
            guest.ext(mmuext::PIN_L4_TABLE, root);
            if !pins {
                guest.ext(mmuext::UNPIN_TABLE, root);
            }
        }
        guest.ext(mmuext::NEW_USER_BASEPTR, user);
        guest.show(LOW);
        let unmaps = guest.model.unmaps;
        let args = if cmd == mmuext::INVLPG_LOCAL { LOW } else { 1 };
        guest.paging.mmuext(&mut guest.model, cmd, args, 0).unwrap();
        assert_eq!(guest.shown(LOW).is_some(), pins && user_pins, "{pins} {user_pins} {cmd}");
        assert_eq!(guest.model.unmaps == unmaps, pins && user_pins);
        guest.paging.mmu_update(&mut guest.model, at, 0).unwrap();
        assert_eq!(guest.shown(LOW), None, "a change is seen at once");
    }
}

/// Naming the root that is in use flushes.
#[test]
fn the_same_root_once_more_is_a_flush() {
    let mut guest = Guest::new();
    let at = guest.set(1, LOW, Entry::new(20, P | U));
    guest.show(LOW);
    guest.model.store(at, 0).unwrap();
    guest.ext(mmuext::NEW_BASEPTR, 1);
    assert_eq!(guest.shown(LOW), None);
}

/// What is shown because of a root is there when the guest comes back to it, as far as its tables still say so.
#[test]
fn lower_halves_stay() {
    for keeps in [true, false] {
        let mut guest = Guest::new();
        guest.paging.keep(keeps);
        guest.map(1, LOW, P | U | A);
        let at = guest.set(1, LOW + 0x1000, Entry::new(20, P | U | A));
        guest.show(LOW);
        let other = guest.frame();
        guest.map(other, LOW, P | U);
        guest.ext(mmuext::NEW_BASEPTR, other);
        guest.show(LOW);
        guest.paging.mmu_update(&mut guest.model, at, 0).unwrap();
        guest.ext(mmuext::NEW_BASEPTR, 1);
        assert_eq!(guest.shown(LOW).is_some(), keeps);
        assert_eq!(guest.shown(LOW + 0x1000), None);
        // The root's own entry goes while another root is in use.
        guest.ext(mmuext::NEW_BASEPTR, other);
        assert_eq!(guest.shown(LOW).is_some(), keeps);
        guest.paging.mmu_update(&mut guest.model, entry_address(1, 0), 0).unwrap();
        guest.ext(mmuext::NEW_BASEPTR, 1);
        assert_eq!(guest.shown(LOW), None);
    }
}

#[test]
fn a_root_that_is_unpinned_leaves_nothing_behind() {
    let mut guest = Guest::new();
    let [second, third] = [0; 2].map(|_| guest.frame());
    let third_user = guest.frame();
    for root in [second, third] {
        guest.map(root, LOW, P | U);
        guest.ext(mmuext::NEW_BASEPTR, root);
        guest.ext(mmuext::NEW_USER_BASEPTR, if root == third { third_user } else { 0 });
        guest.show(LOW);
    }
    guest.ext(mmuext::NEW_BASEPTR, 1);
    assert_eq!((guest.model.live.len(), guest.model.lower.len()), (3, 2));
    guest.ext(mmuext::UNPIN_TABLE, second);
    guest.ext(mmuext::UNPIN_TABLE, third_user);
    assert_eq!((guest.model.live.len(), guest.model.lower.len()), (3, 0));
    let fourth = guest.frame();
    guest.map(fourth, LOW, P);
    guest.ext(mmuext::NEW_BASEPTR, fourth);
    guest.ext(mmuext::NEW_USER_BASEPTR, 0);
    assert_eq!(guest.shown(LOW), None, "it has a space that was another's");
    guest.show(LOW);
    guest.ext(mmuext::NEW_BASEPTR, 1);
    assert_eq!((guest.model.live.len(), guest.model.lower.len()), (3, 1));
    guest.ext(mmuext::UNPIN_TABLE, fourth);
    // The one in use is emptied; the first space's root makes place for another.
    guest.map(1, LOW, P);
    guest.show(LOW);
    guest.ext(mmuext::UNPIN_TABLE, 1);
    assert_eq!(guest.shown(LOW), None);
    guest.show(LOW);
    guest.ext(mmuext::NEW_BASEPTR, second);
    guest.ext(mmuext::UNPIN_TABLE, 1);
    assert!(guest.model.lower.is_empty());
}

/// There are more roots than spaces: those that were not used for the longest time make place.
#[test]
fn any_number_of_roots_works() {
    for made in [32, 5] {
        let mut guest = Guest::new();
        guest.model.spaces = made;
        let roots: [u32; 40] = core::array::from_fn(|_| guest.frame());
        for root in roots {
            guest.map(root, LOW, P | U);
            guest.ext(mmuext::NEW_BASEPTR, root);
            guest.show(LOW);
        }
        let fills = guest.paging.counters().fills;
        for (number, root) in roots.into_iter().enumerate().rev().skip(1) {
            guest.ext(mmuext::NEW_BASEPTR, root);
            assert_eq!(guest.shown(LOW).is_some(), number + made >= 40, "{number}");
        }
        assert_eq!(guest.paging.counters().fills, fills);
    }
}

#[test]
fn entries_are_stored_as_the_command_says() {
    let mut guest = Guest::new();
    let at = guest.set(1, HIGH, Entry::new(8, P | A | D));
    let mut update = |ptr, val| guest.paging.mmu_update(&mut guest.model, ptr, val);
    assert_eq!(update(at | 2, Entry::new(9, P | W).0), Ok(()));
    assert_eq!(update(at | 1, 0), Err(Errno::NotOffered));
    assert_eq!(update(at | 3, 0), Err(Errno::NotOffered));
    assert_eq!(update(at | 4, 0), Err(Errno::Invalid), "between two entries");
    for outside in [300 * 0x1000, SHARED_FRAME * 0x1000, 1 << 52, u64::MAX - 7] {
        assert_eq!(update(outside, 0), Err(Errno::Invalid), "{outside:#x}");
    }
    assert_eq!(guest.entry(1, HIGH), Entry::new(9, P | W | A | D));
    // A page that is no table is stored to as well.
    let data = u64::from(guest.frame()) * 0x1000 + 8;
    guest.paging.mmu_update(&mut guest.model, data, u64::MAX).unwrap();
    assert_eq!(guest.model.load(data), Some(u64::MAX));
    assert_eq!(guest.paging.counters().foreign, 0, "no entry, though it looks like one");
    guest.show(HIGH);
    guest.paging.mmu_update(&mut guest.model, at, Entry::new(1 << 39, P).0).unwrap();
    guest.paging.mmu_update(&mut guest.model, at, Entry::new(1 << 39, W).0).unwrap();
    assert_eq!(guest.paging.counters().foreign, 1);
    assert_eq!(guest.paging.counters().updates, 4);
}

#[test]
fn counters_say_what_happened() {
    let mut guest = Guest::new();
    let at = guest.set(1, HIGH, Entry::new(20, P));
    guest.show(HIGH);
    guest.paging.mmu_update(&mut guest.model, at, Entry::new(1 << 30, P).0).unwrap();
    assert_eq!(
        std::format!("{}", guest.paging.counters()),
        "1 entries stored, 1 of them foreign; 0 stores carried out, 0 of no known form; 1 fills, 0 evictions, 0 drops"
    );
}

#[test]
fn calls_that_mean_nothing_are_refused() {
    let mut guest = Guest::new();
    let mut ext = |cmd, arg1, arg2| guest.paging.mmuext(&mut guest.model, cmd, arg1, arg2);
    for cmd in [0, 1, 2, 3, mmuext::UNPIN_TABLE, mmuext::NEW_BASEPTR, mmuext::NEW_USER_BASEPTR] {
        for frame in [300, SHARED_FRAME, 1 << 32 | 1, u64::MAX] {
            assert_eq!(ext(cmd, frame, 0), Err(Errno::Invalid), "{cmd} {frame:#x}");
        }
    }
    for cmd in [14, 16, 17, 18, 19, 20, 21, u32::MAX] {
        assert_eq!(ext(cmd, 1, 0), Err(Errno::NotOffered), "{cmd}");
    }
    assert_eq!(ext(mmuext::SET_LDT, 0, 0), Ok(()));
    assert_eq!(ext(mmuext::SET_LDT, HIGH, 8192), Ok(()));
    assert_eq!(ext(mmuext::SET_LDT, HIGH, 8193), Err(Errno::Invalid));
    assert_eq!(ext(mmuext::FLUSH_CACHE, 0, 0), Ok(()));
    for address in [1 << 47, u64::MAX, HIGH | 1 << 63, 0xffff_8400_0000_0000] {
        assert_eq!(ext(mmuext::INVLPG_LOCAL, address, 0), Ok(()), "{address:#x}");
    }
    for address in [LOW, HIGH, 1 << 47] {
        let refused = guest.paging.update_va_mapping(&mut guest.model, address, 0, 0);
        assert_eq!(refused, Err(Errno::Invalid), "no table for {address:#x}");
    }
}

/// Addresses that no guest has are flushed without the kernel's doing: it would refuse.
#[test]
fn nothing_is_hidden_where_nothing_can_be_shown() {
    let mut guest = Guest::new();
    let unmaps = guest.model.unmaps;
    for address in [0x7fff_ffff_f000, 0x8000_0000_0000, 0xffff_8400_0000_0000, 0xffff_87ff_ffff_f123] {
        guest.paging.mmuext(&mut guest.model, mmuext::INVLPG_LOCAL, address, 0).unwrap();
    }
    assert_eq!(guest.model.unmaps, unmaps);
    // The last page that a guest can have is below one that none has.
    let last = 0x7fff_ffff_e000;
    guest.set(1, last, Entry::new(8, P | W | A | D));
    guest.show(last);
    guest.ext(mmuext::TLB_FLUSH_LOCAL, 0);
    assert_eq!(guest.shown(last), None);
}

/// A table of a process that has ended long ago changes. What is known of its places counts again after a number of
/// processes, and their space is gone.
#[test]
fn a_table_changes_whose_space_is_gone() {
    let mut guest = Guest::new();
    let (other, page) = (guest.frame(), Entry::new(20, P | U | A));
    let at = guest.set(other, LOW, page);
    guest.map(other, LOW + (1 << 21), P | U);
    for life in 0..600 {
        guest.ext(mmuext::NEW_BASEPTR, other);
        guest.show(if life == 0 { LOW } else { LOW + (1 << 21) });
        guest.ext(mmuext::NEW_BASEPTR, 1);
        guest.ext(mmuext::UNPIN_TABLE, other);
        for entry in [0, page.0] {
            guest.paging.mmu_update(&mut guest.model, at, entry).unwrap();
        }
    }
}
