//! A guest that does anything in any order: what is shown is compared with its tables after each step.

use cloison_abi::guest::{GUEST_LOW_END, GuestHalf};
use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::memory::mmuext;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec;

use super::model::{A, D, Guest, NX, P, PAGES, SHARED, SHARED_FRAME, TEXT, U, UPPER, W};
use crate::machine::{Memory, Page};
use crate::memory::entry::{entry_address, index};
use crate::memory::{Entry, Fault, code};

/// Tables that the guest changes: roots, then two of each level from 3 down.
const TABLES: u32 = 9;
const ROOTS: u32 = 3;
/// The first page of data, and the last.
const DATA: [u32; 2] = [20, 24];
/// `mov %rax,(%rdi)`.
const STORE: [u8; 3] = [0x48, 0x89, 0x07];

#[derive(Clone, Debug)]
enum Op {
    Update {
        table: u32,
        entry: u64,
        value: u64,
        command: u64,
    },
    UpdateByStub {
        table: u32,
        entry: u64,
        value: u64,
    },
    UpdateAddress {
        address: u64,
        value: u64,
        flags: u64,
    },
    Root(u32),
    UserRoot(u32),
    Flush,
    FlushPage(u64),
    Fault {
        address: u64,
        code: u64,
    },
    Store {
        address: u64,
        value: u64,
    },
    User,
    Kernel,
    /// The guest's kernel returns from a fault.
    Return,
    Pin {
        level: u32,
        table: u32,
    },
    Unpin(u32),
}

/// Entries that addresses below go through, one that the guest may not use, one beside the end of a half.
const ENTRIES: [u64; 8] = [0, 1, 15, 16, 255, 264, 273, 511];

fn address() -> impl Strategy<Value = u64> {
    let slot = prop::sample::select(vec![0, 0, 0, 255, 264, 273, 273, 273]);
    let entry = || prop::sample::select(vec![0, 0, 0, 1, 15, 16, 511]);
    (slot, entry(), entry(), entry()).prop_map(|(slot, third, second, first)| {
        let sign = if slot > 255 { 0xffff << 48 } else { 0 };
        sign | slot << 39 | third << 30 | second << 21 | first << 12
    })
}

fn value() -> impl Strategy<Value = u64> {
    let frame = prop_oneof![
        4 => 1..=u64::from(TABLES),
        8 => u64::from(DATA[0])..=u64::from(DATA[1]),
        1 => prop::sample::select(vec![300, SHARED_FRAME, SHARED_FRAME + SHARED as u64, 1 << 39]),
    ];
    let bits = prop_oneof![
        6 => Just(P | W | U),
        2 => Just(P | W | U | A | D),
        6 => prop::sample::subsequence(vec![P, W, U, A, D, NX], 0..6)
            .prop_map(|bits| bits.into_iter().fold(P, |all, bit| all | bit)),
        1 => Just(P | W | U | Entry::LARGE),
        2 => Just(0),
    ];
    (frame, bits).prop_map(|(frame, bits)| Entry::new(frame, bits).0)
}

fn op() -> impl Strategy<Value = Op> {
    let table = || 1..=TABLES;
    let entry = prop::sample::select(ENTRIES.to_vec());
    let access = prop::sample::select(vec![0, code::WRITE, code::WRITE, code::FETCH]);
    prop_oneof![
        6 => (table(), entry, value(), prop::sample::select(vec![0, 2]))
            .prop_map(|(table, entry, value, command)| Op::Update { table, entry, value, command }),
        3 => (address(), value(), 0..3u64)
            .prop_map(|(address, value, flags)| Op::UpdateAddress { address, value, flags }),
        4 => (table(), prop::sample::select(ENTRIES.to_vec()), value())
            .prop_map(|(table, entry, value)| Op::UpdateByStub { table, entry, value }),
        2 => Just(Op::Return),
        2 => (1..=ROOTS).prop_map(Op::Root),
        2 => (0..=ROOTS).prop_map(Op::UserRoot),
        1 => Just(Op::Flush),
        1 => address().prop_map(Op::FlushPage),
        12 => (address(), access).prop_map(|(address, code)| Op::Fault { address, code }),
        4 => (address(), value()).prop_map(|(address, value)| Op::Store { address, value }),
        2 => Just(Op::User),
        2 => Just(Op::Kernel),
        1 => (0..4u32, table()).prop_map(|(level, table)| Op::Pin { level, table }),
        1 => table().prop_map(Op::Unpin),
    ]
}

/// What the tables say, by another walk than the one under test: the last entry, and write, user, execute.
struct Found {
    entry: Entry,
    write: bool,
    user: bool,
    execute: bool,
}

/// The error code's part that tells why not.
fn find(guest: &Guest, root: u32, address: u64) -> Result<Found, u64> {
    let foreign = code::PRESENT | code::RESERVED;
    let mut found = Found { entry: Entry::new(root.into(), P), write: true, user: true, execute: true };
    for shift in [39, 30, 21, 12] {
        let table = found.entry.frame();
        if table >= 300 || shift < 39 && found.entry.has(Entry::LARGE) {
            return Err(foreign);
        }
        found.entry = Entry(guest.model.load(table * PAGE_BYTES + (address >> shift & 511) * 8).unwrap());
        if !found.entry.has(P) {
            return Err(0);
        }
        found.write &= found.entry.has(W);
        found.user &= found.entry.has(U);
        found.execute &= !found.entry.has(NX);
    }
    Ok(found)
}

/// A guest in the middle of things.
struct Run {
    guest: Guest,
    keeps: bool,
    kernel: u32,
    user: u32,
    /// Tables have changed since the lower half was dropped; only one that keeps nothing shows old entries then.
    lower_is_old: bool,
}

impl Run {
    fn new(keeps: bool, room: usize) -> Self {
        let mut guest = Guest::new();
        guest.paging.keep(keeps);
        guest.model.room = room;
        let link = |guest: &mut Guest, table, entry, to: u32| {
            guest.model.store(entry_address(table, entry), Entry::new(to.into(), P | W | U).0).unwrap();
        };
        for root in 1..=ROOTS {
            for slot in [0, 255, 264, 273] {
                link(&mut guest, root, slot, if root == 2 { 5 } else { 4 });
            }
            // The code that stores, in tables that nothing changes.
            link(&mut guest, root, 511, 10);
        }
        for (table, to) in [(4, 6), (5, 7), (6, 8), (7, 9)] {
            for entry in [0, 1, 511] {
                link(&mut guest, table, entry, to);
            }
        }
        for (entry, data) in [(0, 20), (1, 21), (15, 22), (16, 23)] {
            link(&mut guest, 8, entry, data);
            link(&mut guest, 9, entry, data + 1);
        }
        for (table, level, to) in [(10, 3, 11), (11, 2, 12), (12, 1, 13)] {
            link(&mut guest, table, index(TEXT, level), to);
        }
        guest.model.write(13 * PAGE_BYTES, &STORE).unwrap();
        Self { guest, keeps, kernel: 1, user: 0, lower_is_old: false }
    }

    fn root(&self) -> u32 {
        if self.is_user() { self.user } else { self.kernel }
    }

    fn is_user(&self) -> bool {
        self.guest.paging.current().1 == GuestHalf::Lower
    }

    /// Frames that are tables below a root.
    fn tables(&self) -> BTreeSet<u64> {
        let mut all = BTreeSet::new();
        let mut level: BTreeSet<u64> = (1..=u64::from(ROOTS)).collect();
        for _ in 0..4 {
            all.extend(&level);
            let entries =
                level.iter().flat_map(|table| (0..512).map(move |entry| table * PAGE_BYTES + entry * 8));
            let entries = entries.map(|at| Entry(self.guest.model.load(at).unwrap()));
            level = entries.filter(|entry| entry.has(P) && entry.frame() < 300).map(Entry::frame).collect();
        }
        all
    }

    fn step(&mut self, op: &Op) {
        let (paging, model) = (&mut self.guest.paging, &mut self.guest.model);
        if !matches!(op, Op::User | Op::Fault { .. } | Op::Store { .. } | Op::Return) {
            // Only the guest's kernel makes calls.
            paging.enter_kernel(model);
        }
        let _ = match *op {
            Op::Update { table, entry, value, command } => {
                self.lower_is_old = true;
                paging.mmu_update(model, entry_address(table, entry) | command, value)
            }
            Op::UpdateAddress { address, value, flags } => {
                self.lower_is_old = true;
                paging.update_va_mapping(model, address, value, flags)
            }
            Op::UpdateByStub { table, entry, value } => {
                let at = entry_address(table, entry);
                if !Entry(model.load(at).unwrap()).has(P) && Entry(value).frame() < PAGES.into() {
                    model.store(at, value).unwrap();
                }
                Ok(())
            }
            Op::Return => {
                paging.show_missed(model);
                Ok(())
            }
            Op::Root(root) => {
                self.kernel = root;
                self.lower_is_old = false;
                paging.mmuext(model, mmuext::NEW_BASEPTR, root.into(), 0)
            }
            Op::UserRoot(root) => {
                self.user = root;
                paging.mmuext(model, mmuext::NEW_USER_BASEPTR, root.into(), 0)
            }
            Op::Flush => {
                self.lower_is_old = false;
                paging.mmuext(model, mmuext::TLB_FLUSH_LOCAL, 0, 0)
            }
            Op::FlushPage(address) => paging.mmuext(model, mmuext::INVLPG_LOCAL, address, 0),
            Op::Pin { level, table } => paging.mmuext(model, level, table.into(), 0),
            Op::Unpin(table) => paging.mmuext(model, mmuext::UNPIN_TABLE, table.into(), 0),
            Op::User => {
                assert_eq!(paging.enter_user(model).is_ok(), self.user != 0);
                Ok(())
            }
            Op::Kernel => Ok(()),
            Op::Fault { address, code } => {
                self.fault(address, code);
                Ok(())
            }
            Op::Store { address, value } => {
                self.store(address, value);
                Ok(())
            }
        };
    }

    /// A fault has the outcome that the tables ask for.
    fn fault(&mut self, address: u64, code: u64) -> Fault {
        let user = self.is_user();
        let write = code & code::WRITE != 0;
        let execute = code & code::FETCH != 0;
        let mine = if user { code::USER } else { 0 };
        let kept = (GUEST_LOW_END..UPPER).contains(&address) || address >> 39 & 511 == 264;
        let expected = match find(&self.guest, self.root(), address) {
            Err(why) => Err(why),
            Ok(found) if user && !found.user || write && !found.write || execute && !found.execute => {
                Err(code::PRESENT)
            }
            Ok(found) if is_foreign(found.entry) || kept => Err(code::PRESENT | code::RESERVED),
            Ok(_) if user && address >= UPPER => Err(code::PRESENT),
            Ok(_) => Ok(()),
        };
        self.guest.registers.rip = TEXT;
        let outcome = self.guest.fault(address, code);
        match expected {
            Ok(()) => assert_eq!(outcome, Fault::Resume),
            Err(_) if outcome == Fault::Emulated => assert!(write && !user),
            Err(why) => assert_eq!(outcome, Fault::Reflect { code: code | why | mine }),
        }
        if outcome == Fault::Resume {
            let shown = self.guest.shown(address).expect("a page is shown, or the guest faults for ever");
            assert!(shown.write >= write && shown.execute >= execute, "{shown:?} for {code}");
        }
        outcome
    }

    /// The guest stores to memory. Linux stores to tables in use only where it sees them read-only.
    fn store(&mut self, address: u64, value: u64) {
        (self.guest.registers.rax, self.guest.registers.rdi) = (value, address);
        for _ in 0..2 {
            match self
                .guest
                .shown(address)
                .filter(|shown| shown.write && !(self.is_user() && address >= UPPER))
            {
                Some(shown) => {
                    let Page::Ram(page) = shown.page else { return };
                    if !self.tables().contains(&page.into()) {
                        self.guest.model.store(u64::from(page) * PAGE_BYTES, value).unwrap();
                    }
                    return;
                }
                None if self.fault(address, code::WRITE) == Fault::Resume => {}
                None => {
                    self.lower_is_old = true;
                    return;
                }
            }
        }
        panic!("{address:#x} is shown at a fault and cannot be written to");
    }

    /// Nothing is shown that the tables do not say.
    fn check(&self) {
        let shown = self.guest.all();
        assert!(shown.len() < 10_000);
        for (address, shown) in shown {
            if address < UPPER && self.lower_is_old && !self.keeps {
                continue;
            }
            if address >= UPPER && self.is_user() {
                continue;
            }
            let found =
                find(&self.guest, self.root(), address).unwrap_or_else(|_| panic!("{address:#x} is shown"));
            let frame = found.entry.frame();
            let page = if frame < 300 {
                Page::Ram(frame as u32)
            } else {
                Page::Shared((frame - SHARED_FRAME) as u32)
            };
            assert_eq!(shown.page, page, "{address:#x}");
            assert!(!shown.write || found.write && found.entry.has(D), "{address:#x} can be written to");
            assert!(!shown.execute || found.execute, "{address:#x} can be executed");
            assert!(!self.is_user() || found.user, "{address:#x} is not for user programs");
            assert!(found.entry.has(A), "{address:#x} is used");
        }
    }
}

fn is_foreign(entry: Entry) -> bool {
    let frame = entry.frame();
    frame >= 300 && !(SHARED_FRAME..SHARED_FRAME + SHARED as u64).contains(&frame)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_is_what_the_tables_say(
        ops in prop::collection::vec(op(), 1..150),
        keeps in any::<bool>(),
        room in prop::sample::select(vec![1, 3, usize::MAX]),
    ) {
        let mut run = Run::new(keeps, room);
        for op in &ops {
            run.step(op);
            run.check();
        }
    }
}
