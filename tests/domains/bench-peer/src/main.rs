//! The other side of the benchmark: answers each call with what it was sent, and notes in the shared memory
//! when a signal has let it run.

#![no_std]
#![no_main]

use cloison_rt::{
    log,
    sys::{Instant, Message, Received, info, memory::SharedMemory, reply_wait},
};
use core::sync::atomic::Ordering;

cloison_rt::entry!(main);

fn main() {
    let Some(client) = info::get().clients().next() else {
        return log!("error: this domain has no client");
    };
    let Some(arrival) = SharedMemory::of(client).and_then(|memory| memory.atomic_u64(0)) else {
        return log!("error: no memory is shared with {}", client.channel.peer);
    };
    let signal = info::event_mask(client);
    let mut answer = Message::default();
    loop {
        match reply_wait(answer, signal, Instant::NEVER) {
            Received::Message { message, .. } => answer = message,
            Received::Events(_) => arrival.store(Instant::now().0, Ordering::Relaxed),
            Received::TimedOut => {}
        }
    }
}
