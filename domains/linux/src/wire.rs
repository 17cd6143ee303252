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
    /// There was no room for a frame: the switch has not been asked yet to say when there is.
    wants_room: bool,
    /// Whether it has been said already that the switch spoils the shared memory.
    has_complained: bool,
}

impl Wire {
    /// The port, if the manifest gives one.
    pub fn open() -> Option<Self> {
        let settings = settings::ports().iter().find(|port| port.name.as_str() == NET)?;
        let entry = info::get().find(InfoKind::Use, NET)?;
        let (sender, receiver) = frames::attach(entry)?;
        Some(Self {
            settings,
            sender,
            receiver,
            event: info::event_mask(entry),
            is_moved: true,
            wants_room: false,
            has_complained: false,
        })
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
        let has_room = match self.sender.reserve(self.longest()) {
            Ok(room) => room.is_some(),
            Err(error) => self.resync(error),
        };
        self.wants_room |= !has_room;
        has_room
    }

    /// Bytes of the longest frame.
    fn longest(&self) -> usize {
        let longest = (self.settings.mtu + ETHERNET_HEADER_BYTES) as usize;
        longest.min(self.sender.longest())
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

    /// Tells the switch what was sent and taken, and asks it for an event at what comes next, and when there is room
    /// again if it was missing. Says whether there is something to do meanwhile.
    pub fn settle(&mut self) -> bool {
        let wants_room = core::mem::take(&mut self.wants_room);
        if !core::mem::take(&mut self.is_moved) && !wants_room {
            return false;
        }
        self.sender.flush();
        self.receiver.flush();
        let nothing = self.receiver.prepare_wait();
        let full = if wants_room { self.sender.prepare_wait(self.longest()) } else { Ok(true) };
        match (nothing, full) {
            (Ok(nothing), Ok(full)) => !(nothing && full),
            (Err(error), _) | (_, Err(error)) => self.resync(error),
        }
    }

    /// The switch's side is not as it can be: whatever is between the two is given up. Always `false`.
    fn resync(&mut self, error: RingError) -> bool {
        if !core::mem::replace(&mut self.has_complained, true) {
            log!(
                "network: {error}; what is in the port's memory is dropped, and so it will be the next time"
            );
        }
        self.sender.resync();
        self.receiver.resync();
        false
    }
}
