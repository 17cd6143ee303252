//! Logs a line each second, whatever becomes of its right to do so.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_rt::{log, time};

cloison_rt::entry!(main);

const PERIOD: Duration = Duration::from_secs(1);

fn main() {
    loop {
        log!("main(): I'm still printing stuff to LOG.");
        time::sleep(PERIOD);
    }
}
