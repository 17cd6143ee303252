//! Frame-prober: a hostile domain at a port of a switch.
//!
//! It works on the port's memory by hand, so that it can do what the library would not let it do. Each act is
//! one of a table; the switch's own counters, which it may ask for, say how the act ended.

#![no_std]
#![no_main]

extern crate alloc;

mod acts;
mod burn;
mod port;
mod switch;

use alloc::string::String;
use core::time::Duration;

use cloison_rt::{
    log,
    sys::{info, settings},
    time,
};

use acts::{ACTS, Attacker};
use port::Port;

cloison_rt::entry!(main);

fn main() -> Result<(), String> {
    let port = info::get().find::<info::Use>("net").ok_or("the plan gives this domain no port")?;
    match settings::arguments() {
        "attack" => attack(Attacker::new(port)?),
        "write" => write(port),
        "burn" => burn::empty(Port::new(port)?),
        "burn by turns" => burn::by_turns(Port::new(port)?),
        "compute" => burn::compute(),
        other => Err(alloc::format!("its arguments are `{other}`, and this is none of its tasks")),
    }
}

/// How long the other domains get to start.
const PATIENCE: Duration = Duration::from_millis(500);

/// Does one act after the other.
fn attack(mut attacker: Attacker) -> Result<(), String> {
    time::sleep(PATIENCE);
    for (name, act) in ACTS {
        match act(&mut attacker) {
            Ok(()) => log!("pass: {name}"),
            Err(seen) => return Err(alloc::format!("{name}: {seen}")),
        }
    }
    log!("all {} acts ended as expected", ACTS.len());
    attacker.say_done()
}

/// Writes into what the switch sends. The kernel has mapped it for reading.
#[allow(unsafe_code, reason = "it faults on purpose")]
fn write(port: &info::Use) -> Result<(), String> {
    log!("writing at {:#x}, where only the switch may", port.channel.incoming_address);
    // SAFETY: the write faults; if it did not, it would change words that only the switch's side of this port
    // writes and that no reference of this domain leads to.
    unsafe { (port.channel.incoming_address as *mut u32).write_volatile(7) };
    Err("the memory that comes in can be written".into())
}
