//! A domain whose memory is taken and given again: what leads to the memory leads to it still, and nothing else does.

use std::{format, string::String, vec::Vec};

use cloison_abi::{
    CallError, CallNumber, Rights,
    call::{BUILDER_SLOT_MEMORY, CONFIGURE_COMES_BACK, POLL, SLOT_SELF},
    plan::FaultPolicy,
};
use cloison_rules::{DomainId, thread::State};

use super::acts::{
    ADDRESSES, Act, BIG, CARVED, DOMAINS, GATES, LOANS, MIDDLE, OWN, PLANNED_ADDRESS, QUOTAS, call, map_into,
    pause, start,
};
use super::world::World;
use crate::{arch::machine::Came, life::Renewal};

const BUILDER: DomainId = DomainId::BUILDER;
/// Where memory is free.
const PLACE: u64 = 500;
/// The event of the builder that says that a domain has ended.
const END: u64 = 4;

fn vacate(slot: u8) -> Act {
    call(CallNumber::RegionVacate, slot, &[])
}

/// As much as the first domain has at first.
fn back(slot: u8, first: u64) -> Act {
    back_pages(slot, first, 150)
}

fn back_pages(slot: u8, first: u64, pages: u64) -> Act {
    call(CallNumber::RegionBack, slot, &[BUILDER_SLOT_MEMORY.into(), first, pages])
}

fn refused(world: &mut World, act: Act, error: CallError) {
    let came = world.finish(BUILDER, act);
    assert!(matches!(came, Some(Came::To(outcome, _)) if outcome == error as i32), "{act:?}: {came:?}");
    world.check();
}

/// How many pages of a region a domain sees.
fn sees(world: &World, index: usize, slot: u8) -> u32 {
    let id = world.domain(index).unwrap();
    let region = world.region(BUILDER, slot.into()).unwrap();
    let all = world.kernel.domain(id).mappings.iter().filter(|mapping| mapping.region() == region);
    all.map(|mapping| mapping.mapped()).sum()
}

#[test]
fn memory_is_taken_from_everyone_and_given_again() {
    let mut world = World::new();
    let (lender, borrower) = (world.domain(0).unwrap(), world.domain(1).unwrap());
    world.finish(lender, call(CallNumber::RegionGrant, OWN, &[GATES[0].into(), 3]));
    world.finish(borrower, call(CallNumber::RegionMap, LOANS, &[ADDRESSES[0], 0, 100, 3]));
    world.finish(lender, call(CallNumber::RegionMap, OWN, &[ADDRESSES[1], 0, 20, 3]));
    assert_eq!((sees(&world, 0, BIG), sees(&world, 1, BIG)), (70 + 20, 100));
    world.scribble();
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    world.done(vacate(BIG));
    world.check();
    assert_eq!((sees(&world, 0, BIG), sees(&world, 1, BIG)), (0, 0));
    let region = world.region(BUILDER, BIG.into()).unwrap();
    assert!(world.kernel.slots(borrower).iter().all(|(_, held)| {
        !matches!(held, cloison_rules::capability::Capability::Region { region: of, .. } if *of == region)
    }));
    // It begins no life without.
    refused(&mut world, start(0), CallError::BadState);
    refused(&mut world, vacate(BIG), CallError::BadState);
    world.done(back(BIG, PLACE));
    refused(&mut world, back(BIG, PLACE), CallError::BadState);
    world.done(start(0));
    world.check();
    assert_eq!(sees(&world, 0, BIG), 70, "as its builder has mapped it");
    assert_eq!(world.region(lender, OWN.into()), Some(region), "its slot leads to it");
    world.take_down();
}

#[test]
fn a_domain_that_has_not_lived_waits_for_its_memory_too() {
    let mut world = World::new();
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    world.done(call(CallNumber::DomainReset, DOMAINS[0], &[]));
    let id = world.domain(0).unwrap();
    assert_eq!(world.kernel.domain(id).renewal, Renewal::Fresh);
    world.done(vacate(BIG));
    refused(&mut world, start(0), CallError::BadState);
    world.done(back(BIG, PLACE));
    world.done(start(0));
    world.check();
    assert_eq!(sees(&world, 0, BIG), 70);
    world.take_down();
}

/// Its builder has mapped 70 pages of it, whatever it has in a life.
#[test]
fn each_life_sees_as_much_as_its_memory_has() {
    let mut world = World::new();
    for (pages, seen) in [(30, 30), (69, 69), (71, 70), (1, 1), (200, 70)] {
        world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
        world.done(vacate(BIG));
        world.done(back_pages(BIG, PLACE, pages));
        world.done(start(0));
        world.check();
        assert_eq!(sees(&world, 0, BIG), seen, "of {pages} pages");
        world.scribble();
    }
    world.take_down();
}

#[test]
fn what_is_vacant_is_of_no_use() {
    let mut world = World::new();
    world.done(vacate(BIG));
    let bad = CallError::BadState;
    refused(&mut world, call(CallNumber::RegionMap, BIG, &[ADDRESSES[0], 0, 5, 3]), bad);
    refused(&mut world, call(CallNumber::RegionCarve, BIG, &[CARVED[0].into(), 0, 5]), bad);
    refused(&mut world, call(CallNumber::RegionBack, MIDDLE, &[BIG.into(), 0, 70]), bad);
    // Memory that others have is not given twice, nor more than there is.
    refused(&mut world, back(BIG, 20), CallError::Overlap);
    refused(&mut world, back(BIG, 790), CallError::BadArgument);
    refused(&mut world, back(BIG, u64::MAX), CallError::BadArgument);
    for pages in [0, 801, u64::MAX] {
        refused(&mut world, back_pages(BIG, PLACE, pages), CallError::BadArgument);
    }
    // Page tables, and what others have been carved out of, stay.
    refused(&mut world, vacate(QUOTAS[0]), bad);
    refused(&mut world, vacate(BUILDER_SLOT_MEMORY), bad);
    let lender = world.domain(0).unwrap();
    let lent = world.finish(lender, call(CallNumber::RegionGrant, OWN, &[GATES[0].into(), 3]));
    assert!(matches!(lent, Some(Came::To(outcome, _)) if outcome == bad as i32), "{lent:?}");
    world.take_down();
}

/// A parent that somebody sees is not given out in parts.
#[test]
fn memory_that_is_seen_is_not_given() {
    let mut world = World::new();
    let carve = call(CallNumber::RegionCarve, BUILDER_SLOT_MEMORY, &[CARVED[0].into(), PLACE, 160]);
    world.done(carve);
    world.done(call(CallNumber::RegionMap, CARVED[0], &[ADDRESSES[0], 0, 5, 3]));
    let part = call(CallNumber::RegionCarve, CARVED[0], &[CARVED[1].into(), 10, 5]);
    refused(&mut world, part, CallError::BadState);
    world.done(vacate(BIG));
    let back = call(CallNumber::RegionBack, BIG, &[CARVED[0].into(), 0, 150]);
    refused(&mut world, back, CallError::BadState);
    world.done(call(CallNumber::RegionUnmap, 0, &[ADDRESSES[0]]));
    world.done(back);
    world.take_down();
}

#[test]
fn who_only_reads_memory_does_not_take_it() {
    let mut world = World::new();
    let id = world.domain(0).unwrap();
    for number in [CallNumber::RegionVacate, CallNumber::RegionBack] {
        for slot in [OWN, SLOT_SELF] {
            let came = world.finish(id, call(number, slot, &[OWN.into(), 0, 1]));
            let outcome = if slot == OWN { CallError::MissingRight } else { CallError::WrongType };
            assert!(matches!(came, Some(Came::To(found, _)) if found == outcome as i32), "{came:?}");
        }
    }
    world.take_down();
}

/// Its slots are those of the plan, and nothing is lent to it; it sees nothing, so its memory can be vacant.
#[test]
fn a_life_is_forgotten_before_the_next_one_has_memory() {
    let mut world = World::new();
    let (lender, id) = (world.domain(0).unwrap(), world.domain(1).unwrap());
    let before = kept(&world)[id.index() - 1].1.clone();
    world.done(map_into(1, MIDDLE, PLANNED_ADDRESS, 70, Rights::READ));
    world.finish(lender, call(CallNumber::RegionGrant, OWN, &[GATES[0].into(), 3]));
    world.finish(id, call(CallNumber::SlotDrop, OWN, &[]));
    let strip = call(CallNumber::DomainReset, DOMAINS[1], &[1]);
    refused(&mut world, strip, CallError::BadState);
    world.done(call(CallNumber::DomainStop, DOMAINS[1], &[]));
    world.done(strip);
    world.check();
    assert_eq!((kept(&world)[id.index() - 1].1.clone(), sees(&world, 1, MIDDLE)), (before, 0));
    world.done(vacate(MIDDLE));
    world.done(strip);
    refused(&mut world, call(CallNumber::DomainReset, DOMAINS[1], &[]), CallError::BadState);
    world.done(back(MIDDLE, PLACE));
    world.done(start(1));
    world.check();
    assert_eq!(sees(&world, 1, MIDDLE), 70);
    world.take_down();
}

/// What the kernel keeps for all domains: page tables, slots, mappings, events.
fn kept(world: &World) -> Vec<(u64, Vec<String>, Vec<String>, u64)> {
    let of = |id: DomainId| {
        let domain = world.kernel.domain(id);
        let slots = world.kernel.slots(id).iter().map(|held| format!("{held:?}")).collect();
        let mappings = domain.mappings.iter().map(|mapping| format!("{mapping:?}")).collect();
        let pending = world.kernel.thread(id).map_or(0, |thread| world.kernel.threads.get(thread).pending());
        (domain.space.pages_used(), slots, mappings, pending)
    };
    DomainId::all().map(of).collect()
}

/// Ten thousand lives, each with memory at another place, and of six kinds that end differently: after each there is exactly
/// what there was after the first ones. (On a machine that is emulated so many take too long: `on-request` has a thousand.)
#[test]
fn ten_thousand_lives_leave_nothing() {
    let mut world = World::new();
    world.done(call(CallNumber::DomainStop, DOMAINS[1], &[]));
    let how = FaultPolicy::Stop as u64 | CONFIGURE_COMES_BACK;
    world.done(call(CallNumber::DomainConfigure, DOMAINS[1], &[3, 0, 0, how, 0, END]));
    world.done(map_into(1, MIDDLE, PLANNED_ADDRESS, 5, Rights::READ));
    world.done(vacate(MIDDLE));
    let id = world.domain(1).unwrap();
    let regions = world.kernel.regions.all().count();
    let mut first = None;
    for life in 0..10_000 {
        world.done(back_pages(MIDDLE, 300 + life % 400, 70));
        world.done(start(1));
        live(&mut world, life % 6);
        world.done(call(CallNumber::DomainStop, DOMAINS[1], &[]));
        world.done(call(CallNumber::DomainReset, DOMAINS[1], &[1]));
        world.done(vacate(MIDDLE));
        // The builder has been told of ends.
        world.finish(BUILDER, call(CallNumber::Wait, 0, &[0, 0, 0, 0, !0, POLL]));
        world.history.clear();
        // Who borrows has page tables for that from the first loan on.
        if life >= 6 {
            let now = kept(&world);
            assert_eq!(*first.get_or_insert_with(|| now.clone()), now, "after life {life}");
            assert_eq!(world.kernel.regions.all().count(), regions, "after life {life}");
        }
    }
    assert_eq!(world.kernel.domain(id).lives_ended, 10_001);
    world.check();
    world.take_down();
}

/// A life of one of six kinds: it does nothing; it maps its memory; it lends that, too, and drops a slot; after that, it
/// faults, ends, or is held.
fn live(world: &mut World, kind: u64) {
    let (id, borrower) = (world.domain(1).unwrap(), world.domain(2).unwrap());
    if kind > 0 {
        world.finish(id, call(CallNumber::RegionMap, OWN, &[ADDRESSES[0], 0, 7, 3]));
    }
    if kind > 1 {
        world.finish(id, call(CallNumber::RegionGrant, OWN, &[GATES[0].into(), 3]));
        world.finish(id, call(CallNumber::SlotDrop, GATES[0], &[]));
        let seen = world.finish(borrower, call(CallNumber::RegionMap, LOANS + 2, &[ADDRESSES[1], 0, 7, 1]));
        assert!(matches!(seen, Some(Came::To(0, _))), "{seen:?}");
    }
    match kind {
        3 => _ = world.finish(id, Act::Fault),
        4 => _ = world.finish(id, call(CallNumber::Exit, 0, &[7])),
        5 => world.done(pause(1)),
        _ => {}
    }
}

/// Lets a domain come back, with the builder as who is told.
fn come_back(world: &mut World, policy: FaultPolicy) -> DomainId {
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    let how = policy as u64 | CONFIGURE_COMES_BACK;
    world.done(call(CallNumber::DomainConfigure, DOMAINS[0], &[3, 0, 0, how, 0, END]));
    world.done(start(0));
    world.domain(0).unwrap()
}

fn pending(world: &World) -> u64 {
    let builder = world.kernel.thread(BUILDER).unwrap();
    world.kernel.threads.get(builder).pending() & 1 << END
}

#[test]
fn an_end_is_told_and_the_domain_lives_again() {
    for end in [call(CallNumber::Exit, 0, &[7]), Act::Fault] {
        let mut world = World::new();
        let id = come_back(&mut world, FaultPolicy::Stop);
        let slots = world.kernel.slots(id).iter().count();
        assert_eq!(pending(&world), 0);
        world.finish(id, end);
        world.check();
        assert_eq!((world.kernel.state(id), pending(&world)), (State::Stopped, 1 << END));
        assert_eq!(world.kernel.slots(id).iter().count(), slots, "what the plan gave it");
        world.done(vacate(BIG));
        world.done(back(BIG, PLACE));
        world.done(start(0));
        world.check();
        assert!(world.kernel.is_alive(id));
        world.take_down();
    }
}

/// One that is restarted after a fault is not stopped by it: its clients wait.
#[test]
fn a_fault_that_is_restarted_is_no_end() {
    let mut world = World::new();
    let id = come_back(&mut world, FaultPolicy::Restart);
    world.finish(id, Act::Fault);
    assert!(matches!(world.kernel.state(id), State::Faulted(_)));
    world.done(start(0));
    world.finish(id, call(CallNumber::Exit, 0, &[0]));
    assert_eq!(world.kernel.state(id), State::Stopped);
    world.done(start(0));
    world.take_down();
}

/// The builder gives others gates into itself, and itself events of others; nobody gives himself anything of his own.
#[test]
fn a_builder_can_be_an_end_of_what_it_gives() {
    let mut world = World::new();
    let own = u64::from(SLOT_SELF);
    world.done(call(CallNumber::DomainGiveGate, DOMAINS[2], &[60, own, 1, 0]));
    world.done(call(CallNumber::DomainGiveEvent, SLOT_SELF, &[60, DOMAINS[2].into(), 5]));
    let caller = world.domain(2).unwrap();
    assert_eq!(world.kernel.slots(caller).gate(60).unwrap().server.domain, BUILDER);
    for number in [CallNumber::DomainGiveEvent, CallNumber::DomainGiveGate, CallNumber::DomainGiveDomain] {
        let rights = u64::from(Rights::BUILD.bits());
        refused(&mut world, call(number, SLOT_SELF, &[61, own, rights]), CallError::MissingRight);
    }
    let give = call(CallNumber::DomainGiveDomain, SLOT_SELF, &[61, DOMAINS[2].into(), 1]);
    refused(&mut world, give, CallError::MissingRight);
    // What its own slots hold now is its own: the world knows nothing of it.
    world.done(call(CallNumber::SlotDrop, 60, &[]));
}

#[test]
fn registers_of_who_has_stopped_are_told_and_of_nobody_else() {
    let mut world = World::new();
    come_back(&mut world, FaultPolicy::Stop);
    let read = |part: u64| call(CallNumber::FaultRead, DOMAINS[0], &[part]);
    refused(&mut world, read(1), CallError::BadState);
    world.finish(world.domain(0).unwrap(), Act::Fault);
    for part in 0..=5 {
        world.done(read(part));
    }
    for part in [6, 7, 32, u64::MAX] {
        refused(&mut world, read(part), CallError::BadArgument);
    }
    // The stack with which it began is the fifth register, as instructions number them.
    let came = world.finish(BUILDER, read(2));
    assert!(matches!(came, Some(Came::To(0, [stack, ..])) if stack == 0x40_2000), "{came:?}");
}
