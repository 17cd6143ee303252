//! Tasks: futures on the executor of the library OS.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_rt::{
    log,
    sys::info,
    task::{Either, block_on, event, join, select, until},
    time::after,
};

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let client = info::get().clients().next().ok_or("the plan gives this domain no client")?;
    block_on(run(info::event_mask(client)))
}

async fn run(wake: u64) -> Result<(), &'static str> {
    join(steps("second", 500, 1), steps("first", 5, 3)).await;
    match select(event(wake), until(after(Duration::from_secs(5)))).await {
        Either::First(arrived) if arrived == wake => log!("the event came before the deadline"),
        Either::First(_) => return Err("another event came than the one waited for"),
        Either::Second(()) => return Err("the event did not come within five seconds"),
    }
    match select(event(wake), until(after(Duration::from_millis(10)))).await {
        Either::First(_) => Err("one signal woke twice"),
        Either::Second(()) => {
            log!("the deadline came without an event");
            Ok(())
        }
    }
}

/// Says a number of steps, with some milliseconds between them.
async fn steps(name: &str, milliseconds: u64, count: u32) {
    for step in 1..=count {
        until(after(Duration::from_millis(milliseconds))).await;
        log!("{name}: step {step} of {count}");
    }
}
