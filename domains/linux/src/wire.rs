//! The guest's port of a switch.

use cloison_abi::port::{ETHERNET_HEADER_BYTES, PortSettings};
use cloison_ipc::frames::{self, FrameEnds};
use cloison_rt::{
    log,
    sys::{info, settings},
};

/// What the component calls the gate of its port.
const NET: &str = "net";

/// A port. Frames are copied: the guest's memory is nothing that a switch should see.
pub struct Wire {
    settings: &'static PortSettings,
    ends: FrameEnds,
    event: u64,
    /// Something was sent or taken of which the switch does not know yet.
    is_moved: bool,
    /// There was no room for a frame: the switch has not been asked yet to say when there is.
    wants_room: bool,
}

impl Wire {
    /// The port, if the manifest gives one.
    pub fn open() -> Option<Self> {
        let settings = settings::ports().iter().find(|port| port.name.as_str() == NET)?;
        let entry = info::get().find::<info::Use>(NET)?;
        let ends = FrameEnds::new(frames::attach(entry)?, |spoilt| log!("network: {spoilt}"));
        Some(Self { settings, ends, event: info::event_mask(entry), is_moved: true, wants_room: false })
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
        let has_room = self.ends.reserve(self.longest()).is_some();
        self.wants_room |= !has_room;
        has_room
    }

    /// Bytes of the longest frame.
    fn longest(&self) -> usize {
        let longest = (self.settings.mtu + ETHERNET_HEADER_BYTES) as usize;
        longest.min(self.ends.longest())
    }

    /// Sends a frame, if there is room.
    pub fn send(&mut self, frame: &[u8]) {
        if let Some(room) = self.ends.reserve(frame.len()) {
            room[..frame.len()].copy_from_slice(frame);
            self.ends.publish(frame.len());
            self.is_moved = true;
        }
    }

    /// Takes the next frame; one that does not fit is lost.
    pub fn receive(&mut self, into: &mut [u8]) -> Option<usize> {
        // Even if none is returned: what did not fit was taken, and the switch waits to hear of it.
        self.is_moved = true;
        self.ends.receive(into)
    }

    /// Tells the switch what was sent and taken, and asks it for an event at what comes next, and when there is room
    /// again if it was missing. Says whether there is something to do meanwhile.
    pub fn settle(&mut self) -> bool {
        let wants_room = core::mem::take(&mut self.wants_room);
        if !core::mem::take(&mut self.is_moved) && !wants_room {
            return false;
        }
        self.ends.flush();
        let room = wants_room.then(|| self.longest());
        !self.ends.prepare_wait(room)
    }
}
