//! Counts signals. Of ten, it lets one arrive while it waits for nothing: that one has to be there when it looks.
//! It signals back at once, with its next wait, or by dropping a signal that it kept.

#![no_std]
#![no_main]

use core::{sync::atomic::Ordering, time::Duration};

use cloison_rt::{
    log,
    sys::{
        Instant, KeptSignal, Message, Received, Slot, info, memory::SharedMemory, signal, slot_drop, wait,
    },
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
    let (mut masked, mut kept) = (0, None);
    for expected in 1..=SIGNALS {
        if expected % 10 == 0 {
            // The client waits for this one before it sends the next.
            kept = None;
            while number.load(Ordering::SeqCst) < expected {
                wait(0, after(Duration::from_micros(50)));
            }
            masked += 1;
        }
        let mine = info::event_mask(client);
        match kept.take() {
            None => _ = wait(mine, Instant::NEVER),
            Some(signal) => _ = KeptSignal::reply_wait(signal, Message::default(), mine, Instant::NEVER),
        }
        if number.load(Ordering::SeqCst) != expected {
            return Err("a signal came that nobody sent");
        }
        if expected % 3 == 0 {
            signal(event).map_err(|_| "the client cannot be told")?;
        } else {
            kept = Some(KeptSignal::new(event));
        }
    }
    drop(kept);
    log!("{SIGNALS} signals came, {masked} of them while masked, none is lost");
    wait_without_peer(event)
}

/// A kept signal that leads nowhere any more does not take the place of the wait.
fn wait_without_peer(event: Slot) -> Result<(), &'static str> {
    slot_drop(event).map_err(|_| "the event cannot be dropped")?;
    let deadline = after(Duration::from_millis(1));
    let received = KeptSignal::new(event).reply_wait(Message::default(), 0, deadline);
    if received != Received::TimedOut || Instant::now() < deadline {
        return Err("a wait ended before its deadline");
    }
    log!("a signal that leads nowhere does not end the wait");
    Ok(())
}
