//! Makes the same gate call again and again. What that costs is counted from outside, in a log of the
//! instructions that the machine has carried out; so this domain measures nothing and stays quiet, and the
//! log stays short.

#![no_std]
#![no_main]

use cloison_rt::sys::{self, Message, info};

cloison_rt::entry!(main);

/// How many calls. The first ones may differ, because both sides have to settle.
const ROUNDS: usize = 200;

fn main() -> Result<(), &'static str> {
    let gate = info::get().slot::<info::Use>("peer");
    let gate = gate.ok_or("the plan gives this domain no peer")?;
    for _ in 0..ROUNDS {
        sys::call(gate, Message { label: 1, words: [1, 2, 3, 4] }).map_err(|_| "a call was refused")?;
    }
    Ok(())
}
