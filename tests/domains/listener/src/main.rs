//! Counts signals. Of ten, it lets one arrive while it waits for nothing: that one has to be there when it looks.

#![no_std]
#![no_main]

use core::{sync::atomic::Ordering, time::Duration};

use cloison_rt::{
    log,
    sys::{Instant, info, memory::SharedMemory, signal, wait},
    time::after,
};

cloison_rt::entry!(main);

/// How many.
const SIGNALS: u64 = 100_000;

fn main() -> Result<(), &'static str> {
    let client = info::get().clients().next().ok_or("the plan gives this domain no client")?;
    let number = SharedMemory::of(client).and_then(|memory| memory.atomic_u64(0));
    let number = number.ok_or("no memory is shared with the client")?;
    let event = info::signal_slot(client).ok_or("the client cannot be signalled")?;
    let mut masked = 0;
    for expected in 1..=SIGNALS {
        if expected % 10 == 0 {
            while number.load(Ordering::SeqCst) < expected {
                wait(0, after(Duration::from_micros(50)));
            }
            masked += 1;
        }
        wait(info::event_mask(client), Instant::NEVER);
        if number.load(Ordering::SeqCst) != expected {
            return Err("a signal came that nobody sent");
        }
        signal(event).map_err(|_| "the client cannot be told")?;
    }
    log!("{SIGNALS} signals came, {masked} of them while masked, none is lost");
    Ok(())
}
