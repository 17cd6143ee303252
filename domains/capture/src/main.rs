//! Records the frames that a mirror port of a switch shows, as a pcap file behind a virtio console.

#![no_std]
#![no_main]

use core::time::Duration;

use capture::{FILE_HEADER, Filter, record_header, recorded};
use cloison_drivers::virtio::{Place, console::Output};
use cloison_ipc::{
    frames::{self, Frame, FrameReceiver},
    ring::RingError,
};
use cloison_rt::{
    log,
    sys::{
        Instant, Slot, clock, info, interrupt_acknowledge, memory::DeviceMemory, peer::PEER_FAILED, settings,
        wait,
    },
    time,
};

cloison_rt::entry!(main);

/// What the component's `domain.toml` calls the console, its memory and the port.
const FILE: &str = "file";
const MEMORY: &str = "dma";
const PORT: &str = "net";
/// Bytes that are copied at a time.
const PIECE_BYTES: usize = 2048;
/// Bytes of a frame that say from and for whom it is.
const ADDRESS_BYTES: usize = 12;

fn main() -> Result<(), &'static str> {
    let port = info::get().find::<info::Use>(PORT).ok_or("this domain has no port on a switch")?;
    let interrupt = info::get().find::<info::Interrupt>(FILE).ok_or("the console has no interrupt")?;
    let slot = info::slot(interrupt).ok_or("the console's interrupt has no slot")?;
    let filter = Filter::new(settings::arguments())
        .map_err(|_| "the arguments have to be the number of a port, or nothing")?;
    let output = Place::find(FILE, MEMORY).and_then(Output::start).map_err(|error| {
        log!("{error}");
        "the console cannot be used"
    })?;
    let (_, receiver) = frames::attach(port).ok_or("the port has no memory for frames")?;
    log!("recording the frames of {}", port.channel.peer.as_str());
    let file = File { output, interrupt: slot, event: info::event_mask(interrupt) };
    Capture { file, filter, receiver }.run(info::event_mask(port) | PEER_FAILED)
}

/// A recording under way.
struct Capture {
    file: File,
    filter: Filter,
    receiver: FrameReceiver,
}

impl Capture {
    /// Records for ever.
    fn run(mut self, port_events: u64) -> ! {
        self.file.write(&FILE_HEADER);
        loop {
            match self.record_all() {
                Ok(true) => drop(wait(port_events, Instant::NEVER)),
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
        }
        self.file.output.flush();
        // The switch does not wait for this port, but drops what it has no room for.
        self.receiver.flush();
        self.receiver.prepare_wait()
    }

    fn record(&mut self, frame: &Frame) {
        let mut start = [0; ADDRESS_BYTES];
        let start = &mut start[..frame.bytes.min(ADDRESS_BYTES)];
        if !self.receiver.read(0, start) || !self.filter.shows(frame.tag, start) {
            return;
        }
        self.file.write(&record_header(since_boot(), frame.bytes));
        let mut piece = [0; PIECE_BYTES];
        let end = recorded(frame.bytes);
        for at in (0..end).step_by(PIECE_BYTES) {
            let piece = &mut piece[..(end - at).min(PIECE_BYTES)];
            // It lies in the frame. A switch that fails now leaves what it has written.
            let _ = self.receiver.read(at, piece);
            self.file.write(piece);
        }
    }
}

/// Where the recording goes.
struct File {
    output: Output<DeviceMemory>,
    interrupt: Slot,
    event: u64,
}

impl File {
    /// Writes all of `bytes`, if need be as fast as the host takes them.
    fn write(&mut self, mut bytes: &[u8]) {
        loop {
            bytes = &bytes[self.output.write(bytes)..];
            if bytes.is_empty() {
                return;
            }
            self.output.flush();
            if self.output.prepare_wait() {
                wait(self.event, Instant::NEVER);
                self.output.acknowledge();
                // It is this domain's: `Place::find` has asked for it before. A line is masked until here.
                let _ = interrupt_acknowledge(self.interrupt);
            }
        }
    }
}

/// How long ago the kernel was entered.
fn since_boot() -> Duration {
    time::since(Instant(clock().kernel_entry))
}
