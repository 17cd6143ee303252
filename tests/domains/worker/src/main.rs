//! Worker: has some work to do.

#![no_std]
#![no_main]

use core::hint::black_box;

use cloison_rt::log;

cloison_rt::entry!(main);

/// Rounds of a short loop; alone in a machine they take a moment.
const ROUNDS: u32 = 20_000_000;

fn main() {
    for round in 0..ROUNDS {
        black_box(round);
    }
    log!("the work is done");
}
