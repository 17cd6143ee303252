//! The domain of a network card, which crashes again and again: its work is that of `domains/nic`.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_rt::{sys::Instant, time::after};
use nic_service::Nic;

cloison_rt::entry!(main);

/// How long it lives, if it has something to do: long enough for the builder to start it again each time, which
/// gives up on a domain that crashes more than eight times in ten seconds.
const LIFE: Duration = Duration::from_millis(1500);

fn main() -> Result<(), &'static str> {
    let end = after(LIFE);
    let mut nic = Nic::open(cloison_rt::log::line)?;
    while Instant::now() < end {
        nic.turn();
    }
    panic!("as asked, after {} ms", LIFE.as_millis())
}
