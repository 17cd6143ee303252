//! The virtio network card (section 5.1): one queue each way, whole frames. Where the card offers it, checksums of
//! transports are left to it, both ways; it cuts up no segments and puts none together.
//!
//! The card is left without a control queue; it then takes in every frame (section 5.1.6.5.1 lets a driver
//! change that, this one does not), which is what a switch's uplink wants.

#[cfg(any(test, feature = "simulated"))]
pub mod simulated;
#[cfg(test)]
mod tests;

use cloison_sys::dma::DmaMemory;

use super::{
    Interrupt, Place, VirtioError,
    queue::{self, BUFFER_BYTES, Queue},
    transport::Transport,
};
use crate::registers::Registers;

/// PCI device numbers of network cards, without legacy (section 4.1.2) and with.
const DEVICES: [u16; 2] = [0x1041, 0x1000];
/// Memory that the card and its driver share, in bytes.
pub const DMA_BYTES: usize = 2 * queue::BYTES;
/// Longest frame: an Ethernet header and an IP packet of 1500 bytes.
pub const MAX_FRAME_BYTES: usize = 1514;

/// Numbers of the queues (section 5.1.2).
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
/// Features of network cards (section 5.1.3): it computes checksums, it says what it knows of those that come in, it has
/// a MAC address, and a link status.
const FEATURE_COMPUTES: u64 = 1;
const FEATURE_KNOWS: u64 = 1 << 1;
const FEATURE_MAC: u64 = 1 << 5;
const FEATURE_STATUS: u64 = 1 << 16;
/// Bit of the link status: the link is up.
const LINK_UP: u8 = 1;
/// Header in front of each frame (section 5.1.6). All zeros: no checksum to compute, nothing to cut up.
const HEADER_BYTES: usize = 12;
/// Flags in it: a checksum is to be computed; it was computed and is right.
const IS_OPEN: u8 = 1;
const IS_RIGHT: u8 = 2;
/// Where it says what is to be cut up, and where the checksum begins that is to be computed.
const SEGMENTS: usize = 1;
const START: usize = 6;
const OFFSET: usize = 8;
/// The shortest that can be a frame: an Ethernet header.
const MIN_FRAME_BYTES: usize = 14;
const _: () = assert!(HEADER_BYTES + MAX_FRAME_BYTES <= BUFFER_BYTES);

/// What is known of the checksum of the transport in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing: it is as it is.
    Unknown,
    /// It is right.
    Right,
    /// It is still to be computed, over all bytes from `start` on; it belongs `offset` bytes behind that, where what else
    /// it covers is added up already.
    Open {
        /// Where the transport begins in the frame.
        start: u16,
        /// Where its checksum is, from there.
        offset: u16,
    },
}

impl Checksum {
    /// What the header of a frame of this many bytes says. `None` if it says what cannot be, or what was not agreed on.
    fn read(header: &[u8; HEADER_BYTES], bytes: usize, features: u64) -> Option<Self> {
        let flags = header[0] & (IS_OPEN | IS_RIGHT);
        if header[SEGMENTS] != 0 || (flags != 0 && features & FEATURE_KNOWS == 0) {
            return None;
        }
        let word = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        match flags {
            0 => Some(Self::Unknown),
            IS_RIGHT => Some(Self::Right),
            _ => {
                let (start, offset) = (word(START), word(OFFSET));
                let end = usize::from(start) + usize::from(offset) + size_of::<u16>();
                (end <= bytes).then_some(Self::Open { start, offset })
            }
        }
    }

    fn header(self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        if let Self::Open { start, offset } = self {
            header[0] = IS_OPEN;
            header[START..START + 2].copy_from_slice(&start.to_le_bytes());
            header[OFFSET..OFFSET + 2].copy_from_slice(&offset.to_le_bytes());
        }
        header
    }
}

/// A frame from the wire, not yet released.
#[derive(Debug)]
pub struct Frame {
    /// Its length in bytes.
    pub bytes: usize,
    /// What the card knows of it.
    pub checksum: Checksum,
    buffer: u16,
}

/// A network card that is up.
#[derive(Debug)]
pub struct NetCard<R> {
    transport: Transport<R>,
    memory: DmaMemory,
    receive: Queue,
    transmit: Queue,
    features: u64,
    mac: [u8; 6],
    link_is_up: bool,
    interrupt: Interrupt,
    /// Frames too short or too long to be any, or with a header that makes no sense.
    misfits: u32,
}

impl<R: Registers> NetCard<R> {
    /// Brings a card up, whatever it was doing before.
    ///
    /// # Errors
    /// What keeps it from working: see [`VirtioError`].
    pub fn start(place: Place<R>) -> Result<Self, VirtioError> {
        let Place { config, registers, vectors, memory, interrupt } = place;
        if memory.len() < DMA_BYTES {
            return Err(VirtioError::MemoryTooSmall(DMA_BYTES));
        }
        let mut transport = Transport::open(config, registers, vectors, interrupt, &DEVICES)?;
        let features =
            transport.negotiate(FEATURE_COMPUTES | FEATURE_KNOWS | FEATURE_MAC | FEATURE_STATUS)?;
        let receive = transport.queue(RECEIVE, &memory, 0, features)?;
        let transmit = transport.queue(TRANSMIT, &memory, queue::BYTES, features)?;
        let [mac @ .., link, _] = transport.device_config::<8>();
        let mut card = Self {
            transport,
            memory,
            receive,
            transmit,
            features,
            mac: if features & FEATURE_MAC != 0 { mac } else { [0; 6] },
            link_is_up: features & FEATURE_STATUS == 0 || link & LINK_UP != 0,
            interrupt,
            misfits: 0,
        };
        card.fill();
        card.transport.go();
        card.flush();
        Ok(card)
    }

    /// Gives all receive buffers to the card, and clears the header of every transmit buffer.
    fn fill(&mut self) {
        while let Some(buffer) = self.receive.free_buffer() {
            self.receive.give(&self.memory, buffer, BUFFER_BYTES, true);
        }
        for buffer in 0..queue::BUFFERS {
            // The buffer lies in the memory, as `rings` has said.
            let _ = self.memory.write(self.transmit.buffer(buffer), &[0; HEADER_BYTES]);
        }
        self.transmit.ask_nothing(&self.memory);
    }

    /// The card's own MAC address; zeros if it has none.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Whether the link was up when the card was.
    #[must_use]
    pub fn link_is_up(&self) -> bool {
        self.link_is_up
    }

    /// The features agreed on.
    #[must_use]
    pub fn features(&self) -> u64 {
        self.features
    }

    /// Whether it interrupts by messages, and not by a line.
    #[must_use]
    pub fn uses_messages(&self) -> bool {
        self.interrupt != Interrupt::Line
    }

    /// Whether the card computes the checksums of frames that are sent.
    #[must_use]
    pub fn computes_checksums(&self) -> bool {
        self.features & FEATURE_COMPUTES != 0
    }

    /// The oldest frame from the wire that has not been taken yet. To be released, or its buffer is lost.
    pub fn next_frame(&mut self) -> Option<Frame> {
        while let Some(used) = self.receive.take(&self.memory) {
            let bytes = used.bytes.saturating_sub(HEADER_BYTES);
            let checksum = self.checksum(used.buffer, bytes);
            if let Some(checksum) = checksum.filter(|_| (MIN_FRAME_BYTES..=MAX_FRAME_BYTES).contains(&bytes))
            {
                return Some(Frame { bytes, checksum, buffer: used.buffer });
            }
            self.misfits = self.misfits.saturating_add(1);
            self.receive.give(&self.memory, used.buffer, BUFFER_BYTES, true);
        }
        None
    }

    /// What the header in a buffer says. It is read once, because the card can change it at any time.
    fn checksum(&self, buffer: u16, bytes: usize) -> Option<Checksum> {
        let mut header = [0; HEADER_BYTES];
        let is_read = self.memory.read(self.receive.buffer(buffer), &mut header);
        Checksum::read(&header, bytes, self.features).filter(|_| is_read)
    }

    /// Copies a frame's first bytes out. False if they are more than it has.
    ///
    /// To be done once: the card can change what it has written at any time.
    #[must_use]
    pub fn read(&self, frame: &Frame, to: &mut [u8]) -> bool {
        to.len() <= frame.bytes && self.memory.read(self.receive.buffer(frame.buffer) + HEADER_BYTES, to)
    }

    /// Gives a frame's buffer back to the card.
    pub fn release(&mut self, frame: Frame) {
        self.receive.give(&self.memory, frame.buffer, BUFFER_BYTES, true);
    }

    /// Whether there is room for a frame to send.
    pub fn has_room(&mut self) -> bool {
        if self.transmit.free_buffer().is_none() {
            while self.transmit.take(&self.memory).is_some() {}
        }
        self.transmit.free_buffer().is_some()
    }

    /// Takes a frame to send, with the next [`Self::flush`]. False, and nothing is sent, if there is no room
    /// now or it is too long. A checksum may be open only if [`Self::computes_checksums`].
    pub fn send(&mut self, frame: &[u8], checksum: Checksum) -> bool {
        let fits = frame.len() <= MAX_FRAME_BYTES && self.has_room();
        let Some(buffer) = self.transmit.free_buffer().filter(|_| fits) else { return false };
        let place = self.transmit.buffer(buffer);
        let written = self.memory.write(place + HEADER_BYTES, frame);
        if written {
            if self.computes_checksums() {
                // The header lies in the memory, as the frame behind it does.
                let _ = self.memory.write(place, &checksum.header());
            }
            self.transmit.give(&self.memory, buffer, HEADER_BYTES + frame.len(), false);
        }
        written
    }

    /// Shows the card all that was sent and released since, and notifies it where it asks for that.
    pub fn flush(&mut self) {
        for queue in [&mut self.receive, &mut self.transmit] {
            if queue.publish(&self.memory) {
                self.transport.notify(queue);
            }
        }
    }

    /// Asks for an interrupt when a frame comes. False if there is one.
    pub fn prepare_wait(&mut self) -> bool {
        self.receive.prepare_wait(&self.memory, 0)
    }

    /// Asks for an interrupt when there is room again, for several frames. False if there is now.
    pub fn prepare_wait_for_room(&mut self) -> bool {
        let others = self.transmit.given_count() / 2;
        self.transmit.prepare_wait(&self.memory, others) && !self.has_room()
    }

    /// To be done at each interrupt: lets a line fall. A message needs nothing.
    pub fn acknowledge(&mut self) {
        if !self.uses_messages() {
            self.transport.acknowledge_line();
        }
    }

    /// What the card has said that could not be: buffers that it did not have, frames of no possible length,
    /// headers that make no sense.
    #[must_use]
    pub fn nonsense(&self) -> u32 {
        self.receive.nonsense.saturating_add(self.transmit.nonsense).saturating_add(self.misfits)
    }
}
