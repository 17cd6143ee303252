//! The domain of a network card, which crashes again and again: its work is that of `domains/nic`.

#![no_std]
#![no_main]

use nic::Nic;

cloison_rt::entry!(main);

/// How long it lives, in turns in which it was woken. A clock would not do: a client that waits for a frame that was lost
/// sends it again after a time that doubles, and might find the card down each time.
const LIFE: u32 = 400;

fn main() -> Result<(), &'static str> {
    let mut nic = Nic::open(cloison_rt::log::line)?;
    for _ in 0..LIFE {
        nic.turn();
    }
    panic!("as asked, after {LIFE} turns")
}
