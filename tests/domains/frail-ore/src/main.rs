//! The virtual switch, which crashes again and again: its work is that of `domains/ore`.

#![no_std]
#![no_main]

use ore::{Ore, Unfit};

cloison_rt::entry!(main);

/// Turns from the start to the crash: enough for a connection to get somewhere, and few enough for several
/// crashes in a transfer of some MiB.
const TURNS: usize = 250;

fn main() -> Result<(), Unfit> {
    let mut ore = Ore::open()?;
    for _ in 0..TURNS {
        ore.turn();
    }
    panic!("as asked, after {TURNS} turns")
}
