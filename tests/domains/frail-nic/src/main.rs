//! The domain of a network card, which crashes again and again: its work is that of `domains/nic`.

#![no_std]
#![no_main]

use nic_service::Nic;

cloison_rt::entry!(main);

/// Turns from the start to the crash: enough for a connection to get somewhere, and few enough for several
/// crashes in a transfer of some MiB.
const TURNS: usize = 500;

fn main() -> Result<(), &'static str> {
    let mut nic = Nic::open(cloison_rt::log::line)?;
    for _ in 0..TURNS {
        nic.turn();
    }
    panic!("as asked, after {TURNS} turns")
}
