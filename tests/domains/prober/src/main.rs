//! Prober: tries what is forbidden.
//!
//! Each act of the table in [`acts`] announces how it must end, then does it. Most end in a fault; the
//! watcher then starts the prober again, with the number of the next act as its argument. An act that is
//! refused by an error code goes on with the next one itself.

#![no_std]
#![no_main]

mod acts;
mod world;

use cloison_abi::FaultKind;
use cloison_rt::start;
use watcher_api::{ANY_ADDRESS, EMULATED, FaultSet, SURVIVED};

use acts::{Act, Deed};
use world::World;

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let world = World::look_around().ok_or("the plan does not give the prober what it needs")?;
    let first = start::argument() as usize;
    if first == 0 {
        told(world.watcher.place(world.entry, world.stack_top))?;
    }
    for (number, act) in acts::all().enumerate().skip(first) {
        announce(&world, number, act)?;
        told(world.watcher.end(perform(&world, act)))?;
    }
    told(world.watcher.finish(acts::all().count() as u16))?;
    Ok(())
}

fn announce(world: &World, number: usize, act: &Act) -> Result<(), &'static str> {
    watcher_api::write_name(&world.page, act.name);
    let (faults, address, status) = match act.deed {
        Deed::Read(place) => (FaultSet::of(&[FaultKind::ReadDenied]), place(world), 0),
        Deed::Write(place) => (FaultSet::of(&[FaultKind::WriteDenied]), place(world), 0),
        Deed::Jump(place) => (FaultSet::of(&[FaultKind::ExecuteDenied]), place(world), 0),
        Deed::Instruction(faults, _) => (FaultSet::of(faults), ANY_ADDRESS, 0),
        Deed::Emulated(_) => (FaultSet::of(&[FaultKind::Privileged]), ANY_ADDRESS, EMULATED),
        Deed::Refused(error, _) => (FaultSet::NONE, 0, error as i32),
        Deed::Harmless(_) => (FaultSet::NONE, 0, 0),
    };
    told(world.watcher.announce(number as u16, faults, address, status))
}

/// Does it. Coming back from what had to fault is a status of its own.
fn perform(world: &World, act: &Act) -> i32 {
    match act.deed {
        Deed::Read(place) => world::read(place(world)),
        Deed::Write(place) => world::write(place(world)),
        Deed::Jump(place) => world::jump(place(world)),
        Deed::Instruction(_, run) => run(),
        Deed::Emulated(run) => {
            run();
            if world::privilege_level() == 3 {
                return EMULATED;
            }
        }
        Deed::Refused(_, ask) | Deed::Harmless(ask) => return ask(world),
    }
    SURVIVED
}

/// Turns an answer of the watcher into what `main` returns.
fn told<T, E>(answer: Result<T, E>) -> Result<(), &'static str> {
    answer.map(drop).map_err(|_| "the watcher does not answer")
}
