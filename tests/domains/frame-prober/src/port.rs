//! A port by hand: every word and every header can be a lie.

use core::{sync::atomic::Ordering, time::Duration};

use alloc::{string::String, vec, vec::Vec};

use cloison_ipc::frames::{Control, HEADER_BYTES, SKIP};
use cloison_rt::{
    sys::{
        self, Slot, info,
        one_way::{self, Incoming, Outgoing},
    },
    time,
};

/// Bytes that a position counts as one.
const UNIT: usize = 8;
/// How long the switch gets for what it was signalled for.
const PAUSE: Duration = Duration::from_micros(500);
/// How often it gets that until it has to have taken what is in the ring.
const PATIENCE: usize = 10_000;

/// A frame to `to`, that says it is from `from`.
pub(crate) fn frame(to: [u8; 6], from: [u8; 6], ethertype: u16, bytes: usize) -> Vec<u8> {
    let mut frame = vec![0xee; bytes.max(14)];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&from);
    frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
    frame.truncate(bytes);
    frame
}

/// An ARP packet from `from` that says that `address` is at `mac`, for `to`.
pub(crate) fn arp(to: [u8; 6], from: [u8; 6], mac: [u8; 6], address: [u8; 4]) -> Vec<u8> {
    let mut frame = frame(to, from, 0x0806, 42);
    frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 2]);
    frame[22..28].copy_from_slice(&mac);
    frame[28..32].copy_from_slice(&address);
    frame
}

/// A UDP packet from an address and port.
pub(crate) fn udp(to: [u8; 6], from: [u8; 6], address: [u8; 4], port: u16) -> Vec<u8> {
    let mut frame = frame(to, from, 0x0800, 60);
    (frame[14], frame[20], frame[21], frame[23]) = (0x45, 0, 0, 17);
    frame[26..30].copy_from_slice(&address);
    frame[34..36].copy_from_slice(&port.to_be_bytes());
    frame
}

pub(crate) struct Port {
    outgoing: Outgoing,
    incoming: Incoming,
    event: Slot,
    /// The gate that comes with the port.
    pub(crate) gate: Slot,
    /// Units in the ring.
    pub(crate) capacity: u32,
    /// Up to where it has written frames.
    pub(crate) position: u32,
}

impl Port {
    pub(crate) fn new(entry: &'static info::Use) -> Result<Self, String> {
        let (outgoing, incoming) = one_way::take(entry).ok_or("the port has no one-way memory")?;
        let event = info::signal_slot(entry).ok_or("the port has no event")?;
        let gate = info::slot(entry).ok_or("the port has no gate")?;
        let capacity = 1 << (outgoing.len() / UNIT).ilog2();
        let position = outgoing.words()[Control::Produced as usize].load(Ordering::Relaxed);
        Ok(Self { outgoing, incoming, event, gate, capacity, position })
    }

    /// Sends frames, as an honest domain would, and waits until the switch has taken them.
    pub(crate) fn send(&mut self, frames: &[Vec<u8>]) -> Result<(), String> {
        for frame in frames {
            let units = (HEADER_BYTES + frame.len()).div_ceil(UNIT) as u32;
            let rest = self.rest();
            let skipped = if rest < units { rest } else { 0 };
            self.wait_for_room(skipped + units)?;
            if skipped > 0 {
                self.put(0, SKIP.into(), &[]);
                self.position = self.position.wrapping_add(skipped);
            }
            self.put(0, frame.len() as u64, frame);
            self.position = self.position.wrapping_add(units);
        }
        self.say(Control::Produced, self.position);
        self.ring();
        self.wait_for_room(self.capacity)
    }

    /// Waits until there is so much room in the ring.
    fn wait_for_room(&self, units: u32) -> Result<(), String> {
        for _ in 0..PATIENCE {
            let used = self.position.wrapping_sub(self.hear(Control::Consumed));
            if used + units <= self.capacity {
                return Ok(());
            }
            self.say(Control::Produced, self.position);
            self.ring();
        }
        Err("the switch takes no frames any more".into())
    }

    /// Waits until the switch has taken everything, also what was offered as if it were new.
    pub(crate) fn wait_until_taken(&mut self) -> Result<(), String> {
        self.position = self.outgoing.words()[Control::Produced as usize].load(Ordering::Relaxed);
        self.wait_for_room(self.capacity)
    }

    /// Fills the ring with copies of a frame, and with empty records where none fits.
    pub(crate) fn lay_out(&mut self, frame: &[u8]) {
        let whole = ((HEADER_BYTES + frame.len()).div_ceil(UNIT)) as u32;
        let mut done = 0;
        while done < self.capacity {
            let to_end = self.capacity - (self.position.wrapping_add(done) & (self.capacity - 1));
            let fits = whole <= to_end.min(self.capacity - done);
            let frame = if fits { frame } else { &[] };
            self.put(done, frame.len() as u64, frame);
            done += if fits { whole } else { 1 };
        }
    }

    /// Offers again whatever is in the ring, as if it were full of new frames.
    pub(crate) fn offer_all(&self) {
        self.say(Control::Produced, self.hear(Control::Consumed).wrapping_add(self.capacity));
        self.signal();
    }

    /// Writes a header, and what stands behind it, `units` behind the position.
    pub(crate) fn put(&mut self, units: u32, header: u64, frame: &[u8]) {
        let at = (self.position.wrapping_add(units) & (self.capacity - 1)) as usize * UNIT;
        if let Some(place) = self.outgoing.bytes_mut(at, HEADER_BYTES + frame.len()) {
            place[..HEADER_BYTES].copy_from_slice(&header.to_le_bytes());
            place[HEADER_BYTES..].copy_from_slice(frame);
        }
    }

    /// Units from the position to the end of the ring.
    pub(crate) fn rest(&self) -> u32 {
        self.capacity - (self.position & (self.capacity - 1))
    }

    /// Writes a word, true or not.
    pub(crate) fn say(&self, word: Control, value: u32) {
        self.outgoing.words()[word as usize].store(value, Ordering::Release);
    }

    /// A word of the switch.
    pub(crate) fn hear(&self, word: Control) -> u32 {
        self.incoming.word(word as usize, Ordering::Acquire)
    }

    /// Signals, and gives the switch time.
    pub(crate) fn ring(&self) {
        self.signal();
        time::sleep(PAUSE);
    }

    pub(crate) fn signal(&self) {
        // If the switch is gone, the act fails by its counters.
        let _ = sys::signal(self.event);
    }

    /// Makes sense again, as a domain that has been restarted.
    pub(crate) fn mend(&mut self) {
        self.say(Control::Produced, self.position);
        self.say(Control::Consumed, self.hear(Control::Produced));
        self.ring();
    }
}
