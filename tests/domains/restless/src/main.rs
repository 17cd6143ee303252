//! Restless: wakes as often as it can. Each time the CPU is taken from who runs.

#![no_std]
#![no_main]

use cloison_rt::sys::{Instant, wait};

cloison_rt::entry!(main);

fn main() {
    loop {
        // Long ago, but not the deadline that means not to wait at all.
        wait(0, Instant(1));
    }
}
