//! The port, as an honest domain uses it.

use alloc::{vec, vec::Vec};
use core::time::Duration;

use cloison_ipc::{
    frames::{self, FrameReceiver, FrameSender},
    ring::RingError,
};
use cloison_rt::{
    sys::{Instant, info, settings, wait},
    time,
};

use crate::frame::{Frame, Kind, Seen};

/// After how long a frame is lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// Length of the longest frame on the switch.
const LONGEST: usize = 14 + 16 * 1024;

pub(crate) struct Port {
    sender: FrameSender,
    receiver: FrameReceiver,
    event: u64,
    pub(crate) mac: [u8; 6],
    buffer: Vec<u8>,
}

impl Port {
    pub(crate) fn find() -> Result<Self, &'static str> {
        let entry = info::get().find::<info::Use>("net").ok_or("the plan gives this domain no port")?;
        let (sender, receiver) = frames::attach(entry).ok_or("the port has no one-way memory")?;
        let mac = settings::ports().first().ok_or("the plan says nothing of the port")?.mac;
        Ok(Self { sender, receiver, event: info::event_mask(entry), mac, buffer: vec![0; LONGEST] })
    }

    pub(crate) fn send(&mut self, frame: &Frame, to: [u8; 6]) -> Result<(), &'static str> {
        let bytes = frame.bytes();
        while self.sender.reserve(bytes).map_err(explain)?.is_none() {
            if self.sender.prepare_wait(bytes).map_err(explain)? {
                wait(self.event, Instant::NEVER);
            }
        }
        if let Some(place) = self.sender.reserve(bytes).map_err(explain)? {
            frame.write(to, place);
            self.sender.publish(bytes, 0);
        }
        Ok(())
    }

    /// Sends a frame and waits a moment for its answer. Returns whether that came, as it has to. What is left in the port's
    /// memory if not is dropped, at both ends.
    pub(crate) fn knock(&mut self, number: u32, pair: [u8; 6]) -> bool {
        let asked = Frame { kind: Kind::Ask, number, from: self.mac };
        let is_answered =
            matches!(self.sender.reserve(asked.bytes()), Ok(Some(_))) && self.send(&asked, pair).is_ok() && {
                self.flush();
                self.receive(Frame { kind: Kind::Answer, number, from: pair }).is_ok()
            };
        if !is_answered {
            self.sender.resync();
            self.receiver.resync();
        }
        is_answered
    }

    pub(crate) fn flush(&mut self) {
        self.sender.flush();
    }

    /// Waits for this frame. Returns whether it was said meanwhile that all is over.
    pub(crate) fn receive(&mut self, expected: Frame) -> Result<bool, &'static str> {
        let (mut over, deadline) = (false, time::after(PATIENCE));
        loop {
            match self.take()? {
                Some(Seen::Pair(frame)) if frame == expected => return Ok(over),
                Some(Seen::Pair(_)) => return Err("a frame came out of order, or from another domain"),
                Some(Seen::False) => return Err("a frame came that the pair has not sent so"),
                Some(Seen::Over) => over = true,
                Some(Seen::Other) => {}
                None if Instant::now() > deadline => return Err("a frame is lost"),
                None => self.sleep(deadline)?,
            }
        }
    }

    /// Waits for the next frame of a kind.
    pub(crate) fn next(&mut self, kind: Kind) -> Result<Frame, &'static str> {
        loop {
            match self.take()? {
                Some(Seen::Pair(frame)) if frame.kind == kind => return Ok(frame),
                Some(Seen::Pair(_) | Seen::False) => {
                    return Err("a frame came that the pair has not sent so");
                }
                Some(Seen::Over | Seen::Other) => {}
                None => self.sleep(Instant::NEVER)?,
            }
        }
    }

    /// Takes the next frame, if one is here.
    fn take(&mut self) -> Result<Option<Seen>, &'static str> {
        let Some(frame) = self.receiver.next().map_err(explain)? else { return Ok(None) };
        let bytes =
            self.buffer.get_mut(..frame.bytes).ok_or("a frame is longer than the switch's longest")?;
        let complete = self.receiver.read(0, bytes);
        let seen = if complete { Frame::read(bytes) } else { Seen::False };
        self.receiver.release();
        Ok(Some(seen))
    }

    fn sleep(&mut self, deadline: Instant) -> Result<(), &'static str> {
        self.receiver.flush();
        if self.receiver.prepare_wait().map_err(explain)? {
            wait(self.event, deadline);
        }
        Ok(())
    }
}

fn explain(_: RingError) -> &'static str {
    "the switch has left nonsense in the port's rings"
}
