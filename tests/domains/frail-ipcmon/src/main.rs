//! The monitor, which crashes again and again: its work is that of `domains/ipcmon`.

#![no_std]
#![no_main]

use ipcmon::{Monitor, Unfit};

cloison_rt::entry!(main);

/// Turns from the start of a life to the crash.
const TURNS: usize = 7;

fn main() -> Result<(), Unfit> {
    let mut monitor = Monitor::open()?;
    for _ in 0..TURNS {
        monitor.turn();
    }
    panic!("as asked, after {TURNS} turns")
}
