//! Tally: counts in memory and in a vector register at the same time, nearly always without a call, so that wherever it is
//! held both are in the middle of it. After each round it compares the two, and says in which life it has begun and in which
//! one it is now: these differ if it goes on from where another life was saved.

#![no_std]
#![no_main]

mod count;

use cloison_abi::call::SLOT_SELF;
use cloison_rt::{
    log,
    sys::{Slot, slot_info},
};

cloison_rt::entry!(main);

/// What is counted in a round: some tenths of a second.
const ROUND: u64 = 20_000_000;

fn main() -> Result<(), &'static str> {
    if !count::can_count() {
        return Err("this CPU has no AVX");
    }
    let begun = life().ok_or("a domain does not know itself")?;
    log!("life {begun} begins");
    let mut counted = 0;
    loop {
        let before = counted;
        let in_register = count::on(&mut counted, ROUND);
        let now = life().unwrap_or_default();
        if counted != before + ROUND {
            return Err("what it has counted in memory is something else");
        }
        if in_register != Some(counted) {
            return Err("what it has counted in the register is something else");
        }
        log!("begun in life {begun}, now in life {now}: what it has counted is in the register, too");
    }
}

/// The number of the life that it lives, from 1 on.
fn life() -> Option<u64> {
    slot_info(Slot(SLOT_SELF)).ok().map(|itself| itself.lives_ended + 1)
}
