//! The network card of a switch: carries frames between its port and the wire. The library does the work.

#![no_std]
#![no_main]

use nic::Nic;

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let mut nic = Nic::open(cloison_rt::log::line)?;
    loop {
        nic.turn();
    }
}
