//! Guest prober: runs programs as its guest, and asks for what it must not get.
//!
//! Each act of the table in [`acts`] announces that it ends well, then does it. What it finds otherwise it says in a line
//! of its log; the watcher says which acts have failed, and that the bystanders live.

#![no_std]
#![no_main]

mod acts;
mod blob;
mod world;

use cloison_rt::log;
use watcher_api::FaultSet;

use world::World;

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let mut world = World::look_around().ok_or("the plan does not give the prober what it needs")?;
    for (number, act) in acts::all().enumerate() {
        watcher_api::write_name(&world.page, act.name);
        told(world.watcher.announce(number as u16, FaultSet::NONE, 0, 0))?;
        let found = world.begin().and_then(|()| (act.run)(&mut world));
        let status = match found {
            Ok(()) => 0,
            Err(wrong) => {
                log!("{}: {wrong}", act.name);
                1
            }
        };
        told(world.watcher.end(status))?;
    }
    told(world.watcher.finish(acts::all().count() as u16))
}

/// Turns an answer of the watcher into what `main` returns.
fn told<T, E>(answer: Result<T, E>) -> Result<(), &'static str> {
    answer.map(drop).map_err(|_| "the watcher does not answer")
}
