//! Records the frames that a mirror port of a switch shows, as a pcap file behind a debug port.

#![no_std]
#![no_main]

use core::time::Duration;

use capture_core::{FILE_HEADER, Filter, record_header, recorded};
use cloison_abi::{info::InfoKind, limits::EVENT_PEER_FAILED};
use cloison_ipc::{
    frames::{self, Frame, FrameReceiver},
    ring::RingError,
};
use cloison_rt::{
    log,
    sys::{Instant, info, memory::Ports, settings, wait},
    time,
};

cloison_rt::entry!(main);

/// Bytes that are copied at a time.
const PIECE_BYTES: usize = 2048;
/// Bytes of a frame that say from and for whom it is.
const ADDRESS_BYTES: usize = 12;

fn main() -> Result<(), &'static str> {
    let port = info::get().find(InfoKind::Use, "net").ok_or("this domain has no port on a switch")?;
    let file = info::get().find(InfoKind::Ports, "file").and_then(Ports::of);
    let file = file.ok_or("this domain was given no debug port")?;
    let filter = Filter::new(settings::arguments())
        .map_err(|_| "the arguments have to be the number of a port, or nothing")?;
    let (_, receiver) = frames::attach(port).ok_or("the port has no memory for frames")?;
    file.write_all8(0, &FILE_HEADER);
    log!("recording the frames of {}", port.peer.as_str());
    let capture = Capture { file, filter, receiver };
    capture.run(info::event_mask(port) | 1 << EVENT_PEER_FAILED)
}

/// A recording under way.
struct Capture {
    file: Ports,
    filter: Filter,
    receiver: FrameReceiver,
}

impl Capture {
    /// Records for ever.
    fn run(mut self, events: u64) -> ! {
        loop {
            match self.record_all() {
                Ok(true) => drop(wait(events, Instant::NEVER)),
                Ok(false) => {}
                Err(error) => {
                    log!("{error}: what waited in the port is lost");
                    self.receiver.resync();
                }
            }
        }
    }

    /// Records what there is. Returns whether there is something to wait for then.
    fn record_all(&mut self) -> Result<bool, RingError> {
        while let Some(frame) = self.receiver.next()? {
            self.record(&frame);
            self.receiver.release();
            // The switch never waits for this port, but drops what it has no room for.
            self.receiver.flush();
        }
        self.receiver.prepare_wait()
    }

    fn record(&mut self, frame: &Frame) {
        let mut start = [0; ADDRESS_BYTES];
        let start = &mut start[..frame.bytes.min(ADDRESS_BYTES)];
        if !self.receiver.read(0, start) || !self.filter.shows(frame.tag, start) {
            return;
        }
        self.file.write_all8(0, &record_header(since_boot(), frame.bytes));
        let mut piece = [0; PIECE_BYTES];
        let end = recorded(frame.bytes);
        for at in (0..end).step_by(PIECE_BYTES) {
            let piece = &mut piece[..(end - at).min(PIECE_BYTES)];
            // It lies in the frame. A switch that fails now leaves what it has written.
            let _ = self.receiver.read(at, piece);
            self.file.write_all8(0, piece);
        }
    }
}

/// How long ago the kernel was entered.
fn since_boot() -> Duration {
    time::since(Instant(cloison_rt::sys::clock().kernel_entry))
}
