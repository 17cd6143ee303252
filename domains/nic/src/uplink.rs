//! Between the switch and the wire: frames in batches, each copied once or twice, checksums on the way.

#[cfg(test)]
mod tests;

use cloison_checksum::{Flaw, complete, complete_but_one, verify};
use cloison_drivers::{
    registers::Registers,
    virtio::net::{Checksum, MAX_FRAME_BYTES, NetCard},
};
use cloison_ipc::{
    frames::{FrameReceiver, FrameSender},
    ring::RingError,
};

use crate::{Log, tally::Tally};

/// Frames that go one way before the other way has its turn.
const BATCH: usize = 64;

/// Frames that were dropped, and why; how often the port started over.
#[derive(Debug, Default)]
struct Drops {
    to_wire: [Tally; Flaw::ALL.len()],
    too_long: Tally,
    from_wire: [Tally; Flaw::ALL.len()],
    corrupt: Tally,
    /// How often the card has said what cannot be, when the log was last told.
    nonsense: u32,
}

/// A network card and a switch's port.
#[derive(Debug)]
pub struct Uplink<R> {
    card: NetCard<R>,
    sender: FrameSender,
    receiver: FrameReceiver,
    /// A frame on its way out, in memory that neither the switch nor the card can change.
    frame: [u8; MAX_FRAME_BYTES],
    drops: Drops,
    log: Log,
    /// A frame waits for room: at the card, at the switch.
    card_is_full: bool,
    switch_is_full: bool,
}

impl<R: Registers> Uplink<R> {
    /// Between a card that is up and both ends of the port.
    pub fn new(card: NetCard<R>, sender: FrameSender, receiver: FrameReceiver, log: Log) -> Self {
        Self {
            card,
            sender,
            receiver,
            frame: [0; MAX_FRAME_BYTES],
            drops: Drops::default(),
            log,
            card_is_full: false,
            switch_is_full: false,
        }
    }

    /// Carries a batch each way, and tells each side once. Returns whether there was anything to carry.
    pub fn carry(&mut self) -> bool {
        let sent = self.carry_to_wire().unwrap_or_else(|error| self.start_over(error));
        let received = self.carry_from_wire().unwrap_or_else(|error| self.start_over(error));
        self.card.flush();
        self.receiver.flush();
        self.sender.flush();
        self.tell_nonsense();
        sent | received
    }

    /// Tells the log when the card has said ten times as much nonsense as it had when the log was last told.
    fn tell_nonsense(&mut self) {
        let nonsense = self.card.nonsense();
        if nonsense > self.drops.nonsense.saturating_mul(10) {
            self.drops.nonsense = nonsense;
            (self.log)(format_args!(
                "the card has named buffers, lengths or checksums that cannot be ({nonsense} so far)"
            ));
        }
    }

    /// The switch's words make no sense: what was under way is given up.
    #[cold]
    fn start_over(&mut self, error: RingError) -> bool {
        self.drops.corrupt.count(self.log, format_args!("{error}: the port starts over"));
        self.sender.resync();
        self.receiver.resync();
        true
    }

    fn carry_to_wire(&mut self) -> Result<bool, RingError> {
        for carried in 0..BATCH {
            self.card_is_full = !self.card.has_room();
            if self.card_is_full {
                return Ok(carried > 0);
            }
            let Some(next) = self.receiver.next()? else { return Ok(carried > 0) };
            self.send(next.bytes);
            self.receiver.release();
        }
        Ok(true)
    }

    /// Sends the frame that is next, or drops it. There is room for it.
    fn send(&mut self, bytes: usize) {
        let Some(frame) = self.frame.get_mut(..bytes) else {
            let what =
                format_args!("a frame of {bytes} bytes is not sent: an Ethernet takes {MAX_FRAME_BYTES}");
            return self.drops.too_long.count(self.log, what);
        };
        if !self.receiver.read(0, frame) {
            return;
        }
        let completed = if self.card.computes_checksums() {
            complete_but_one(frame)
        } else {
            complete(frame).map(|()| Checksum::Unknown)
        };
        match completed {
            // There is room, and it is short enough.
            Ok(checksum) => drop(self.card.send(frame, checksum)),
            Err(flaw) => {
                self.drops.to_wire[flaw as usize].count(self.log, format_args!("a frame is not sent: {flaw}"))
            }
        }
    }

    fn carry_from_wire(&mut self) -> Result<bool, RingError> {
        for carried in 0..BATCH {
            // Room first, for the longest one: a frame that was taken from the card has to go somewhere.
            let Some(room) = self.sender.reserve(MAX_FRAME_BYTES)? else {
                self.switch_is_full = true;
                return Ok(carried > 0);
            };
            self.switch_is_full = false;
            let Some(frame) = self.card.next_frame() else { return Ok(carried > 0) };
            let bytes = &mut room[..frame.bytes];
            // One copy, into memory that the card cannot change; the switch does not see it yet.
            let checked = if self.card.read(&frame, bytes) {
                verify(bytes, frame.checksum)
            } else {
                Err(Flaw::Malformed)
            };
            match checked {
                Ok(()) => self.sender.publish(frame.bytes, 0),
                Err(flaw) => {
                    self.drops.from_wire[flaw as usize]
                        .count(self.log, format_args!("a frame is not let in: {flaw}"));
                }
            }
            self.card.release(frame);
        }
        Ok(true)
    }

    /// Asks to be woken when there is something to carry. False if there is now.
    pub fn prepare_wait(&mut self) -> bool {
        self.prepare().unwrap_or_else(|error| !self.start_over(error))
    }

    fn prepare(&mut self) -> Result<bool, RingError> {
        let nothing_to_send = if self.card_is_full {
            self.card.prepare_wait_for_room()
        } else {
            self.receiver.prepare_wait()?
        };
        let nothing_received = if self.switch_is_full {
            self.sender.prepare_wait(MAX_FRAME_BYTES)?
        } else {
            self.card.prepare_wait()
        };
        Ok(nothing_to_send && nothing_received)
    }

    /// Lets the card's interrupt line fall.
    pub fn acknowledge(&mut self) {
        self.card.acknowledge();
    }
}
