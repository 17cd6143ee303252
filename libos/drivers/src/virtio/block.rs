//! The virtio disk (section 5.2): reads, writes and flushes, several at a time, each in a place of its own.
//!
//! A write that has ended may be in a cache of the device's still: only a flush that begins after it says that it is
//! there for good.

#[cfg(test)]
mod tests;

use cloison_sys::dma::DmaMemory;

use super::{
    Interrupt, Place, VirtioError,
    queue::{self, Part, Queue, RING_BYTES},
    transport::Transport,
};
use crate::registers::Registers;

/// PCI device numbers of disks, without legacy (section 4.1.2) and with.
const DEVICES: [u16; 2] = [0x1042, 0x1001];
/// Bytes of a sector in all that is said to the device, whatever its own sectors are.
pub const SECTOR_BYTES: usize = 512;
/// Requests that the device can have at a time.
pub const PLACES: usize = 16;
/// Data of a request at most, in bytes.
pub const PLACE_BYTES: usize = 11 * 4096;
/// Memory that the device and its driver share, in bytes.
pub const DMA_BYTES: usize = RING_BYTES + PLACES * PLACE_BYTES;

/// Number of the queue (section 5.2.2).
const REQUESTS: u16 = 0;
/// Descriptors of a request: its header, its data, its status (section 5.2.6).
const DESCRIPTORS: u16 = 3;
const HEADER_BYTES: usize = 16;
/// Header and status of a request, behind the rings.
const ABOUT_BYTES: usize = 32;
const FIRST_ABOUT: usize = RING_BYTES - PLACES * ABOUT_BYTES;
const _: () = assert!(FIRST_ABOUT >= queue::USED_END && PLACES as u16 * DESCRIPTORS <= queue::BUFFERS);

/// Features of disks (section 5.2.3): it cannot be written; it has a cache, which it flushes when told to.
const FEATURE_READ_ONLY: u64 = 1 << 5;
const FEATURE_FLUSH: u64 = 1 << 9;
/// The status of a request that was carried out, and one that no device writes.
const STATUS_DONE: u8 = 0;
const STATUS_NONE: u8 = 0xff;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Sectors are read.
    Read,
    /// Sectors are written.
    Write,
    /// Whatever was written before is put where it stays.
    Flush,
}

impl Operation {
    /// Its number (section 5.2.6).
    fn number(self) -> u32 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Flush => 4,
        }
    }
}

/// A disk that is up.
#[derive(Debug)]
pub struct Disk<R> {
    transport: Transport<R>,
    memory: DmaMemory,
    queue: Queue,
    features: u64,
    sectors: u64,
    interrupt: Interrupt,
    /// Places that are taken.
    taken: u16,
}

impl<R: Registers> Disk<R> {
    /// Brings a disk up, whatever it was doing before.
    ///
    /// # Errors
    /// What keeps it from working: see [`VirtioError`].
    pub fn start(place: Place<R>) -> Result<Self, VirtioError> {
        let Place { config, registers, vectors, memory, interrupt } = place;
        if memory.len() < DMA_BYTES {
            return Err(VirtioError::MemoryTooSmall(DMA_BYTES));
        }
        let mut transport = Transport::open(config, registers, vectors, interrupt, &DEVICES)?;
        let features = transport.negotiate(FEATURE_READ_ONLY | FEATURE_FLUSH)?;
        let queue = transport.queue(REQUESTS, &memory, 0, features)?;
        if queue.size() < DESCRIPTORS {
            return Err(VirtioError::NoQueue(REQUESTS));
        }
        let sectors = u64::from_le_bytes(transport.device_config());
        transport.go();
        Ok(Self { transport, memory, queue, features, sectors, interrupt, taken: 0 })
    }

    /// How many sectors it has.
    #[must_use]
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Whether it cannot be written.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.features & FEATURE_READ_ONLY != 0
    }

    /// Whether it takes a flush. One that does not has written what it says it has written.
    #[must_use]
    pub fn has_flush(&self) -> bool {
        self.features & FEATURE_FLUSH != 0
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

    /// A place for a request, if there is one.
    #[must_use]
    pub fn free_place(&self) -> Option<usize> {
        let place = (!self.taken).trailing_zeros() as usize;
        (place < PLACES.min(usize::from(self.queue.size() / DESCRIPTORS))).then_some(place)
    }

    /// Copies bytes into a free place, to be written from there. False if they do not fit.
    #[must_use]
    pub fn fill(&self, place: usize, at: usize, bytes: &[u8]) -> bool {
        self.is_in_place(place, at, bytes.len()) && self.memory.write(data(place) + at, bytes)
    }

    /// Copies out what was read into a place. False if there is not so much.
    ///
    /// To be done once: the device can change it at any time.
    #[must_use]
    pub fn read(&self, place: usize, at: usize, to: &mut [u8]) -> bool {
        self.is_in_place(place, at, to.len()) && self.memory.read(data(place) + at, to)
    }

    fn is_in_place(&self, place: usize, at: usize, bytes: usize) -> bool {
        place < PLACES && at.checked_add(bytes).is_some_and(|end| end <= PLACE_BYTES)
    }

    /// Begins a request in a free place, of `bytes` bytes, whole sectors; the device sees it with the next
    /// [`Self::publish`]. False, and nothing begins, if the place is taken or it is too long.
    pub fn begin(&mut self, place: usize, operation: Operation, sector: u64, bytes: usize) -> bool {
        let fits = bytes.is_multiple_of(SECTOR_BYTES) && bytes <= PLACE_BYTES;
        let count = PLACES.min(usize::from(self.queue.size() / DESCRIPTORS));
        if !fits || place >= count || self.taken & 1 << place != 0 {
            return false;
        }
        let about = FIRST_ABOUT + place * ABOUT_BYTES;
        self.memory.store32(about, operation.number());
        self.memory.store32(about + 4, 0);
        self.memory.store64(about + 8, sector);
        // The whole word: only its first byte is the device's.
        self.memory.store64(about + HEADER_BYTES, STATUS_NONE.into());
        let header = Part { at: about, bytes: HEADER_BYTES, device_writes: false };
        let body = Part { at: data(place), bytes, device_writes: operation == Operation::Read };
        let status = Part { at: about + HEADER_BYTES, bytes: 1, device_writes: true };
        let first = place as u16 * DESCRIPTORS;
        let is_given = match operation {
            Operation::Flush => self.queue.give_chain(&self.memory, first, &[header, status]),
            _ => self.queue.give_chain(&self.memory, first, &[header, body, status]),
        };
        self.taken |= u16::from(is_given) << place;
        is_given
    }

    /// Shows the device all that has begun, and notifies it if it asks for that.
    pub fn publish(&mut self) {
        if self.queue.publish(&self.memory) {
            self.transport.notify(&self.queue);
        }
    }

    /// A request that has ended: its place, and whether it was carried out. The place stays taken until
    /// [`Self::release`].
    pub fn next_done(&mut self) -> Option<(usize, bool)> {
        let used = self.queue.take(&self.memory)?;
        let place = usize::from(used.buffer / DESCRIPTORS);
        let status = self.memory.load32(FIRST_ABOUT + place * ABOUT_BYTES + HEADER_BYTES) as u8;
        Some((place, status == STATUS_DONE))
    }

    /// Lets go of a place whose request has ended.
    pub fn release(&mut self, place: usize) {
        self.taken &= !(1 << place);
    }

    /// Asks for an interrupt when a request ends. False if one has.
    pub fn prepare_wait(&mut self) -> bool {
        self.queue.prepare_wait(&self.memory, 0)
    }

    /// To be done at each interrupt: lets a line fall. A message needs nothing.
    pub fn acknowledge(&mut self) {
        if !self.uses_messages() {
            self.transport.acknowledge_line();
        }
    }

    /// What the device has said that could not be: requests that it did not have.
    #[must_use]
    pub fn nonsense(&self) -> u32 {
        self.queue.nonsense
    }
}

/// Where the data of a place lie in the memory.
fn data(place: usize) -> usize {
    RING_BYTES + place * PLACE_BYTES
}
