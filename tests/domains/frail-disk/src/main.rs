//! The domain of a disk, which crashes again and again: its work is that of `domains/disk`.

#![no_std]
#![no_main]

use disk::Domain;

cloison_rt::entry!(main);

/// How long it lives, in turns: messages that it has answered, and times that it was woken.
const LIFE: u32 = 100;

fn main() -> Result<(), &'static str> {
    let mut domain = Domain::open(cloison_rt::log::line)?;
    for _ in 0..LIFE {
        domain.turn();
    }
    panic!("as asked, after {LIFE} turns")
}
