//! Counts what frames through a switch cost.
//!
//! With `-icount shift=0` the time-stamp counter advances by one for each instruction of anybody: the
//! sender, the kernel, the switch or the receiver. A figure is all of it, from before the sender reserves
//! the first frame of a batch until the receiver has released the last one, divided by the number of frames;
//! for a flood, until the last receiver has. The sender writes only the first bytes of a frame: what it takes
//! to make up the rest is not the switch's.
//!
//! A receiver answers a batch with what it has counted, but only after a pause, in which nothing else runs.

#![no_std]
#![no_main]

extern crate alloc;

mod frame;
mod receive;
mod send;

use cloison_ipc::{
    frames::{self, FrameReceiver, FrameSender},
    ring::RingError,
};
use cloison_rt::sys::{Instant, info, settings, wait};

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let port = Port::find().ok_or("this domain has no port of a switch")?;
    let mut words = settings::arguments().split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("receive"), None, None) => receive::run(port),
        (Some("send"), Some(address), Some(count)) => {
            let first = frame::mac_of(address).ok_or("the receiver's address is no IPv4 address")?;
            send::run(port, first, count.parse().map_err(|_| "the number of receivers is no number")?)
        }
        _ => Err("its arguments are neither `receive` nor `send ADDRESS COUNT`"),
    }
}

/// The port of this domain.
struct Port {
    sender: FrameSender,
    receiver: FrameReceiver,
    event: u64,
    mac: [u8; 6],
}

impl Port {
    fn find() -> Option<Self> {
        let entry = info::get().find::<info::Use>("net")?;
        let (sender, receiver) = frames::attach(entry)?;
        let mac = settings::ports().first()?.mac;
        Some(Self { sender, receiver, event: info::event_mask(entry), mac })
    }

    /// Waits until a frame is here, to look at and to release.
    fn wait(&mut self) -> Result<(), &'static str> {
        while self.receiver.next().map_err(explain)?.is_none() {
            self.receiver.flush();
            if self.receiver.prepare_wait().map_err(explain)? {
                wait(self.event, Instant::NEVER);
            }
        }
        Ok(())
    }

    /// A place for a frame.
    fn reserve(&mut self, bytes: usize) -> Result<&mut [u8], &'static str> {
        self.sender.reserve(bytes).map_err(explain)?.ok_or("the switch does not take what it is sent")
    }
}

fn explain(_: RingError) -> &'static str {
    "the switch has left nonsense in the port's rings"
}
