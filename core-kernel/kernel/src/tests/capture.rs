//! What a domain that is held goes on with, told and restored.

use std::vec::Vec;

use cloison_abi::{
    CallError, CallNumber,
    call::NO_DEADLINE,
    capture::{
        CAPTURE_INTERRUPTED, CAPTURE_LAST, CAPTURE_PARTS, CAPTURE_RECEIVES, CAPTURE_VECTORS, CAPTURE_WAITS,
        capture_parts,
    },
};
use cloison_rules::{DomainId, thread::State};

use super::acts::{Act, DOMAINS, GATES, SUPERVISED, call, pause, resume, start};
use super::world::World;
use crate::arch::machine::Came;

const BUILDER: DomainId = DomainId::BUILDER;
/// An instruction and a stack of a domain, and flags: carry and zero, with interrupts on.
const INSTRUCTION: u64 = 0x40_1234;
const STACK: u64 = 0x50_0000;
const FLAGS: u64 = 0x243;
/// The part of the header of the vector registers, and that of `mxcsr`.
const HEADER: u64 = CAPTURE_VECTORS + 16;
/// Rests of the header.
const HEADER_REST: u64 = HEADER + 1;

type Parts = Vec<(u64, [u64; 4])>;

fn restored(part: u64, [a, b, c, d]: [u64; 4]) -> Act {
    call(CallNumber::DomainRestore, DOMAINS[0], &[part, a, b, c, d])
}

fn capture(part: u64) -> Act {
    call(CallNumber::DomainCapture, DOMAINS[0], &[part])
}

fn captured(world: &mut World) -> Parts {
    let told = capture_parts().map(|part| match world.finish(BUILDER, capture(part)) {
        Some(Came::To(0, words)) => (part, words),
        other => panic!("{part}: {other:?}"),
    });
    told.collect()
}

fn restore(world: &mut World, parts: &Parts) {
    parts.iter().for_each(|(part, words)| world.done(restored(*part, *words)));
}

fn refused(world: &mut World, by: DomainId, act: Act, error: CallError) {
    let came = world.finish(by, act);
    assert!(matches!(came, Some(Came::To(outcome, _)) if outcome == error as i32), "{act:?}: {came:?}");
}

/// Registers that are all different, those of an interrupted domain.
fn any_parts() -> Parts {
    let parts = capture_parts().map(|part| {
        let words = match part {
            1 => [STACK, 11, 12, 13],
            CAPTURE_VECTORS => [60, 61, 62, 0x1f80],
            HEADER => [0b111, 0, 0, 0],
            HEADER_REST => [0; 4],
            CAPTURE_LAST => [INSTRUCTION, FLAGS, CAPTURE_INTERRUPTED, 1 << 5 | 1 << 40],
            other => core::array::from_fn(|word| 0x1000 * other + word as u64),
        };
        (part, words)
    });
    parts.collect()
}

fn stopped() -> World {
    let mut world = World::new();
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    world
}

#[test]
fn what_is_restored_goes_on_as_it_was_captured() {
    let mut world = stopped();
    restore(&mut world, &any_parts());
    world.check();
    let id = world.domain(0).unwrap();
    assert_eq!(world.kernel.state(id), State::Runnable);
    world.done(pause(0));
    assert_eq!(captured(&mut world), any_parts());
    // A life in between leaves nothing.
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    world.done(start(0));
    world.turn(id, call(CallNumber::Clock, 0, &[]));
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    restore(&mut world, &any_parts());
    world.done(pause(0));
    assert_eq!(captured(&mut world), any_parts());
    world.check();
    world.take_down();
}

/// A domain that is captured while it waits makes its call again, with what is in its registers.
#[test]
fn how_a_domain_waits_is_told() {
    for (number, waits) in
        [(CallNumber::ReplyWait, CAPTURE_RECEIVES), (CallNumber::Wait, CAPTURE_WAITS), (CallNumber::Clock, 0)]
    {
        let mut world = World::new();
        let id = world.domain(0).unwrap();
        world.turn(id, call(number, 0, &[0, 0, 0, 0, 1 << 9, NO_DEADLINE]));
        world.done(pause(0));
        let parts = captured(&mut world);
        let (_, [_, _, how, pending]) = parts[parts.len() - 1];
        assert_eq!((how, pending), (waits, 0), "{number:?}");
        if waits != 0 {
            assert_eq!(parts[0].1[0], number as u64, "the number of the call");
            assert_eq!(parts[2].1[..2], [1 << 9, NO_DEADLINE], "what it waits for");
        }
        world.done(resume(0));
        world.take_down();
    }
}

#[test]
fn only_who_manages_a_domain_learns_and_says_with_what_it_goes_on() {
    let mut world = World::new();
    let handler = world.domain(1).unwrap();
    world.done(pause(0));
    let act = call(CallNumber::DomainCapture, SUPERVISED, &[CAPTURE_LAST]);
    refused(&mut world, handler, act, CallError::MissingRight);
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    for part in [0, CAPTURE_LAST] {
        let act = call(CallNumber::DomainRestore, SUPERVISED, &[part, INSTRUCTION]);
        refused(&mut world, handler, act, CallError::MissingRight);
    }
}

#[test]
fn only_of_one_that_is_held_it_is_told() {
    let mut world = World::new();
    refused(&mut world, BUILDER, capture(0), CallError::BadState);
    let (client, server) = (world.domain(0).unwrap(), world.domain(1).unwrap());
    world.turn(client, call(CallNumber::Call, GATES[0], &[]));
    world.done(pause(0));
    refused(&mut world, BUILDER, capture(0), CallError::BadState);
    world.turn(server, call(CallNumber::ReplyWait, 0, &[0, 0, 0, 0, 1, NO_DEADLINE]));
    assert!(matches!(world.kernel.state(client), State::Served(_)));
    refused(&mut world, BUILDER, capture(CAPTURE_LAST), CallError::BadState);
    world.turn(server, call(CallNumber::ReplyWait, 0, &[0, 0, 0, 0, 1, NO_DEADLINE]));
    world.done(capture(CAPTURE_LAST));
    for part in [CAPTURE_LAST + 1, CAPTURE_PARTS, u64::MAX] {
        refused(&mut world, BUILDER, capture(part), CallError::BadArgument);
    }
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    refused(&mut world, BUILDER, capture(0), CallError::BadState);
}

#[test]
fn one_that_lives_is_changed_by_nobody() {
    let mut world = World::new();
    for part in [0, CAPTURE_VECTORS, CAPTURE_LAST] {
        refused(&mut world, BUILDER, restored(part, [INSTRUCTION, 0, 0, 0]), CallError::BadState);
    }
    world.done(pause(0));
    for part in [0, CAPTURE_VECTORS, CAPTURE_LAST] {
        refused(&mut world, BUILDER, restored(part, [INSTRUCTION, 0, 0, 0]), CallError::BadState);
    }
}

#[test]
fn what_is_the_kernels_is_no_part() {
    let mut world = stopped();
    for part in [CAPTURE_LAST + 1, CAPTURE_PARTS, CAPTURE_PARTS + 4, u64::MAX] {
        refused(&mut world, BUILDER, restored(part, [0; 4]), CallError::BadArgument);
    }
    world.done(start(0));
    world.check();
}

/// What is wrong with vector registers is found at once, the rest when it is to go on. It does not live then, and can be started.
#[test]
fn nothing_goes_on_that_could_not() {
    let wrong = [
        (1, [u64::MAX, 0, 0, 0]),
        (1, [1 << 47, 0, 0, 0]),
        (HEADER, [1 << 3, 0, 0, 0]),
        (HEADER, [0b111, 1 << 63, 0, 0]),
        (HEADER, [0b111, 0, 1, 0]),
        (HEADER_REST, [0, 0, 0, 1]),
        (CAPTURE_LAST, [1 << 47, FLAGS, CAPTURE_INTERRUPTED, 0]),
        (CAPTURE_LAST, [0xffff_8400_0010_0000, FLAGS, 0, 0]),
    ];
    for (part, words) in wrong {
        let mut world = stopped();
        let mut parts = any_parts();
        parts.iter_mut().find(|(number, _)| *number == part).unwrap().1 = words;
        let (last, others) = parts.split_last().unwrap();
        let is_header = part == HEADER || part == HEADER_REST;
        for (number, words) in others {
            match is_header && *number == part {
                true => refused(&mut world, BUILDER, restored(*number, *words), CallError::BadArgument),
                false => world.done(restored(*number, *words)),
            }
        }
        if !is_header {
            refused(&mut world, BUILDER, restored(last.0, last.1), CallError::BadArgument);
        }
        let id = world.domain(0).unwrap();
        assert_eq!(world.kernel.state(id), State::Stopped, "{part} {words:x?}");
        world.done(start(0));
        world.done(pause(0));
        assert_eq!(captured(&mut world)[0].1, [0; 4], "nothing of it is left");
        world.check();
        world.take_down();
    }
}

/// A part that is changed between two steps of the last one.
#[test]
fn each_step_looks_at_all_of_it() {
    let mut world = stopped();
    let parts = any_parts();
    let (last, others) = parts.split_last().unwrap();
    restore(&mut world, &others.to_vec());
    assert_eq!(world.turn(BUILDER, restored(last.0, last.1)), Some(Came::Again));
    let thread = world.kernel.thread(world.domain(0).unwrap()).unwrap();
    world.kernel.context_mut(thread).part(1).unwrap()[0] = 1 << 63;
    refused(&mut world, BUILDER, restored(last.0, last.1), CallError::BadArgument);
}

/// Flags of the system, reserved bits of `mxcsr`, and words that say more than they can.
#[test]
fn what_a_program_cannot_set_by_itself_is_not_restored() {
    let mut world = stopped();
    let mut parts = any_parts();
    let (last, mxcsr) = (parts.len() - 1, CAPTURE_LAST as usize);
    assert_eq!(parts[mxcsr].0, CAPTURE_VECTORS);
    parts[mxcsr].1[3] = 0xffff_ffff_ffff_1f80;
    parts[last].1 = [INSTRUCTION, u64::MAX, u64::MAX, 0];
    restore(&mut world, &parts);
    world.done(pause(0));
    let found = captured(&mut world);
    assert_eq!(found[mxcsr].1[3], 0x1f80);
    assert_eq!(found[last].1, [INSTRUCTION, 0x25_0fd7, CAPTURE_INTERRUPTED, 0]);
}

/// What was refused of the vector registers is not there when a domain that has faulted ends.
#[test]
fn one_that_has_faulted_ends_with_registers_that_can_be_loaded() {
    let mut world = stopped();
    for (part, words) in
        [(HEADER, [1 << 63, 0, 0, 0]), (HEADER, [0, 1 << 63, 0, 0]), (HEADER_REST, [0, 0, 0, 1])]
    {
        refused(&mut world, BUILDER, restored(part, words), CallError::BadArgument);
    }
    world.done(restored(CAPTURE_VECTORS, [0, 0, 0, u64::MAX]));
    let thread = world.kernel.thread(world.domain(0).unwrap()).unwrap();
    let context = world.kernel.context_mut(thread);
    let words = [HEADER, HEADER_REST].map(|part| *context.part(part).unwrap());
    assert_eq!((words, context.part(CAPTURE_VECTORS).unwrap()[3]), ([[0; 4]; 2], 0xffff));
}

/// A client may have begun another life while its server was saved: the server forgets what it keeps for each.
#[test]
fn a_restored_server_is_told_of_its_clients() {
    let mut world = World::new();
    let server = world.domain(1).unwrap();
    let gone = || call(CallNumber::GoneRead, 0, &[0]);
    assert!(matches!(world.finish(server, gone()), Some(Came::To(0, [0, ..]))));
    world.done(call(CallNumber::DomainStop, DOMAINS[1], &[]));
    for (part, [a, b, c, d]) in any_parts() {
        world.done(call(CallNumber::DomainRestore, DOMAINS[1], &[part, a, b, c, d]));
    }
    let came = world.finish(server, gone());
    assert!(matches!(came, Some(Came::To(0, [next, ..])) if next > 0), "{came:?}");
}

/// It is the beginning of a life, with the slots of the plan, and nothing that was lent.
#[test]
fn a_restored_life_begins_as_the_first() {
    let mut world = World::new();
    let id = world.domain(0).unwrap();
    world.turn(id, call(CallNumber::SlotDrop, GATES[0], &[]));
    world.done(pause(0));
    let parts = captured(&mut world);
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    assert!(world.kernel.slots(id).gate(GATES[0].into()).is_err());
    restore(&mut world, &parts);
    assert!(world.kernel.slots(id).gate(GATES[0].into()).is_ok());
    world.check();
    world.take_down();
}
