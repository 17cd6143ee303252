//! Waker: signals another domain after a while.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_rt::{
    sys::{info, signal},
    time::sleep,
};

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let event = info::get().find::<info::Use>("wake").and_then(info::signal_slot);
    sleep(Duration::from_millis(30));
    signal(event.ok_or("the plan gives the waker no event")?).map_err(|_| "the signal was refused")
}
