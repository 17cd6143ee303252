//! Who runs on when the system ends.

use std::assert_eq;

use cloison_abi::{
    CallNumber, ObjectKind,
    call::{BUILDER_SLOT_RIGHT, SystemEnd},
};
use cloison_rules::{DomainId, thread::State};

use super::acts::{DOMAINS, call, start};
use super::world::World;

/// The reader of the log, its slot with the right, and the bit that tells it of lines.
const READER: DomainId = DomainId::I4;
const RIGHT: u8 = 50;
const BIT: u64 = 9;

/// All domains run, and the last reads the log.
fn with_reader() -> World {
    let mut world = World::new();
    world.done(call(CallNumber::DomainStop, DOMAINS[2], &[]));
    let right = [RIGHT.into(), BUILDER_SLOT_RIGHT.into(), ObjectKind::LogRight as u64, BIT];
    world.done(call(CallNumber::DomainGiveRight, DOMAINS[2], &right));
    world.done(start(2));
    world
}

fn states(world: &World) -> [State; 4] {
    [DomainId::BUILDER, DomainId::I2, DomainId::I3, READER].map(|id| world.kernel.state(id))
}

#[test]
fn after_a_halt_only_the_reader_of_the_log_runs() {
    let mut world = with_reader();
    world.kernel.end_system(SystemEnd::Halt);
    assert_eq!(states(&world), [State::Stopped, State::Stopped, State::Stopped, State::Runnable]);
}

#[test]
fn while_the_log_is_brought_out_at_the_end_all_run_on() {
    let mut world = with_reader();
    let before = states(&world);
    world.kernel.end_system(SystemEnd::Success);
    assert_eq!(states(&world), before);
}
