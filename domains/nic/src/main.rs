//! The network card of a switch: carries frames between its port and the wire. How, is in `nic-service`.

#![no_std]
#![no_main]

use nic_service::Nic;

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let mut nic = Nic::open(cloison_rt::log::line)?;
    loop {
        nic.turn();
    }
}
