//! Which pages of the guest are known as tables, and what its stores to them do.

use cloison_abi::guest::GuestRegisters;
use cloison_xen::memory::mmuext;

use super::model::{A, D, Guest, HIGH, LOW, NX, P, PAGES, READ, TEXT, U, W, WRITE};
use crate::machine::Memory;
use crate::memory::entry::entry_address;
use crate::memory::{Entry, Fault, code, walk};

/// A guest whose kernel has code at [`TEXT`] and sees frame 8, with `bits`, at [`HIGH`].
fn with_code(bytes: &[u8], bits: u64) -> Guest {
    let mut guest = Guest::new();
    let frame = guest.map(1, TEXT, P | A);
    guest.model.write(u64::from(frame) * 0x1000, bytes).unwrap();
    // Frame 20 is free of the tables.
    guest.set(1, HIGH, Entry::new(20, bits));
    guest.registers = GuestRegisters { rip: TEXT, rdi: HIGH + 16, rflags: 2, ..Default::default() };
    guest
}

/// Linux changes entries of a table that it has handed over and made read-only.
#[test]
fn stores_to_tables_are_carried_out() {
    // Instruction, `rax`; what the entry becomes, what `rax`.
    let cases: [(&[u8], u64, u64, u64); 5] = [
        // xchg %rax,(%rdi)
        (&[0x48, 0x87, 0x07], 0, 0, 0x9067),
        // lock andb $0xfd,(%rdi)
        (&[0xf0, 0x80, 0x27, 0xfd], 1, 0x9065, 1),
        // btrq $5,(%rdi)
        (&[0x48, 0x0f, 0xba, 0x37, 5], 1, 0x9047, 1),
        // cmpxchg %rdx,(%rdi)
        (&[0x48, 0x0f, 0xb1, 0x17], 0x9067, 0, 0x9067),
        // movl $1,(%rdi)
        (&[0xc7, 0x07, 1, 0, 0, 0], 3, 1, 3),
    ];
    for (bytes, rax, entry, after) in cases {
        let mut guest = with_code(bytes, P | A);
        let at = 20 * 0x1000 + 16;
        guest.model.store(at, 0x9067).unwrap();
        guest.registers.rax = rax;
        let refused = Fault::Reflect { code: WRITE | code::PRESENT };
        assert_eq!(guest.fault(HIGH + 16, WRITE), refused, "not a table yet: {bytes:02x?}");
        guest.ext(mmuext::PIN_L1_TABLE, 20);
        assert_eq!(guest.fault(HIGH + 16, WRITE), Fault::Emulated, "{bytes:02x?}");
        assert_eq!(guest.model.load(at), Some(entry), "{bytes:02x?}");
        assert_eq!(guest.registers.rax, after, "{bytes:02x?}");
        assert_eq!(guest.registers.rip, TEXT + bytes.len() as u64);
        assert_eq!((guest.paging.counters().emulated, guest.paging.counters().updates), (1, 1));
    }
}

/// A program can have a page in each of many GiB: three tables for each page.
#[test]
fn a_pin_learns_all_tables_however_many() {
    let mut guest = with_code(&[0x48, 0x87, 0x07], P | A);
    let link = |guest: &mut Guest, table, entry, to| {
        guest.model.store(entry_address(table, entry), Entry::new(to, P | W | U).0).unwrap();
    };
    let (root, third, last) = (21, 22, 199);
    link(&mut guest, root, 0, third.into());
    for number in 0..=last {
        let second = 30 + number as u32;
        link(&mut guest, third, number, second.into());
        // Frame 20 is the table that the guest stores to.
        link(&mut guest, second, 0, if number == last { 20 } else { 23 });
    }
    guest.ext(mmuext::PIN_L4_TABLE, root);
    assert_eq!(guest.fault(HIGH + 16, WRITE), Fault::Emulated);
}

/// A store of one byte changes that one.
#[test]
fn a_part_of_an_entry_can_be_stored() {
    // movb $0x55,3(%rdi); movl $0x55667788,4(%rdi)
    for (bytes, at, expected) in [
        (&[0xc6, 0x47, 3, 0x55][..], 3, 0x1122_3344_5566_7788),
        (&[0xc7, 0x47, 4, 0x88, 0x77, 0x66, 0x55], 4, 0x5566_7788_1166_7788),
    ] {
        let mut guest = with_code(bytes, P | A);
        guest.ext(mmuext::PIN_L1_TABLE, 20);
        guest.model.store(20 * 0x1000 + 16, 0x1122_3344_1166_7788).unwrap();
        assert_eq!(guest.fault(HIGH + 16 + at, WRITE), Fault::Emulated);
        assert_eq!(guest.model.load(20 * 0x1000 + 16), Some(expected));
    }
}

#[test]
fn other_stores_are_left_to_the_guest() {
    let refused = Fault::Reflect { code: WRITE | code::PRESENT };
    let xchg = &[0x48, 0x87, 0x07];
    // Of no known form: rep stosq.
    let mut guest = with_code(&[0xf3, 0x48, 0xab], P | A);
    guest.ext(mmuext::PIN_L1_TABLE, 20);
    assert_eq!(guest.fault(HIGH + 16, WRITE), refused);
    assert_eq!(guest.paging.counters().unknown_stores, 1);
    // To another address than the one that faulted.
    let mut guest = with_code(xchg, P | A);
    guest.ext(mmuext::PIN_L1_TABLE, 20);
    assert_eq!(guest.fault(HIGH + 24, WRITE), refused);
    // Across two entries.
    guest.registers.rdi = HIGH + 20;
    assert_eq!(guest.fault(HIGH + 20, WRITE), refused);
    // From code that cannot be executed.
    let mut guest = with_code(xchg, P | A);
    guest.ext(mmuext::PIN_L1_TABLE, 20);
    guest.set(1, TEXT, Entry::new(3, P | NX));
    assert_eq!(guest.fault(HIGH + 16, WRITE), refused);
    assert_eq!((guest.registers.rip, guest.paging.counters().emulated), (TEXT, 0));
    // By a user program: to it, a table is a page that it may not write to.
    let mut guest = with_code(xchg, P | A);
    guest.ext(mmuext::PIN_L1_TABLE, 20);
    guest.set(1, LOW, Entry::new(20, P | U | A));
    guest.registers.rdi = LOW + 16;
    let root = guest.user_root(1);
    guest.ext(mmuext::NEW_USER_BASEPTR, root);
    guest.paging.enter_user(&mut guest.model).unwrap();
    let refused = Fault::Reflect { code: WRITE | code::PRESENT | code::USER };
    assert_eq!(guest.fault(LOW + 16, WRITE), refused);
}

/// A page that was a table may become one that processes share until they write to it: then the guest has to hear of
/// every write.
#[test]
fn a_page_is_a_table_until_the_guest_says_or_shows_otherwise() {
    let refused = Fault::Reflect { code: WRITE | code::PRESENT };
    let writable = Entry::new(20, P | W | A).0;
    let ways: [fn(&mut Guest); 3] = [
        |guest| guest.ext(mmuext::UNPIN_TABLE, 20),
        |guest| {
            let writable = Entry::new(20, P | W | A).0;
            guest.paging.update_va_mapping(&mut guest.model, HIGH, writable, 0).unwrap();
        },
        |guest| {
            guest.set(1, HIGH, Entry::new(20, P | W | A));
            assert_eq!(guest.fault(HIGH + 16, WRITE), Fault::Resume);
        },
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let mut guest = with_code(&[0x48, 0x87, 0x07], P | A);
        guest.ext(mmuext::PIN_L1_TABLE, 20);
        assert_eq!(guest.fault(HIGH + 16, WRITE), Fault::Emulated);
        guest.registers.rip = TEXT;
        way(&mut guest);
        guest.paging.update_va_mapping(&mut guest.model, HIGH, writable & !W, 0).unwrap();
        assert_eq!(guest.fault(HIGH + 16, WRITE), refused, "{number}");
    }
}

/// A root that is pinned has tables that no walk has met.
#[test]
fn a_pin_makes_known_what_is_below() {
    let mut guest = with_code(&[0x48, 0x87, 0x07], P | A);
    let root = guest.frame();
    let lower = guest.map(root, LOW, P | U);
    let path = walk(&guest.model, root, LOW).unwrap();
    guest.ext(mmuext::PIN_L4_TABLE, root);
    for table in path.tables {
        guest.set(1, HIGH, Entry::new(table.into(), P | A));
        guest.ext(mmuext::TLB_FLUSH_LOCAL, 0);
        guest.registers.rip = TEXT;
        assert_eq!(guest.fault(HIGH + 16, WRITE), Fault::Emulated);
    }
    guest.set(1, HIGH, Entry::new(lower.into(), P | A));
    assert_eq!(guest.fault(HIGH + 16, WRITE), Fault::Reflect { code: WRITE | code::PRESENT });
}

/// While the guest can write to a page, nothing is shown because of what was in it as a table.
#[test]
fn nothing_is_shown_because_of_a_table_that_can_be_written_to() {
    let mut guest = Guest::new();
    guest.map(1, TEXT, P);
    guest.show(TEXT);
    let table = walk(&guest.model, 1, TEXT).unwrap().tables[0];
    guest.set(1, HIGH, Entry::new(table.into(), P | W | A | D));
    assert_eq!(guest.fault(HIGH, READ), Fault::Resume);
    assert!(!guest.shown(HIGH).unwrap().write && guest.shown(TEXT).is_some());
    assert_eq!(guest.fault(HIGH, WRITE), Fault::Resume);
    assert!(guest.shown(HIGH).unwrap().write && guest.shown(TEXT).is_none());
}

/// One table of level 1 in more places than can be remembered.
#[test]
fn too_many_places_of_a_table_cost_what_is_shown() {
    let mut guest = Guest::new();
    let at = guest.set(1, HIGH, Entry::new(20, P | A));
    let path = walk(&guest.model, 1, HIGH).unwrap();
    for entry in 0..512 {
        for level in [1, 2] {
            let link = Entry::new(path.tables[level - 1].into(), P | W).0;
            guest.model.store(entry_address(path.tables[level], entry), link).unwrap();
        }
    }
    let places = || (0..5000).map(|number| HIGH + (number << 21));
    let drops = guest.paging.counters().drops;
    places().for_each(|address| guest.show(address));
    assert!(guest.paging.counters().drops > drops);
    guest.paging.mmu_update(&mut guest.model, at, 0).unwrap();
    assert!(guest.all().is_empty(), "and none is forgotten");
}

/// A root that a hostile guest pins leads to itself everywhere, or to as many tables as there are frames.
#[test]
fn a_pin_looks_into_no_more_tables_than_there_are_pages() {
    let mut guest = Guest::new();
    for table in 1..299_u32 {
        for entry in 0..512 {
            let next = Entry::new(u64::from(table) + 1, P | W);
            guest.model.store(entry_address(table, entry), next.0).unwrap();
        }
    }
    guest.model.loads.set(0);
    guest.ext(mmuext::PIN_L4_TABLE, 1);
    assert!(guest.model.loads.get() <= PAGES as usize * 512, "{} loads", guest.model.loads.get());
    assert!((1..=4).all(|table| guest.paging.tables.has(table)), "the first of each level are known");
}

/// All roots of a Linux have the same upper half, and two of them the same lower half: that is not gone through again.
#[test]
fn a_pin_does_not_look_into_what_is_known() {
    let mut guest = Guest::new();
    for number in 0..64 {
        guest.map(1, HIGH + number * 0x20_0000, P | W);
    }
    guest.ext(mmuext::PIN_L4_TABLE, 1);
    let (kernel, user) = (guest.frame(), guest.frame());
    for entry in 256..512 {
        let common = guest.model.load(entry_address(1, entry)).unwrap();
        guest.model.store(entry_address(kernel, entry), common).unwrap();
    }
    let table = guest.set(kernel, LOW, Entry::new(20, P | W | U)) / 0x1000;
    guest.model.store(entry_address(user, 0), guest.model.load(entry_address(kernel, 0)).unwrap()).unwrap();
    let loads = |guest: &mut Guest, root| {
        guest.model.loads.set(0);
        guest.ext(mmuext::PIN_L4_TABLE, root);
        guest.model.loads.get()
    };
    // A root, one table each of levels 3 and 2, and what the root has in common.
    assert_eq!(loads(&mut guest, kernel), 3 * 512 + 3);
    assert!(guest.paging.tables.has(table));
    assert_eq!(loads(&mut guest, user), 512 + 2);
    // Once something was unpinned, nothing is taken for known.
    guest.ext(mmuext::UNPIN_TABLE, kernel);
    assert_eq!(loads(&mut guest, user), 3 * 512 + 1);
}
