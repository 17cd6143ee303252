//! Domains that are held where they are, and let go.

use cloison_abi::{
    CallError, CallNumber, Rights,
    call::{NO_DEADLINE, RECEIVED_EVENTS, RECEIVED_MESSAGE},
    life::DomainState,
};
use cloison_rules::{DomainId, thread::State};

use super::acts::{ADDRESSES, Act, BADGE, BIG, DOMAINS, GATES, OWN, SUPERVISED, call, pause, resume, start};
use super::world::World;
use crate::arch::machine::{self, Came};

const BUILDER: DomainId = DomainId::BUILDER;
/// The second domain's slot with the event of the first.
const EVENT_BIT: u64 = 3;

fn refused(world: &mut World, by: DomainId, act: Act, error: CallError) {
    let came = world.finish(by, act);
    assert!(matches!(came, Some(Came::To(outcome, _)) if outcome == error as i32), "{act:?}: {came:?}");
}

/// What the kernel tells of a domain: its state, lives that have ended, who waits for it.
fn told(world: &mut World, index: usize) -> (Option<DomainState>, u64, u64) {
    let came = world.finish(BUILDER, call(CallNumber::DomainInfo, DOMAINS[index], &[]));
    let Some(Came::To(0, [state, _, lives, waiting])) = came else { panic!("{came:?}") };
    (DomainState::from_number(state as u32), lives, waiting)
}

fn paid(world: &mut World, index: usize) -> u64 {
    let came = world.finish(BUILDER, call(CallNumber::DomainInfo, DOMAINS[index], &[]));
    let Some(Came::To(0, [_, paid, ..])) = came else { panic!("{came:?}") };
    paid
}

fn found(world: &World, id: DomainId) -> Came {
    machine::outcome(world.kernel.context(world.kernel.thread(id).unwrap()))
}

fn waits_for_messages() -> Act {
    call(CallNumber::ReplyWait, 0, &[0, 0, 0, 0, 1 << EVENT_BIT, NO_DEADLINE])
}

#[test]
fn only_who_has_the_right_holds_a_domain_and_not_itself() {
    let mut world = World::new();
    let handler = world.domain(1).unwrap();
    for act in [1, 0] {
        let act = call(CallNumber::DomainPause, SUPERVISED, &[act]);
        refused(&mut world, handler, act, CallError::MissingRight);
    }
    let (own, right) = (60, u64::from(Rights::MANAGE.bits()));
    world.done(call(CallNumber::DomainGiveDomain, DOMAINS[2], &[own, DOMAINS[2].into(), right]));
    let itself = call(CallNumber::DomainPause, own as u8, &[1]);
    let third = world.domain(2).unwrap();
    refused(&mut world, third, itself, CallError::SelfCall);
    for what in [2, u64::MAX] {
        let other = call(CallNumber::DomainPause, DOMAINS[0], &[what]);
        refused(&mut world, BUILDER, other, CallError::BadArgument);
    }
    assert_eq!(told(&mut world, 0).0, Some(DomainState::Running));
}

#[test]
fn what_is_so_already_is_refused() {
    let mut world = World::new();
    refused(&mut world, BUILDER, resume(0), CallError::BadState);
    world.done(pause(0));
    assert_eq!(told(&mut world, 0).0, Some(DomainState::Paused));
    refused(&mut world, BUILDER, pause(0), CallError::BadState);
    for act in [
        start(0),
        call(CallNumber::DomainReset, DOMAINS[0], &[]),
        call(CallNumber::FaultRead, DOMAINS[0], &[1]),
        call(CallNumber::DomainConfigure, DOMAINS[0], &[3, 0, 0, 0, 0, 4]),
    ] {
        refused(&mut world, BUILDER, act, CallError::BadState);
    }
    world.done(resume(0));
    assert_eq!(told(&mut world, 0).0, Some(DomainState::Running));
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    for act in [pause(0), resume(0)] {
        refused(&mut world, BUILDER, act, CallError::BadState);
    }
    assert_eq!(told(&mut world, 0), (Some(DomainState::Stopped), 1, 0));
    let second = world.domain(1).unwrap();
    world.finish(second, Act::Fault);
    assert_eq!(told(&mut world, 1).0, Some(DomainState::Faulted));
    refused(&mut world, BUILDER, pause(1), CallError::BadState);
}

#[test]
fn a_held_server_finds_what_came_meanwhile() {
    let mut world = World::new();
    let (client, server) = (world.domain(0).unwrap(), world.domain(1).unwrap());
    world.turn(server, waits_for_messages());
    world.done(pause(1));
    world.turn(client, call(CallNumber::Call, GATES[0], &[5, 6, 7, 8]));
    assert!(matches!(world.kernel.state(client), State::Calling(_)));
    assert_eq!(told(&mut world, 1), (Some(DomainState::Paused), 0, client.bit().into()));
    world.done(resume(1));
    assert_eq!(found(&world, server), Came::To(RECEIVED_MESSAGE, [5, 6, 7, 8]));
    let badge = world.kernel.context(world.kernel.thread(server).unwrap()).badge();
    assert_eq!(badge, BADGE);
    world.turn(server, call(CallNumber::ReplyWait, 0, &[9, 0, 0, 0, 1 << EVENT_BIT, NO_DEADLINE]));
    assert!(matches!(found(&world, client), Came::To(0, [9, ..])));
    // An event comes first.
    world.done(pause(1));
    world.done(call(CallNumber::DomainGiveEvent, 0, &[61, DOMAINS[1].into(), EVENT_BIT]));
    world.done(call(CallNumber::Signal, 61, &[]));
    world.turn(client, call(CallNumber::Call, GATES[0], &[]));
    world.done(resume(1));
    assert!(matches!(found(&world, server), Came::To(RECEIVED_EVENTS, [bits, ..]) if bits == 1 << EVENT_BIT));
    assert!(matches!(world.kernel.state(client), State::Calling(_)), "its message is next");
}

/// Who is killed while it is held has held up nobody for longer, and its next life is like the first.
#[test]
fn the_end_of_a_held_domain_is_an_end() {
    for end in [CallNumber::DomainStop, CallNumber::DomainDestroy] {
        let mut world = World::new();
        let (client, server) = (world.domain(0).unwrap(), world.domain(1).unwrap());
        world.turn(server, waits_for_messages());
        world.turn(client, call(CallNumber::Call, GATES[0], &[]));
        assert!(matches!(world.kernel.state(client), State::Served(_)));
        world.done(pause(0));
        world.done(pause(1));
        world.done(call(end, DOMAINS[1], &[]));
        world.check();
        assert!(
            matches!(found(&world, client), Came::To(outcome, _) if outcome == CallError::PeerFailed as i32)
        );
        assert_eq!(told(&mut world, 0).0, Some(DomainState::Paused), "its call has come to its end");
        world.done(resume(0));
        assert_eq!(world.kernel.state(client), State::Runnable);
        if end == CallNumber::DomainStop {
            world.done(start(1));
            assert_eq!(told(&mut world, 1), (Some(DomainState::Running), 1, 0));
        }
        world.take_down();
    }
}

/// Between two steps of a call that takes several.
#[test]
fn a_long_call_goes_on_where_it_was_held() {
    let mut world = World::new();
    let id = world.domain(0).unwrap();
    let map = call(CallNumber::RegionMap, OWN, &[ADDRESSES[0], 0, 150, 3]);
    assert_eq!(world.turn(id, map), Some(Came::Again));
    world.done(pause(0));
    assert_eq!(world.turn(id, map), None);
    world.done(resume(0));
    assert!(matches!(world.finish(id, map), Some(Came::To(0, _))));
    world.check();
    world.done(pause(0));
    // Its memory can be taken meanwhile, as that of one that runs.
    world.done(call(CallNumber::RegionVacate, BIG, &[]));
    world.check();
    world.take_down();
}

#[test]
fn each_life_begins_with_an_account_that_has_paid_nothing() {
    let mut world = World::new();
    let id = world.domain(0).unwrap();
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    world.done(start(0));
    assert_eq!(paid(&mut world, 0), 0);
    world.kernel.threads.pause(world.kernel.thread(BUILDER).unwrap()).unwrap();
    for _ in 0..200 {
        world.turn(id, call(CallNumber::Clock, 0, &[]));
        world.kernel.threads.timer(crate::arch::time::now());
    }
    world.kernel.threads.resume(world.kernel.thread(BUILDER).unwrap()).unwrap();
    world.kernel.threads.settle(crate::arch::time::now);
    assert!(paid(&mut world, 0) > 100);
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    world.done(start(0));
    assert_eq!(paid(&mut world, 0), 0);
}
