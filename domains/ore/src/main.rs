//! The virtual switch, *ORe*: carries frames between the domains at its ports. The library does the
//! work.

#![no_std]
#![no_main]

use ore::{Ore, Unfit};

cloison_rt::entry!(main);

fn main() -> Result<(), Unfit> {
    let mut ore = Ore::open()?;
    loop {
        ore.turn();
    }
}
