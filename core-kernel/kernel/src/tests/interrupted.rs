//! A call that takes several steps, with another call between two of them: each at each place.

use std::vec::Vec;

use cloison_abi::{
    CallNumber, Rights,
    access::Classes,
    call::{BUILDER_SLOT_MEMORY, BUILDER_SLOT_RIGHT, EVERYONE, SLOT_SELF},
};
use cloison_rules::DomainId;

use super::acts::{
    ADDRESSES, Act, BIG, CARVED, DOMAINS, GATES, LOANS, MIDDLE, OTHERS, OWN, QUOTAS, SHARED, SUPERVISED,
    call, create, give_gate, give_region, map_into, start,
};
use super::world::World;
use crate::arch::machine::Came;

/// The builder, and the three domains in their order.
const B: usize = 1;
const FIRST: usize = 2;
const SECOND: usize = 3;
const THIRD: usize = 4;

const READ_WRITE: u64 = 3;
/// Its own memory is more than one step.
const WHOLE: u64 = 150;

fn id(index: usize) -> DomainId {
    DomainId::new(index).unwrap()
}

/// What has been done before the long call: its effects are what a long call has to take back.
fn prepared() -> World {
    let mut world = World::new();
    let lend = |gate: u8| call(CallNumber::RegionGrant, OWN, &[gate.into(), READ_WRITE]);
    let map = |slot, address, pages| call(CallNumber::RegionMap, slot, &[address, 0, pages, READ_WRITE]);
    // Loans of the first arrive from `LOANS` on, of the second from two further on, and so on.
    for (actor, act) in [
        (FIRST, map(OWN, ADDRESSES[0], WHOLE)),
        (FIRST, lend(GATES[0])),
        (FIRST, lend(GATES[1])),
        (SECOND, lend(GATES[0])),
        (SECOND, map(LOANS, ADDRESSES[0], 130)),
        (THIRD, map(LOANS, ADDRESSES[1], 100)),
        (THIRD, map(LOANS + 2, ADDRESSES[2], 70)),
        (THIRD, lend(GATES[0])),
        (FIRST, map(LOANS + 4, ADDRESSES[1], 20)),
        (B, call(CallNumber::RegionCarve, BUILDER_SLOT_MEMORY, &[CARVED[0].into(), 300, 140])),
        (B, map(CARVED[0], ADDRESSES[0], 140)),
    ] {
        let came = world.finish(id(actor), act);
        assert!(matches!(came, Some(Came::To(0.., _))), "{actor} {act:?}: {came:?}");
    }
    world.check();
    world.scribble();
    world
}

/// A name, who calls, the call, and what comes right before.
type Long = (&'static str, usize, Act, Vec<(usize, Act)>);

/// Calls that take several steps.
fn long_calls() -> Vec<Long> {
    let stopped = |index: usize| Vec::from([(B, call(CallNumber::DomainStop, DOMAINS[index], &[]))]);
    let unmapped = Vec::from([(FIRST, call(CallNumber::RegionUnmap, 0, &[ADDRESSES[0]]))]);
    let vacate = call(CallNumber::RegionVacate, BIG, &[]);
    let back = call(CallNumber::RegionBack, BIG, &[BUILDER_SLOT_MEMORY.into(), 500, 150]);
    let map_whole = call(CallNumber::RegionMap, OWN, &[ADDRESSES[0], 0, WHOLE, READ_WRITE]);
    Vec::from([
        ("map", FIRST, map_whole, unmapped),
        ("map for another", B, map_into(0, BIG, ADDRESSES[2], WHOLE, Rights::READ), Vec::new()),
        ("unmap", FIRST, call(CallNumber::RegionUnmap, 0, &[ADDRESSES[0]]), Vec::new()),
        ("revoke", FIRST, call(CallNumber::RegionRevoke, OWN, &[]), Vec::new()),
        ("exit", FIRST, call(CallNumber::Exit, 0, &[0]), Vec::new()),
        ("end by a fault", THIRD, Act::Fault, Vec::new()),
        ("stop", B, call(CallNumber::DomainStop, DOMAINS[0], &[]), Vec::new()),
        ("stop by its handler", SECOND, call(CallNumber::DomainStop, SUPERVISED, &[]), Vec::new()),
        ("reset", B, call(CallNumber::DomainReset, DOMAINS[0], &[]), stopped(0)),
        ("start again", B, start(0), stopped(0)),
        ("destroy", B, call(CallNumber::DomainDestroy, DOMAINS[0], &[]), Vec::new()),
        (
            "carve",
            B,
            call(CallNumber::RegionCarve, BUILDER_SLOT_MEMORY, &[CARVED[1].into(), 500, 150]),
            Vec::new(),
        ),
        ("delete", B, call(CallNumber::RegionDelete, BIG, &[]), Vec::new()),
        ("vacate", B, vacate, Vec::new()),
        ("back", B, back, Vec::from([(B, vacate)])),
        ("start with other memory", B, start(0), [stopped(0), Vec::from([(B, vacate), (B, back)])].concat()),
    ])
}

/// Calls that can come between.
fn short_acts() -> Vec<(usize, Act)> {
    let mut acts = Vec::new();
    for (index, domain) in DOMAINS.into_iter().enumerate() {
        for number in [CallNumber::DomainStop, CallNumber::DomainReset, CallNumber::DomainDestroy] {
            acts.push((B, call(number, domain, &[])));
        }
        acts.push((B, start(index)));
        acts.push((B, create(index)));
        acts.push((B, give_region(index, OTHERS + 20, BIG, Rights::READ)));
        acts.push((B, give_gate(index, GATES[1] + 20, (index + 1) % 3)));
        acts.push((B, map_into(index, MIDDLE, ADDRESSES[2] + 0x20_0000, 70, Rights::READ)));
        let share = u64::from(Classes::SHARE.bits());
        acts.push((B, call(CallNumber::AccessSet, domain, &[EVERYONE, share, 0])));
    }
    for slot in [BIG, MIDDLE, SHARED, CARVED[0]].into_iter().chain(QUOTAS) {
        acts.push((B, call(CallNumber::RegionDelete, slot, &[])));
        acts.push((B, call(CallNumber::RegionVacate, slot, &[])));
        acts.push((B, call(CallNumber::RegionCarve, slot, &[CARVED[1].into(), 0, 5])));
        acts.push((B, call(CallNumber::RegionMap, slot, &[ADDRESSES[2], 0, 5, READ_WRITE])));
        acts.push((B, call(CallNumber::DomainCreate, BUILDER_SLOT_RIGHT, &[23, slot.into(), 0x6e, 0])));
    }
    for actor in [FIRST, SECOND, THIRD] {
        acts.push((actor, Act::Fault));
        acts.push((actor, call(CallNumber::Exit, 0, &[1])));
        acts.push((
            actor,
            call(CallNumber::AccessSet, SLOT_SELF, &[EVERYONE, Classes::all().bits().into(), 0]),
        ));
        for slot in [OWN, OTHERS, LOANS, LOANS + 2, LOANS + 4] {
            acts.push((
                actor,
                call(CallNumber::RegionMap, slot, &[ADDRESSES[2] + 0x40_0000, 0, 15, READ_WRITE]),
            ));
            acts.push((actor, call(CallNumber::RegionGrant, slot, &[GATES[0].into(), READ_WRITE])));
            acts.push((actor, call(CallNumber::RegionRevoke, slot, &[])));
            acts.push((actor, call(CallNumber::SlotDrop, slot, &[])));
            acts.push((actor, call(CallNumber::SlotLimit, slot, &[1])));
        }
        for address in ADDRESSES {
            acts.push((actor, call(CallNumber::RegionUnmap, 0, &[address])));
        }
        for number in [CallNumber::DomainStop, CallNumber::DomainReset, CallNumber::DomainAttend] {
            acts.push((actor, call(number, SUPERVISED, &[])));
        }
        acts.push((actor, call(CallNumber::DomainStart, SUPERVISED, &[0x40_1000, 0x40_2000, 0])));
    }
    acts
}

/// A world in which a long call has made this number of steps. Nothing if it needs no more.
fn begun(actor: usize, long: Act, before: &[(usize, Act)], steps: usize) -> Option<World> {
    let mut world = prepared();
    for (actor, act) in before {
        world.finish(id(*actor), *act);
    }
    for _ in 0..steps {
        if world.turn(id(actor), long) != Some(Came::Again) {
            return None;
        }
        world.check();
    }
    Some(world)
}

/// Two domains take turns until both have come to an end, or do not live.
fn alternate(world: &mut World, actors: [usize; 2]) {
    for _ in 0..200 {
        let busy = actors.map(|actor| world.is_busy(id(actor)));
        if busy == [false; 2] {
            return;
        }
        for (actor, _) in actors.into_iter().zip(busy).filter(|(_, busy)| *busy) {
            world.turn(id(actor), Act::Fault);
            world.check();
            world.scribble();
        }
    }
    panic!("{} this does not come to an end", world.story());
}

/// Each other call between each two steps of a long one, and then both to their ends, in turns.
#[test]
fn a_long_call_may_be_interrupted_anywhere() {
    let acts = short_acts();
    for (name, actor, long, before) in long_calls() {
        let mut steps = 0;
        while begun(actor, long, &before, steps + 1).is_some() {
            steps += 1;
        }
        assert!(steps > 0, "{name} takes one step");
        for step in 1..=steps {
            for (other, act) in acts.iter().filter(|(other, _)| *other != actor) {
                let Some(mut world) = begun(actor, long, &before, step) else {
                    panic!("{name} is shorter now")
                };
                world.turn(id(*other), *act);
                world.check();
                alternate(&mut world, [actor, *other]);
                world.take_down();
            }
        }
    }
}
