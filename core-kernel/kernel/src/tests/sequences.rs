//! Any sequence of calls by several domains.

use std::vec::Vec;

use cloison_abi::{
    CallNumber, Rights,
    access::Classes,
    call::{BUILDER_SLOT_MEMORY, EVERYONE, SLOT_SELF},
    plan::FaultPolicy,
};
use cloison_rules::DomainId;
use proptest::prelude::*;

use super::acts::{
    ADDRESSES, Act, BIG, CARVED, DOMAINS, GATES, LOANS, MIDDLE, OTHERS, OWN, PLANNED_ADDRESS, SHARED,
    SUPERVISED, call, configure, create, give_gate, give_region, map_into, pause, resume, start,
};
use super::world::World;

/// Rights that somebody can ask for: some of them make sense.
fn rights() -> impl Strategy<Value = Rights> {
    prop::sample::select(Vec::from([
        Rights::READ,
        Rights::READ | Rights::WRITE,
        Rights::READ | Rights::EXECUTE,
        Rights::READ | Rights::WRITE | Rights::EXECUTE,
        Rights::READ | Rights::WRITE | Rights::GRANT,
        Rights::empty(),
    ]))
}

fn address() -> impl Strategy<Value = u64> {
    let planned = [PLANNED_ADDRESS, PLANNED_ADDRESS + 0x10_0000];
    prop::sample::select([&ADDRESSES[..], &planned].concat())
}

fn one_of(slots: &[u8]) -> impl Strategy<Value = u8> + use<> {
    prop::sample::select(slots.to_vec())
}

/// Regions of a domain: its own, others', lent ones.
fn memory() -> impl Strategy<Value = u8> {
    one_of(&[OWN, OWN, OTHERS, LOANS, LOANS + 1, LOANS + 2, LOANS + 3, LOANS + 4])
}

/// What one of the three domains can do.
fn domains_act() -> impl Strategy<Value = Act> {
    let number = |rights: Rights| u64::from(rights.bits());
    prop_oneof![
        5 => (memory(), address(), 0..3_u64, 1..160_u64, rights()).prop_map(move |(slot, address, first, pages, rights)| {
            call(CallNumber::RegionMap, slot, &[address, first, pages, number(rights)])
        }),
        2 => address().prop_map(|address| call(CallNumber::RegionUnmap, 0, &[address])),
        5 => (memory(), one_of(&GATES), rights()).prop_map(move |(slot, gate, rights)| {
            call(CallNumber::RegionGrant, slot, &[gate.into(), number(rights)])
        }),
        3 => memory().prop_map(|slot| call(CallNumber::RegionRevoke, slot, &[])),
        1 => memory().prop_map(|slot| call(CallNumber::SlotDrop, slot, &[])),
        1 => (memory(), rights()).prop_map(move |(slot, rights)| {
            call(CallNumber::SlotLimit, slot, &[number(rights)])
        }),
        1 => Just(call(CallNumber::Exit, 0, &[1])),
        1 => Just(Act::Fault),
        1 => Just(call(CallNumber::AccessSet, SLOT_SELF, &[EVERYONE, Classes::SHARE.bits().into(), 0])),
        2 => prop::sample::select(Vec::from([
            CallNumber::DomainStop, CallNumber::DomainReset, CallNumber::DomainAttend, CallNumber::FaultRead,
        ])).prop_map(|number| call(number, SUPERVISED, &[])),
        1 => Just(call(CallNumber::DomainStart, SUPERVISED, &[0x40_1000, 0x40_2000, 0])),
    ]
}

/// What the builder can do.
fn builders_act() -> impl Strategy<Value = Act> {
    let index = 0..3_usize;
    let regions = [BIG, MIDDLE, SHARED];
    let life = [CallNumber::DomainStop, CallNumber::DomainReset, CallNumber::DomainDestroy];
    prop_oneof![
        3 => (prop::sample::select(life.to_vec()), index.clone())
            .prop_map(|(number, index)| call(number, DOMAINS[index], &[])),
        4 => index.clone().prop_map(start),
        2 => index.clone().prop_map(pause),
        3 => index.clone().prop_map(resume),
        3 => index.clone().prop_map(create),
        2 => index.clone().prop_map(|index| configure(index, FaultPolicy::Restart, 0)),
        3 => (index.clone(), one_of(&[OWN, OTHERS]), one_of(&regions), rights())
            .prop_map(|(index, slot, of, rights)| give_region(index, slot, of, rights)),
        2 => (index.clone(), one_of(&GATES), 0..3_usize)
            .prop_map(|(index, slot, into)| give_gate(index, slot, into)),
        3 => (index.clone(), one_of(&regions), address(), 1..100_u64, rights())
            .prop_map(|(index, of, address, pages, rights)| map_into(index, of, address, pages, rights)),
        1 => one_of(&regions).prop_map(|slot| call(CallNumber::RegionDelete, slot, &[])),
        1 => one_of(&CARVED).prop_map(|slot| call(CallNumber::RegionDelete, slot, &[])),
        2 => one_of(&regions).prop_map(|slot| call(CallNumber::RegionVacate, slot, &[])),
        3 => (one_of(&regions), one_of(&[BUILDER_SLOT_MEMORY, BIG, CARVED[0]]), 200..500_u64, 1..160_u64)
            .prop_map(|(slot, from, first, pages)| call(CallNumber::RegionBack, slot, &[from.into(), first, pages])),
        2 => (one_of(&CARVED), one_of(&[BUILDER_SLOT_MEMORY, BIG, CARVED[0]]), 0..500_u64, 1..130_u64)
            .prop_map(|(to, from, first, pages)| call(CallNumber::RegionCarve, from, &[to.into(), first, pages])),
        1 => (one_of(&regions), address(), 1..100_u64).prop_map(|(slot, address, pages)| {
            call(CallNumber::RegionMap, slot, &[address, 0, pages, 3])
        }),
        1 => address().prop_map(|address| call(CallNumber::RegionUnmap, 0, &[address])),
        1 => (index, 0..2_u64).prop_map(|(index, allow)| {
            call(CallNumber::AccessSet, DOMAINS[index], &[EVERYONE, Classes::SHARE.bits().into(), allow])
        }),
    ]
}

/// Who acts, and what it does if it is not in the middle of something.
pub(super) fn turn() -> impl Strategy<Value = (usize, Act)> {
    prop_oneof![
        3 => (2..5_usize, domains_act()),
        2 => builders_act().prop_map(|act| (1, act)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Each turn is one step of a call, so calls of several domains are under way at the same time.
    #[test]
    fn nobody_sees_what_was_not_given_and_all_comes_back(turns in prop::collection::vec(turn(), 1..80)) {
        let mut world = World::new();
        world.check();
        for (actor, act) in turns {
            world.turn(DomainId::new(actor).unwrap(), act);
            world.check();
            world.scribble();
        }
        world.take_down();
    }
}
