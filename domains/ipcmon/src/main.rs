//! The monitor, *ipcmon* (the L4 report's name): decides by the manifest's policy what domains may do to each other.

#![no_std]
#![no_main]

use ipcmon::{Monitor, Unfit};

cloison_rt::entry!(main);

fn main() -> Result<(), Unfit> {
    let mut monitor = Monitor::open()?;
    loop {
        monitor.turn();
    }
}
