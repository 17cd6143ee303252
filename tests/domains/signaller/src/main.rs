//! Signals another domain a hundred thousand times: each time it writes the signal's number first, and waits for the
//! signal back.

#![no_std]
#![no_main]

use core::{sync::atomic::Ordering, time::Duration};

use cloison_rt::{
    log,
    sys::{info, memory::SharedMemory, signal, wait},
    time::after,
};

cloison_rt::entry!(main);

/// How many.
const SIGNALS: u64 = 100_000;
/// A signal that has not come back by then is lost.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<(), &'static str> {
    let listener = info::get().find::<info::Use>("count").ok_or("the plan gives this domain no listener")?;
    let number = SharedMemory::of(listener).and_then(|memory| memory.atomic_u64(0));
    let number = number.ok_or("no memory is shared with the listener")?;
    let event = info::signal_slot(listener).ok_or("the listener cannot be signalled")?;
    for sent in 1..=SIGNALS {
        number.store(sent, Ordering::SeqCst);
        signal(event).map_err(|_| "a signal was refused")?;
        if wait(info::event_mask(listener), after(PATIENCE)) == 0 {
            log!("error: signal {sent} is lost");
            return Err("a signal is lost");
        }
    }
    Ok(())
}
