//! A domain that runs a guest: what the guest sees, whatever is asked for, and that all comes back.

use std::vec::Vec;

use cloison_abi::{
    CallError, CallNumber,
    call::{BUILDER_SLOT_MEMORY, NO_DEADLINE, POLL},
    guest::{GUEST_LOW_END, GUEST_WORDS, GuestHalf, GuestMapEntry, SPACE_CREATE, SPACE_DESTROY, UPPER_HALF},
    limits::PAGE_BYTES,
    plan::FaultPolicy,
};
use cloison_rules::{
    DomainId, Frame,
    memory::Run,
    thread::{Held, State},
};
use proptest::prelude::*;

use super::acts::{Act, CARVED, DOMAINS, GUEST, call, configure, create, pause, resume, start};
use super::world::World;
use crate::arch::machine::{self, Came};

/// The third domain runs the guest, which is in this slot.
const SHIM: usize = 2;
const SLOT: u8 = 12;
/// The pages of what the guest is made of. Its table pages suffice for a few spaces with little in them.
const PAGES: [u64; 4] = [24, 2, 30, 4];
/// The numbers of the two regions that it sees, and the builder's slots for them.
const RAM: u8 = 0;
const TABLE: u8 = 1;

const READ: u64 = 0;
const WRITE: u64 = GuestMapEntry::WRITE;
/// Addresses in both halves: some share tables, one is the last of the lower half.
const ADDRESSES: [u64; 6] = [
    0x1000,
    0x20_0000,
    0x40_0000_0000,
    GUEST_LOW_END - PAGE_BYTES,
    UPPER_HALF,
    u64::MAX - 3 * PAGE_BYTES + 1,
];

fn shim() -> DomainId {
    DomainId::new(SHIM + 2).unwrap()
}

fn give_guest() -> Act {
    let [pool, frame, ram, table] = GUEST.map(u64::from);
    call(CallNumber::DomainGiveGuest, DOMAINS[SHIM], &[SLOT.into(), pool, frame, ram | table << 8, 1])
}

/// The small system, whose third domain has a guest.
fn world() -> World {
    let mut world = World::new();
    world.done(call(CallNumber::DomainDestroy, DOMAINS[SHIM], &[]));
    let mut first = 300;
    for (slot, pages) in GUEST.into_iter().zip(PAGES) {
        world.done(call(CallNumber::RegionCarve, BUILDER_SLOT_MEMORY, &[slot.into(), first, pages]));
        first += pages;
    }
    for act in [create(SHIM), give_guest(), configure(SHIM, FaultPolicy::Stop, 0), start(SHIM)] {
        world.done(act);
    }
    let region = |slot: u8| world.region(DomainId::BUILDER, slot.into()).expect("it was carved");
    world.attached = Vec::from([(region(GUEST[2]), true), (region(GUEST[3]), false)]);
    world.check();
    world
}

fn page(region: u8, page: u32, rights: u64) -> GuestMapEntry {
    GuestMapEntry(GuestMapEntry::new(region, page).0 | rights)
}

impl World {
    /// Writes an entry of the map list, as the domain could that sees the frame page.
    fn list(&self, index: usize, entry: GuestMapEntry) {
        let frame = self.region(DomainId::BUILDER, GUEST[1].into());
        let run = frame.and_then(|frame| Some(self.kernel.regions.get(frame).ok()?.run()));
        if let Some(run) = run.filter(|run| run.pages() > 0) {
            machine::write(run.first, GUEST_WORDS + index, entry.0);
        }
    }

    /// The domain with the guest asks for something, as often as it takes. Returns the outcome.
    fn ask(&mut self, number: CallNumber, a: &[u64]) -> i32 {
        let came = self.finish(shim(), call(number, SLOT, a));
        self.check();
        match came {
            Some(Came::To(outcome, _)) => outcome,
            other => panic!("{} {number:?}: {other:?}", self.story()),
        }
    }

    fn space(&mut self, what: u64, space: u64) -> i32 {
        self.ask(CallNumber::GuestSpace, &[what, space])
    }

    fn show(&mut self, space: u64, address: u64, entries: &[GuestMapEntry]) -> i32 {
        entries.iter().enumerate().for_each(|(index, entry)| self.list(index, *entry));
        self.ask(CallNumber::GuestMap, &[space, address, entries.len() as u64])
    }

    fn hide(&mut self, space: u64, address: u64, pages: u64) -> i32 {
        self.ask(CallNumber::GuestUnmap, &[space, address, pages])
    }

    /// What a space shows with its upper half: address, number of the page in its region, and whether it can be written.
    fn shown(&self, space: u8) -> Vec<(u64, u64, bool)> {
        let guest =
            self.kernel.guests.iter().find(|guest| guest.spaces.are_there()).expect("there is a guest");
        let firsts = self.attached.iter().map(|(region, _)| self.kernel.regions.get(*region).unwrap().run());
        let firsts: Vec<_> = firsts.collect();
        let number = |frame: Frame| {
            let run = firsts.iter().find(|run| run.contains(Run::new(frame, 1))).expect("it is attached");
            frame.number() - run.first.number()
        };
        let all = machine::seen_by_guest(&guest.spaces);
        let of_space = all.iter().filter(|(number, half, _)| (*number, *half) == (space, GuestHalf::Both));
        of_space
            .flat_map(|(.., shows)| shows)
            .map(|(at, frame, write, _)| (*at, number(*frame), *write))
            .collect()
    }
}

#[test]
fn a_guest_sees_what_it_is_shown_until_it_is_hidden() {
    let mut world = world();
    assert_eq!(world.space(SPACE_CREATE, 0), 0);
    assert_eq!(world.space(SPACE_CREATE, 3), 0);
    let entries = [page(RAM, 7, WRITE), GuestMapEntry::SKIP, page(TABLE, 3, READ)];
    assert_eq!(world.show(3, 0x1000, &entries), 0);
    assert_eq!(world.show(0, UPPER_HALF, &[page(RAM, 9, READ)]), 0);
    let upper = (UPPER_HALF & 0xffff_ffff_ffff, 9, false);
    assert_eq!(world.shown(3), [(0x1000, 7, true), (0x3000, 3, false), upper]);
    assert_eq!(world.shown(0), [upper]);
    assert_eq!(world.show(3, 0x1000, &[page(RAM, 8, READ)]), 0);
    assert_eq!(world.hide(3, 0x2000, 2), 0);
    assert_eq!(world.shown(3), [(0x1000, 8, false), upper]);
    assert_eq!(world.space(SPACE_DESTROY, 0), CallError::BadState as i32, "the first goes last");
    assert_eq!(world.space(SPACE_DESTROY, 3), 0);
    assert_eq!(world.space(SPACE_DESTROY, 0), 0);
    world.take_down();
}

#[test]
fn what_is_not_the_guests_is_not_shown() {
    let mut world = world();
    assert_eq!(world.space(SPACE_CREATE, 0), 0);
    let [bad, missing] = [CallError::BadArgument, CallError::MissingRight].map(|error| error as i32);
    for (address, entry, outcome) in [
        (0x1000, page(RAM, PAGES[2] as u32, READ), bad),
        (0x1000, page(TABLE, PAGES[3] as u32, READ), bad),
        (0x1000, page(TABLE, 0, WRITE), missing),
        (0x1000, page(2, 0, READ), bad),
        (0x1000, GuestMapEntry(1 << 39), bad),
        (GUEST_LOW_END, page(RAM, 0, READ), bad),
        (1 << 47, page(RAM, 0, READ), bad),
        (cloison_abi::limits::KERNEL_BASE, page(RAM, 0, READ), bad),
    ] {
        assert_eq!(world.show(0, address, &[entry]), outcome, "{entry:?} at {address:#x}");
    }
    assert_eq!(world.shown(0), []);
    world.take_down();
}

/// The pool is used up, and up again: no table is lost.
#[test]
fn all_table_pages_come_back() {
    let mut world = world();
    let mut counts = Vec::new();
    for _ in 0..3 {
        assert_eq!(world.space(SPACE_CREATE, 0), 0);
        let shows = (0..512_u64).take_while(|slot| world.show(0, slot << 30, &[page(RAM, 1, WRITE)]) == 0);
        counts.push(shows.count());
        assert_eq!(world.space(SPACE_CREATE, 1), CallError::QuotaExceeded as i32);
        assert_eq!(world.hide(0, 0, 512 << 18), 0);
        assert_eq!(world.shown(0), []);
        assert_eq!(world.space(SPACE_DESTROY, 0), 0);
    }
    // Two roots and a table of the third level; two tables for each page.
    assert_eq!(counts, [(PAGES[0] as usize - 3) / 2; 3]);
    world.take_down();
}

/// The first page of a region of the builder's.
fn frame_of(world: &World, slot: u8) -> Frame {
    let region = world.region(DomainId::BUILDER, slot.into()).unwrap();
    world.kernel.regions.get(region).unwrap().run().first
}

/// A world whose guest has the CPU: one space, with one page of its memory.
fn with_running_guest() -> World {
    with_guest_at(0, 0, 0)
}

/// The same; the guest begins with this instruction and stack.
fn with_guest_at(rip: u64, rsp: u64, rflags: u64) -> World {
    let mut world = world();
    let registers = frame_of(&world, GUEST[1]);
    machine::write(registers, RIP, rip);
    machine::write(registers, RSP, rsp);
    machine::write(registers, RFLAGS, rflags);
    assert_eq!(world.space(SPACE_CREATE, 0), 0);
    assert_eq!(world.show(0, 0x1000, &[page(RAM, 7, WRITE)]), 0);
    world.list(0, GuestMapEntry(0));
    let enter = [0, GuestHalf::Both as u64, 0, 0, 0, NO_DEADLINE];
    world.turn(shim(), call(CallNumber::GuestEnter, SLOT, &enter));
    assert!(world.is_in_a_guest(), "{} it runs its guest", world.story());
    world
}

/// Each end of a domain whose guest has the CPU. If it begins again, it has none of its spaces.
#[test]
fn a_guest_that_runs_ends_with_its_domain() {
    for end in [CallNumber::DomainStop, CallNumber::DomainDestroy, CallNumber::Exit] {
        let mut world = with_running_guest();
        match end {
            CallNumber::Exit => drop(world.finish(shim(), call(end, 0, &[0]))),
            end => world.done(call(end, DOMAINS[SHIM], &[])),
        }
        world.check();
        if end == CallNumber::DomainStop {
            world.done(start(SHIM));
            assert_eq!(world.show(0, 0x1000, &[page(RAM, 7, WRITE)]), CallError::BadState as i32);
            assert_eq!(world.space(SPACE_CREATE, 0), 0);
            assert_eq!(world.shown(0), []);
        }
        world.take_down();
    }
}

/// Numbers in the frame page of a guest's stack and next instruction.
const RSP: usize = 4;
const RIP: usize = 16;
const RFLAGS: usize = 17;
/// Bytes of `iretq` in a word, and of another instruction.
const IRETQ: u64 = 0xcf48;
const UD2: u64 = 0x0b0f;

/// A guest's return that the CPU could not carry out: what is at its next instruction and at its stack, and whether it is
/// carried out. Where the stack is at a page's end, its last word lies in one that is not shown.
#[test]
fn a_guest_returns_as_the_cpu_would() {
    let (page, next) = (0x1000_u64, 0x2000);
    let frame = [0x1008, 0x33, u64::MAX, 0x77, 0x2b];
    let changed = |word: usize, to: u64| {
        let mut changed = frame;
        changed[word] = to;
        changed
    };
    for (code, rip, stack, rsp, is_done) in [
        (IRETQ, page, frame, page + 0x100, true),
        (IRETQ, page, frame, next - 40, true),
        (IRETQ << 56, page + 7, frame, page + 0x100, true),
        (UD2, page, frame, page + 0x100, false),
        (IRETQ, next, frame, page + 0x100, false),
        (IRETQ, page, frame, next - 32, false),
        (IRETQ, page, frame, page + 0x104, false),
        (IRETQ, page, frame, next, false),
        (IRETQ, page, frame, 1 << 48 | (page + 0x100), false),
        (IRETQ, page, frame, cloison_abi::limits::KERNEL_BASE, false),
        (IRETQ, page, changed(0, 1 << 47), page + 0x100, false),
        (IRETQ, page, changed(1, 0x8), page + 0x100, false),
        (IRETQ, page, changed(4, 0x10), page + 0x100, false),
    ] {
        let mut world = with_guest_at(rip, rsp, 0);
        let ram = frame_of(&world, GUEST[2]).after(7);
        for (at, word) in ((rsp % PAGE_BYTES) as usize / 8..).zip(stack) {
            machine::write(ram, at, word);
        }
        [code, 0xcf].into_iter().enumerate().for_each(|(at, word)| machine::write(ram, at, word));
        let id = world.kernel.domain(shim()).guest.unwrap();
        assert_eq!(world.kernel.carry_out_return(id), is_done, "{rip:#x}, {rsp:#x}, {stack:x?}");
        let expected = if is_done { [0x1008, 0x77, 0x25_0dd5 | 0x202] } else { [rip, rsp, 0x202] };
        assert_eq!(machine::goes_on(&world.kernel.guests[id.index()].context), expected);
        assert!(world.is_in_a_guest());
        world.take_down();
    }
}

/// The CPU traps behind a return that is stepped over: the guest comes out, and its domain has to see to that.
#[test]
fn a_return_that_is_stepped_over_comes_out() {
    for (rflags, is_done) in [(0x202, true), (0x302, false)] {
        let mut world = with_guest_at(0x1000, 0x1100, rflags);
        let ram = frame_of(&world, GUEST[2]).after(7);
        let frame = [0x1008, 0x33, 0x202, 0x77, 0x2b];
        (0x20..).zip(frame).for_each(|(at, word)| machine::write(ram, at, word));
        machine::write(ram, 0, IRETQ);
        let id = world.kernel.domain(shim()).guest.unwrap();
        assert_eq!(world.kernel.carry_out_return(id), is_done, "{rflags:#x}");
        let expected = if is_done { [0x1008, 0x77, 0x202] } else { [0x1000, 0x1100, rflags] };
        assert_eq!(machine::goes_on(&world.kernel.guests[id.index()].context), expected);
        world.take_down();
    }
}

/// What its guest sees is as it was, and can be changed when it goes on; it can be ended while it is held.
#[test]
fn a_domain_with_a_guest_is_held() {
    let mut world = with_running_guest();
    world.done(pause(SHIM));
    let thread = world.kernel.thread(shim()).unwrap();
    assert_eq!(world.kernel.threads.get(thread).state, State::Paused(Held::Running));
    assert!(!world.is_in_a_guest());
    world.done(resume(SHIM));
    assert_eq!(world.show(0, 0x1000, &[page(RAM, 8, READ)]), 0);
    assert_eq!(world.shown(0), [(0x1000, 8, false)]);
    world.done(pause(SHIM));
    world.done(call(CallNumber::DomainStop, DOMAINS[SHIM], &[]));
    world.take_down();
}

/// Between two lives of its domain a guest's memory is taken, and other memory given, of another length.
#[test]
fn the_memory_of_a_guest_is_taken_between_lives() {
    let mut world = world();
    let [pool, frame, ram, _] = GUEST;
    let vacate = |slot| call(CallNumber::RegionVacate, slot, &[]);
    let refused = |world: &mut World, act| {
        let came = world.finish(DomainId::BUILDER, act);
        assert!(matches!(came, Some(Came::To(outcome, _)) if outcome == CallError::BadState as i32));
        world.check();
    };
    let delete = call(CallNumber::RegionDelete, ram, &[]);
    for pages in [20, 60, PAGES[2]] {
        assert_eq!(world.space(SPACE_CREATE, 0), 0);
        assert_eq!(world.show(0, 0x1000, &[page(RAM, 7, WRITE)]), 0);
        refused(&mut world, vacate(ram));
        refused(&mut world, delete);
        world.scribble();
        world.done(call(CallNumber::DomainStop, DOMAINS[SHIM], &[]));
        [pool, frame].into_iter().for_each(|slot| refused(&mut world, vacate(slot)));
        world.done(vacate(ram));
        world.check();
        refused(&mut world, vacate(ram));
        refused(&mut world, delete);
        // It can live without, and shows nothing of it.
        world.done(start(SHIM));
        assert_eq!(world.space(SPACE_CREATE, 0), 0);
        assert_eq!(world.show(0, 0x1000, &[page(RAM, 7, WRITE)]), CallError::BadState as i32);
        world.done(call(CallNumber::DomainStop, DOMAINS[SHIM], &[]));
        world.done(call(CallNumber::RegionBack, ram, &[BUILDER_SLOT_MEMORY.into(), 500, pages]));
        world.done(start(SHIM));
        assert_eq!(world.space(SPACE_CREATE, 0), 0);
        assert_eq!(world.show(0, 0x1000, &[page(RAM, pages as u32 - 1, WRITE)]), 0);
        let beyond = page(RAM, pages as u32, WRITE);
        assert_eq!(world.show(0, 0x1000, &[beyond]), CallError::BadArgument as i32);
        assert_eq!(world.space(SPACE_DESTROY, 0), 0);
    }
    world.take_down();
}

/// Memory that is being zeroed for a guest shows nothing of what was there.
#[test]
fn memory_that_is_given_is_not_shown_before_it_is_zeroed() {
    let mut world = world();
    let ram = GUEST[2];
    world.done(call(CallNumber::DomainStop, DOMAINS[SHIM], &[]));
    world.done(call(CallNumber::RegionVacate, ram, &[]));
    world.done(start(SHIM));
    assert_eq!(world.space(SPACE_CREATE, 0), 0);
    let back = call(CallNumber::RegionBack, ram, &[BUILDER_SLOT_MEMORY.into(), 400, 200]);
    assert_eq!(world.turn(DomainId::BUILDER, back), Some(Came::Again));
    assert_eq!(world.show(0, 0x1000, &[page(RAM, 0, WRITE)]), CallError::BadState as i32);
    world.done(back);
    assert_eq!(world.show(0, 0x1000, &[page(RAM, 0, WRITE)]), 0);
    world.take_down();
}

/// One that has not lived yet: its spaces are made again.
#[test]
fn the_memory_of_a_guest_is_taken_before_its_first_life() {
    let mut world = world();
    world.done(call(CallNumber::DomainStop, DOMAINS[SHIM], &[]));
    world.done(call(CallNumber::DomainReset, DOMAINS[SHIM], &[]));
    world.done(call(CallNumber::RegionVacate, GUEST[2], &[]));
    world.check();
    world.done(call(CallNumber::RegionBack, GUEST[2], &[BUILDER_SLOT_MEMORY.into(), 500, 9]));
    world.done(start(SHIM));
    assert_eq!(world.space(SPACE_CREATE, 0), 0);
    assert_eq!(world.show(0, 0x1000, &[page(RAM, 8, WRITE)]), 0);
    world.take_down();
}

fn space() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0_u64), 4 => 1..4_u64, 1 => Just(32_u64)]
}

fn entry() -> impl Strategy<Value = GuestMapEntry> {
    let rights = prop::sample::select(Vec::from([
        READ,
        WRITE,
        GuestMapEntry::EXECUTE,
        WRITE | GuestMapEntry::EXECUTE,
    ]));
    let sound = (0..2_u8, 0..4_u32, rights).prop_map(|(region, number, rights)| page(region, number, rights));
    prop_oneof![8 => sound, 1 => Just(GuestMapEntry::SKIP), 1 => any::<u64>().prop_map(GuestMapEntry)]
}

#[derive(Clone, Debug)]
enum Step {
    /// An entry of the map list changes.
    List(usize, GuestMapEntry),
    Turn(DomainId, Act),
}

fn shims_act() -> impl Strategy<Value = Act> {
    let address = || prop::sample::select(ADDRESSES.to_vec());
    let pages = prop_oneof![1..4_u64, Just(512), Just(1 << 20), Just(1 << 35)];
    let deadline = prop::sample::select(Vec::from([POLL, NO_DEADLINE]));
    prop_oneof![
        3 => (space(), prop::sample::select(Vec::from([SPACE_CREATE, SPACE_CREATE, SPACE_DESTROY])))
            .prop_map(|(space, what)| call(CallNumber::GuestSpace, SLOT, &[what, space])),
        6 => (space(), address(), 0..4_u64)
            .prop_map(|(space, address, count)| call(CallNumber::GuestMap, SLOT, &[space, address, count])),
        3 => (space(), address(), pages)
            .prop_map(|(space, address, pages)| call(CallNumber::GuestUnmap, SLOT, &[space, address, pages])),
        3 => (space(), 0..3_u64, deadline).prop_map(|(space, half, deadline)| {
            call(CallNumber::GuestEnter, SLOT, &[space, half, 0, 0, 0, deadline])
        }),
        1 => prop::sample::select(Vec::from([Act::Fault, call(CallNumber::Exit, 0, &[1])])),
    ]
}

fn builders_act() -> impl Strategy<Value = Act> {
    let life = [CallNumber::DomainStop, CallNumber::DomainReset, CallNumber::DomainDestroy];
    let part = || prop::sample::select(GUEST.to_vec());
    prop_oneof![
        3 => prop::sample::select(life.to_vec()).prop_map(|number| call(number, DOMAINS[SHIM], &[])),
        4 => Just(start(SHIM)),
        1 => Just(pause(SHIM)),
        2 => Just(resume(SHIM)),
        2 => Just(create(SHIM)),
        2 => Just(give_guest()),
        1 => part().prop_map(|slot| call(CallNumber::RegionDelete, slot, &[])),
        2 => part().prop_map(|slot| call(CallNumber::RegionVacate, slot, &[])),
        2 => (part(), 1..40_u64).prop_map(|(slot, pages)| {
            call(CallNumber::RegionBack, slot, &[BUILDER_SLOT_MEMORY.into(), 400, pages])
        }),
        1 => part().prop_map(|slot| call(CallNumber::RegionCarve, slot, &[CARVED[0].into(), 0, 1])),
        1 => part().prop_map(|slot| call(CallNumber::RegionMap, slot, &[0x200_0000, 0, 1, 3])),
        1 => Just(call(CallNumber::RegionUnmap, 0, &[0x200_0000])),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4_usize, entry()).prop_map(|(index, entry)| Step::List(index, entry)),
        6 => shims_act().prop_map(|act| Step::Turn(shim(), act)),
        1 => builders_act().prop_map(|act| Step::Turn(DomainId::BUILDER, act)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Each turn is one step of a call, so a domain can end in the middle of one.
    #[test]
    fn a_guest_sees_nothing_else_and_all_comes_back(steps in prop::collection::vec(step(), 1..100)) {
        let mut world = world();
        for step in steps {
            match step {
                Step::List(index, entry) => world.list(index, entry),
                Step::Turn(actor, act) => drop(world.turn(actor, act)),
            }
            world.check();
            world.scribble();
        }
        world.take_down();
    }
}
