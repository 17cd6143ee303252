//! A port by hand: every word and every header can be a lie.

use core::{sync::atomic::Ordering, time::Duration};

use alloc::{string::String, vec, vec::Vec};

use cloison_abi::info::InfoEntry;
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

/// A frame to `to`, that says it is from `from`.
pub(crate) fn frame(to: [u8; 6], from: [u8; 6], ethertype: u16, bytes: usize) -> Vec<u8> {
    let mut frame = vec![0xee; bytes.max(14)];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&from);
    frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
    frame.truncate(bytes);
    frame
}

pub(crate) struct Port {
    outgoing: Outgoing,
    incoming: Incoming,
    event: Slot,
    /// Units in the ring.
    pub(crate) capacity: u32,
    /// Up to where it has written frames.
    pub(crate) position: u32,
}

impl Port {
    pub(crate) fn new(entry: &'static InfoEntry) -> Result<Self, String> {
        let (outgoing, incoming) = one_way::take(entry).ok_or("the port has no one-way memory")?;
        let event = info::signal_slot(entry).ok_or("the port has no event")?;
        let capacity = 1 << (outgoing.len() / UNIT).ilog2();
        let position = outgoing.words()[Control::Produced as usize].load(Ordering::Relaxed);
        Ok(Self { outgoing, incoming, event, capacity, position })
    }

    /// Sends frames, as an honest domain would.
    pub(crate) fn send(&mut self, frames: &[Vec<u8>]) {
        for frame in frames {
            if self.rest() < ((HEADER_BYTES + frame.len()).div_ceil(UNIT)) as u32 {
                let rest = self.rest();
                self.put(0, SKIP.into(), &[]);
                self.position = self.position.wrapping_add(rest);
            }
            self.put(0, frame.len() as u64, frame);
            let units = (HEADER_BYTES + frame.len()).div_ceil(UNIT) as u32;
            self.position = self.position.wrapping_add(units);
        }
        self.say(Control::Produced, self.position);
        self.ring();
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
