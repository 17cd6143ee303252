//! The virtual switch, *ORe*: carries frames between the domains at its ports. How, is in `ore-service`.

#![no_std]
#![no_main]

use ore_service::{Ore, Unfit};

cloison_rt::entry!(main);

fn main() -> Result<(), Unfit> {
    let mut ore = Ore::open()?;
    loop {
        ore.turn();
    }
}
