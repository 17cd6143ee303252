//! The guest's port of a switch.

use cloison_abi::{
    info::InfoKind,
    port::{ETHERNET_HEADER_BYTES, PortSettings},
};
use cloison_ipc::{
    frames::{self, FrameReceiver, FrameSender},
    ring::RingError,
};
use cloison_rt::{
    log,
    sys::{info, settings},
};

/// What the component calls the gate of its port.
const NET: &str = "net";

/// A port. Frames are copied: the guest's memory is nothing that a switch should see.
pub struct Wire {
    settings: &'static PortSettings,
    sender: FrameSender,
    receiver: FrameReceiver,
    event: u64,
    /// Something was sent or taken of which the switch does not know yet.
    is_moved: bool,
}

impl Wire {
    /// The port, if the manifest gives one.
    pub fn open() -> Option<Self> {
        let settings = settings::ports().iter().find(|port| port.name.as_str() == NET)?;
        let entry = info::get().find(InfoKind::Use, NET)?;
        let (sender, receiver) = frames::attach(entry)?;
        Some(Self { settings, sender, receiver, event: info::event_mask(entry), is_moved: true })
    }

    /// The only address that may be sent from.
    pub fn mac(&self) -> [u8; 6] {
        self.settings.mac
    }

    /// The event that says that a frame has come, or that there is room again.
    pub fn event(&self) -> u64 {
        self.event
    }

    /// Whether the longest frame can be sent.
    pub fn has_room(&mut self) -> bool {
        let longest = (self.settings.mtu + ETHERNET_HEADER_BYTES) as usize;
        match self.sender.reserve(longest.min(self.sender.longest())) {
            Ok(room) => room.is_some(),
            Err(error) => self.resync(error),
        }
    }

    /// Sends a frame, if there is room.
    pub fn send(&mut self, frame: &[u8]) {
        if let Ok(Some(room)) = self.sender.reserve(frame.len()) {
            room[..frame.len()].copy_from_slice(frame);
            self.sender.publish(frame.len(), 0);
            self.is_moved = true;
        }
    }

    /// Takes the next frame; one that does not fit is lost.
    pub fn receive(&mut self, into: &mut [u8]) -> Option<usize> {
        loop {
            let bytes = match self.receiver.next() {
                Ok(frame) => frame?.bytes,
                Err(error) => {
                    self.resync(error);
                    return None;
                }
            };
            let fits = bytes <= into.len() && self.receiver.read(0, &mut into[..bytes]);
            self.receiver.release();
            self.is_moved = true;
            if fits {
                return Some(bytes);
            }
        }
    }

    /// Tells the switch what was sent and taken, and asks it for an event at what comes next. Says whether something has
    /// come meanwhile.
    pub fn settle(&mut self) -> bool {
        if !core::mem::take(&mut self.is_moved) {
            return false;
        }
        self.sender.flush();
        self.receiver.flush();
        match self.receiver.prepare_wait() {
            Ok(nothing) => !nothing,
            Err(error) => self.resync(error),
        }
    }

    /// The switch's side is not as it can be: whatever is between the two is given up. Always `false`.
    fn resync(&mut self, error: RingError) -> bool {
        log!("network: {error}; what is in the port's memory is dropped");
        self.sender.resync();
        self.receiver.resync();
        false
    }
}
