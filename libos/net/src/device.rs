//! A link as smoltcp wants it: tokens that stand for one frame to read and one to write.

use alloc::{boxed::Box, vec::Vec};

use smoltcp::{
    phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken},
    time::Instant,
};

use crate::{
    Error, Link,
    flows::{Flows, Verdict},
    stack::zeroed,
};

/// What has passed a domain's port, as the domain sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that came in.
    pub frames_in: u64,
    /// Their bytes, Ethernet headers included.
    pub bytes_in: u64,
    /// Frames that went out.
    pub frames_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Answers that were not sent because the port had no room for them.
    pub dropped_out: u64,
    /// Segments that no honest peer sends, and that no connection has seen.
    pub refused_in: u64,
}

/// The device that smoltcp sees.
pub(crate) struct LinkDevice {
    pub(crate) link: Box<dyn Link>,
    pub(crate) counters: Counters,
    pub(crate) flows: Flows,
    /// Whether a frame had no room since this was last looked at.
    pub(crate) is_blocked: bool,
    frame_bytes: usize,
    /// A frame is copied here before anything looks at it: in the shared memory it could change between two
    /// looks.
    received: Vec<u8>,
    /// Length of the frame there that nobody has consumed yet.
    pending: Option<usize>,
    /// Where an answer goes that has no room in the port.
    discarded: Vec<u8>,
}

impl LinkDevice {
    pub(crate) fn new(link: Box<dyn Link>, frame_bytes: usize) -> Result<Self, Error> {
        Ok(Self {
            link,
            counters: Counters::default(),
            flows: Flows::default(),
            is_blocked: false,
            frame_bytes,
            received: zeroed(frame_bytes)?,
            pending: None,
            discarded: zeroed(frame_bytes)?,
        })
    }

    /// Takes in the next frame, for [`Device::receive`] to hand on. `None`: there is none.
    pub(crate) fn fetch(&mut self) -> Option<Verdict> {
        let bytes = self.link.receive(&mut self.received)?;
        self.counters.frames_in += 1;
        self.counters.bytes_in += bytes as u64;
        self.pending = Some(bytes);
        Some(self.flows.take_in(&mut self.received[..bytes]))
    }

    /// Drops the frame that was taken in.
    pub(crate) fn refuse(&mut self) {
        self.pending = None;
        self.counters.refused_in += 1;
    }

    /// Length of the largest frame, for which there is to be room before anything is sent.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }
}

impl Device for LinkDevice {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Transmit<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Transmit<'_>)> {
        let bytes = self.pending.take()?;
        let answer = Transmit {
            link: &mut *self.link,
            counters: &mut self.counters,
            flows: &mut self.flows,
            discarded: &mut self.discarded,
        };
        Some((Received(&self.received[..bytes]), answer))
    }

    fn transmit(&mut self, _: Instant) -> Option<Transmit<'_>> {
        if self.link.reserve(self.frame_bytes).is_none() {
            self.is_blocked = true;
            return None;
        }
        Some(Transmit {
            link: &mut *self.link,
            counters: &mut self.counters,
            flows: &mut self.flows,
            discarded: &mut self.discarded,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.frame_bytes;
        // Between domains nothing can garble a frame, so nobody computes checksums; who takes a frame out of
        // the machine completes them, and verifies those of what comes in.
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}

/// A frame that came in.
pub(crate) struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// The right to send one frame.
pub(crate) struct Transmit<'a> {
    link: &'a mut dyn Link,
    counters: &'a mut Counters,
    flows: &'a mut Flows,
    discarded: &'a mut [u8],
}

impl TxToken for Transmit<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, write: F) -> R {
        let Some(frame) = self.link.reserve(bytes) else {
            self.counters.dropped_out += 1;
            let result = write(&mut self.discarded[..bytes]);
            // smoltcp takes it as sent, and goes on from there.
            self.flows.put_out(&mut self.discarded[..bytes]);
            return result;
        };
        let result = write(frame);
        self.flows.put_out(&mut frame[..bytes]);
        self.link.publish(bytes);
        self.counters.frames_out += 1;
        self.counters.bytes_out += bytes as u64;
        result
    }
}
