//! Owns a disk, and reads and writes it for its clients. The library does the work.

#![no_std]
#![no_main]

use disk::Domain;

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let mut domain = Domain::open(cloison_rt::log::line)?;
    loop {
        domain.turn();
    }
}
