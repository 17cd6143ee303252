//! Every call that is judged, with what it needs and without: with its right and its class allowed it is carried out; with
//! the class denied, without the right, with something else in its slot or nothing, it is not.

use std::{assert, assert_eq, collections::BTreeSet, vec, vec::Vec};

use cloison_abi::{
    CallError, CallNumber, InterruptSource, ObjectKind, Rights,
    access::Classes,
    call::{BUILDER_SLOT_CENSUS, BUILDER_SLOT_MEMORY, BUILDER_SLOT_RIGHT, EVERYONE, NO_DEADLINE},
    capture::CAPTURE_LAST,
    plan::FaultPolicy,
};
use cloison_rules::{DomainId, DomainSet, capability::Capability};

use super::acts::{
    ADDRESSES, Act, CARVED, DOMAINS, GATES, MIDDLE, OWN, call, configure, give_gate, give_region, map_into,
    pause, start,
};
use super::world::World;
use crate::arch::machine::Came;

const B: DomainId = DomainId::BUILDER;
const FIRST: DomainId = DomainId::I2;
const THIRD: DomainId = DomainId::I4;
const RIGHT: u64 = BUILDER_SLOT_RIGHT as u64;
/// The third domain's slots for rights that it is given here.
const MONITOR: u8 = 50;
const LOG: u8 = 51;
/// The first domain's event of the second.
const EVENT: u8 = 10;
const READ: u64 = Rights::READ.bits() as u64;

/// Who makes a call, what the builder has done before, the call, and whether its slot has to hold certain rights.
type Row = (DomainId, Vec<Act>, Act, bool);

/// What is not here ends the machine, or needs a guest: the tests of those are in `tests/boot` and `guest.rs`.
const ELSEWHERE: [CallNumber; 6] = [
    CallNumber::Shutdown,
    CallNumber::DomainGiveGuest,
    CallNumber::GuestSpace,
    CallNumber::GuestMap,
    CallNumber::GuestUnmap,
    CallNumber::GuestEnter,
];

fn rows() -> Vec<Row> {
    let of_first = |number, a: &[u64]| call(number, DOMAINS[0], a);
    let stop = || vec![of_first(CallNumber::DomainStop, &[])];
    let carve = call(CallNumber::RegionCarve, BUILDER_SLOT_MEMORY, &[CARVED[0].into(), 300, 8]);
    let vacate = call(CallNumber::RegionVacate, MIDDLE, &[]);
    let line = InterruptSource::Line { number: 6, is_level: true, is_active_low: false };
    let give = |slot: u8, kind: ObjectKind| {
        vec![call(CallNumber::DomainGiveRight, DOMAINS[2], &[slot.into(), RIGHT, kind as u64, 9])]
    };
    let create = [23, CARVED[0].into(), 0x6e, 0];
    let share = u64::from(Classes::SHARE.bits());
    let builders = [
        (vec![carve], call(CallNumber::DomainCreate, BUILDER_SLOT_RIGHT, &create), false),
        (stop(), configure(0, FaultPolicy::Stop, 0), true),
        (vec![], map_into(0, MIDDLE, ADDRESSES[0], 5, Rights::READ), true),
        (vec![], give_region(0, 70, MIDDLE, Rights::READ), true),
        (vec![], give_gate(0, 71, 1), true),
        (vec![], of_first(CallNumber::DomainGiveEvent, &[72, DOMAINS[1].into(), 5]), true),
        (vec![], of_first(CallNumber::DomainGiveInterrupt, &[73, RIGHT, line.to_bits().into(), 5]), true),
        (vec![], of_first(CallNumber::DomainGivePorts, &[RIGHT, 0x70, 2]), true),
        (vec![], of_first(CallNumber::DomainGiveRight, &[74, RIGHT, ObjectKind::CensusRight as u64]), true),
        (
            vec![],
            of_first(
                CallNumber::DomainGiveDomain,
                &[75, DOMAINS[1].into(), Rights::HANDLE_FAULT.bits().into()],
            ),
            true,
        ),
        (stop(), start(0), true),
        (vec![], of_first(CallNumber::DomainStop, &[]), true),
        (stop(), of_first(CallNumber::DomainReset, &[]), true),
        (stop(), of_first(CallNumber::DomainAttend, &[]), true),
        (vec![], of_first(CallNumber::DomainDestroy, &[]), true),
        (vec![], of_first(CallNumber::FaultRead, &[]), true),
        (vec![], of_first(CallNumber::DomainPause, &[1]), true),
        (vec![], of_first(CallNumber::DomainInfo, &[]), true),
        (vec![pause(0)], of_first(CallNumber::DomainCapture, &[CAPTURE_LAST]), true),
        (stop(), of_first(CallNumber::DomainRestore, &[CAPTURE_LAST, 0x40_1000]), true),
        (stop(), of_first(CallNumber::AccessSet, &[EVERYONE, share, 0]), true),
        (vec![], carve, true),
        (vec![], call(CallNumber::RegionDelete, MIDDLE, &[]), true),
        (vec![], vacate, true),
        (vec![vacate], call(CallNumber::RegionBack, MIDDLE, &[BUILDER_SLOT_MEMORY.into(), 500, 70]), true),
        (vec![], call(CallNumber::RegionDevice, BUILDER_SLOT_RIGHT, &[76, 0xfed4_0000, 1]), false),
        (vec![], call(CallNumber::CensusRead, BUILDER_SLOT_CENSUS, &[]), false),
        (vec![], call(CallNumber::Figures, BUILDER_SLOT_CENSUS, &[2]), false),
    ];
    let wait = [0, 0, 0, 0, 1, NO_DEADLINE];
    let firsts = [
        (vec![], call(CallNumber::Call, GATES[0], &[]), false),
        (vec![], call(CallNumber::Signal, EVENT, &[]), false),
        (vec![], call(CallNumber::SignalReplyWait, EVENT, &wait), false),
        (vec![], call(CallNumber::RegionGrant, OWN, &[GATES[0].into(), READ]), true),
        (vec![], call(CallNumber::RegionMap, OWN, &[ADDRESSES[0], 0, 1, READ]), true),
        (vec![], call(CallNumber::RegionRevoke, OWN, &[]), true),
        (vec![], call(CallNumber::DebugWrite, 0, &[]), false),
    ];
    let thirds = [
        (give(MONITOR, ObjectKind::MonitorRight), call(CallNumber::AskRead, MONITOR, &[]), false),
        (give(MONITOR, ObjectKind::MonitorRight), call(CallNumber::VerdictRead, MONITOR, &[2, 0]), false),
        (
            give(MONITOR, ObjectKind::MonitorRight),
            call(CallNumber::VerdictSet, MONITOR, &[2, 3, 0, 1]),
            false,
        ),
        (give(LOG, ObjectKind::LogRight), call(CallNumber::LogRead, LOG, &[]), false),
    ];
    let by = |who, rows: Vec<(Vec<Act>, Act, bool)>| {
        rows.into_iter().map(move |(before, act, needs)| (who, before, act, needs))
    };
    by(B, builders.into()).chain(by(FIRST, firsts.into())).chain(by(THIRD, thirds.into())).collect()
}

fn parts(act: Act) -> (CallNumber, u64) {
    match act {
        Act::Call(call) => (call.number, call.slot.into()),
        Act::Fault => panic!("a fault is no call"),
    }
}

/// What a call comes to if something is changed before it.
fn outcome((who, before, act, _): &Row, change: impl FnOnce(&mut World)) -> i32 {
    let mut world = World::new();
    before.iter().for_each(|act| world.done(*act));
    change(&mut world);
    let came = world.finish(*who, *act);
    match came {
        Some(Came::To(outcome, _)) => outcome,
        other => panic!("{act:?}: {other:?}"),
    }
}

#[test]
fn each_judged_call_is_in_the_table() {
    let found: BTreeSet<u8> = rows().iter().map(|(_, _, act, _)| parts(*act).0 as u8).collect();
    let elsewhere: BTreeSet<u8> = ELSEWHERE.iter().map(|call| *call as u8).collect();
    let judged: BTreeSet<u8> = CallNumber::ALL
        .iter()
        .filter(|(_, call)| call.class().is_some())
        .map(|(number, _)| *number)
        .collect();
    assert!(found.is_disjoint(&elsewhere));
    assert_eq!(
        &found | &elsewhere,
        judged,
        "the calls of `rows` and `ELSEWHERE`, and those that have a class"
    );
}

#[test]
fn each_judged_call_is_carried_out_with_what_it_needs_and_not_without() {
    for row in rows() {
        let (who, _, act, needs_rights) = &row;
        let (number, slot) = parts(*act);
        let granted = outcome(&row, |_| {});
        assert!(granted >= 0, "{act:?}: {granted}");
        let class = number.class().unwrap().bit();
        let denied = outcome(&row, |world| {
            world.kernel.access_mut(*who).set(DomainSet::MAX, class, false, false);
        });
        assert_eq!(denied, CallError::Denied as i32, "{act:?} with its class denied");
        let others = outcome(&row, |world| {
            world.kernel.access_mut(*who).set(DomainSet::MAX, Classes::all() - class, false, false);
        });
        assert!(others >= 0, "{act:?} with all other classes denied: {others}");
        if !number.takes_slot() {
            continue;
        }
        let empty = outcome(&row, |world| _ = world.kernel.slots_mut(*who).take(slot));
        assert_eq!(empty, CallError::BadSlot as i32, "{act:?} of an empty slot");
        let wrong = outcome(&row, |world| {
            let other = match world.kernel.slots(*who).get(slot) {
                Ok(Capability::Interrupt(_)) | Err(_) => panic!("{act:?} has a slot"),
                _ => Capability::Right(ObjectKind::ShutdownRight),
            };
            world.kernel.slots_mut(*who).replace(slot, other);
        });
        assert_eq!(wrong, CallError::WrongType as i32, "{act:?} of another right");
        let limited = outcome(&row, |world| _ = world.kernel.slots_mut(*who).limit(slot, Rights::empty()));
        let expected = if *needs_rights { CallError::MissingRight as i32 } else { granted };
        assert_eq!(limited, expected, "{act:?} without its rights");
    }
}
