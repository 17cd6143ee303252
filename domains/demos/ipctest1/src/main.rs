//! Logs a line each second, whatever becomes of its right to do so, until it is asked to end.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_rt::{
    log,
    sys::{info, wait},
    time,
};

cloison_rt::entry!(main);

const PERIOD: Duration = Duration::from_secs(1);

fn main() {
    loop {
        log!("main(): I'm still printing stuff to LOG.");
        if wait(info::get().shutdown_event(), time::after(PERIOD)) != 0 {
            return log!("main(): asked to end");
        }
    }
}
