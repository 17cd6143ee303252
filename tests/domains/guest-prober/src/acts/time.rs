//! A guest has the CPU for as long as it may, and others have theirs.

use core::time::Duration;

use cloison_abi::guest::{GuestHalf, GuestRegisters};
use cloison_rt::{
    sys::{Instant, guest::Exit},
    time::after,
};

use super::{Act, act};
use crate::{
    blob::{Blob, blob},
    world::{Found, World, Wrong, came_out, is, trap},
};

pub(crate) const ACTS: &[Act] = &[
    act("an event ends a guest's run, and one that is there lets none begin", events),
    act("a guest that never comes out has to at its deadline", deadline),
    act("a deadline that has passed lets no guest run", past),
    act("a storm of exits takes nobody's time", storm),
];

/// Counts for ever.
fn count() -> Blob {
    blob!("2: inc rax", "jmp 2b")
}

/// The waker signals once, so this goes through what an event can find: a guest that does not come out for it, one that
/// has not begun, and none any more.
fn events(world: &mut World) -> Found {
    let registers = world.load(count());
    world.guest.set_registers(&registers);
    let (wake, both) = (world.wake, GuestHalf::Both);
    let (first, second) = (wake & wake.wrapping_neg(), wake & wake.wrapping_sub(1));
    came_out(world.guest.enter(0, both, first, Instant::NEVER)?, Exit::Events(first))?;
    let counted = world.guest.registers();
    if counted.rax == 0 {
        return Err(Wrong::Said("the guest has not run"));
    }
    came_out(world.guest.enter(0, both, 0, after(Duration::from_millis(60)))?, Exit::Deadline)?;
    let before = world.guest.registers();
    is("more is counted", u64::from(before.rax > counted.rax), 1)?;
    came_out(world.guest.enter(0, both, second, Instant::NEVER)?, Exit::Events(second))?;
    same(before, world.guest.registers())?;
    came_out(world.guest.enter(0, both, wake, Instant::PAST)?, Exit::Deadline)?;
    same(before, world.guest.registers())
}

fn same(before: GuestRegisters, after: GuestRegisters) -> Found {
    let words = before.to_words().into_iter().zip(after.to_words());
    words.into_iter().try_for_each(|(before, after)| is("a register", after, before))
}

fn deadline(world: &mut World) -> Found {
    let registers = world.load(count());
    world.guest.set_registers(&registers);
    for _ in 0..3 {
        let before = world.guest.registers().rax;
        let until = after(Duration::from_millis(25));
        came_out(world.guest.enter(0, GuestHalf::Both, 0, until)?, Exit::Deadline)?;
        if Instant::now() < until {
            return Err(Wrong::Said("it came out too soon"));
        }
        is("it counts on", u64::from(world.guest.registers().rax > before), 1)?;
    }
    Ok(())
}

fn past(world: &mut World) -> Found {
    let registers = world.load(count());
    world.guest.set_registers(&registers);
    came_out(world.guest.enter(0, GuestHalf::Both, 0, Instant::PAST)?, Exit::Deadline)?;
    is("what is counted", world.guest.registers().rax, 0)
}

fn storm(world: &mut World) -> Found {
    let registers = world.load(blob!("ud2"));
    world.guest.set_registers(&registers);
    for _ in 0..20_000 {
        let exit = world.guest.enter(0, GuestHalf::Both, 0, Instant::NEVER)?;
        came_out(exit, trap(6, 0))?;
    }
    Ok(())
}
