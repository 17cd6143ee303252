//! A disk's backend: sectors are copied between granted pages and the disk, request by request.

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::ring::block::{
    DONE, FAILED, INFO_READ_ONLY, NOT_OFFERED, READ, Request, Response, SECTOR_BYTES, SEGMENTS, Segment,
    WRITE,
};
use zerocopy::{FromZeros, IntoBytes};

use super::{Device, State, ring::BackRing};
use crate::byte_ring::Damaged;
use crate::grants;
use crate::machine::Memory;
use crate::xenstore::{Refusal, Xenstore};

/// The number of the first disk, `xvda`: Linux makes its name from it.
pub const FIRST_DISK: u32 = 202 << 8;

const PAGE_SECTORS: u8 = (PAGE_BYTES as usize / SECTOR_BYTES) as u8;

/// What holds the sectors.
pub trait Disk {
    /// Number of its sectors.
    fn sectors(&self) -> u64;

    /// Whether it cannot be written.
    fn is_read_only(&self) -> bool;

    /// Reads whole sectors; only such that it has are asked for. `false` if that fails.
    fn read(&mut self, sector: u64, into: &mut [u8]) -> bool;

    /// Writes whole sectors; only such that it has are asked for. `false` if that fails.
    fn write(&mut self, sector: u64, from: &[u8]) -> bool;
}

/// A disk and its connection to the guest.
pub struct Block<D> {
    device: Device,
    disk: D,
    state: State,
    ring: Option<(BackRing, u32)>,
}

impl<D: Disk> Block<D> {
    /// Offers a disk to a guest that does not run yet.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn new(store: &mut Xenstore, id: u32, disk: D) -> Result<Self, Refusal> {
        let device = Device { kind: "vbd", id };
        device.offer(store)?;
        store.write_at(format_args!("{}/virtual-device", device.frontend()?), format_args!("{id}"))?;
        store.write_at(format_args!("{}/device-type", device.frontend()?), format_args!("disk"))?;
        device.tell(store, "mode", if disk.is_read_only() { "r" } else { "w" })?;
        device.enter(store, State::InitWait)?;
        Ok(Self { device, disk, state: State::InitWait, ring: None })
    }

    /// The guest's event channel, once it is connected.
    #[must_use]
    pub fn port(&self) -> Option<u32> {
        self.ring.map(|(_, port)| port)
    }

    /// Goes on where the guest's side has gone on; to be called when xenstore has changed.
    ///
    /// # Errors
    /// [`Refusal::Full`] if the guest has filled xenstore.
    pub fn look(&mut self, store: &mut Xenstore, memory: &impl Memory) -> Result<(), Refusal> {
        match (self.state, self.device.frontend_state(store)) {
            (State::InitWait, State::Initialised | State::Connected) => self.connect(store, memory),
            (State::Closing | State::Closed, State::Initialising) => self.enter(store, State::InitWait),
            (State::InitWait | State::Connected, State::Closing) => self.enter(store, State::Closing),
            (state, State::Closed) if state != State::Closed => self.enter(store, State::Closed),
            _ => Ok(()),
        }
    }

    /// Does what the guest has asked for; returns the event channel by which it wants to be told. A ring that
    /// contradicts itself ends the connection.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn serve(&mut self, store: &mut Xenstore, memory: &mut impl Memory) -> Result<Option<u32>, Refusal> {
        let Some((mut ring, port)) = self.ring else { return Ok(None) };
        match run(&mut ring, &mut self.disk, memory) {
            Ok(is_wanted) => {
                self.ring = Some((ring, port));
                Ok(is_wanted.then_some(port))
            }
            Err(Damaged) => self.enter(store, State::Closing).map(|()| None),
        }
    }

    fn connect(&mut self, store: &mut Xenstore, memory: &impl Memory) -> Result<(), Refusal> {
        // The form of requests depends on the architecture; another one than this is for 32-bit guests.
        let is_known = self.device.heard(store, "protocol").is_none_or(|protocol| protocol == b"x86_64-abi");
        let link = self.device.link(store, memory, "ring-ref", "event-channel").filter(|_| is_known);
        let Some(link) = link else { return self.enter(store, State::Closing) };
        self.device.tell(store, "sectors", self.disk.sectors())?;
        self.device.tell(store, "info", if self.disk.is_read_only() { INFO_READ_ONLY } else { 0 })?;
        self.device.tell(store, "sector-size", SECTOR_BYTES)?;
        self.enter(store, State::Connected)?;
        self.ring = Some((BackRing::new(link.page, size_of::<Request>() as u32), link.port));
        Ok(())
    }

    fn enter(&mut self, store: &mut Xenstore, state: State) -> Result<(), Refusal> {
        self.state = state;
        self.ring = None;
        self.device.enter(store, state)
    }
}

/// Does all requests of a ring; `true` if the guest wants to be told.
fn run(ring: &mut BackRing, disk: &mut impl Disk, memory: &mut impl Memory) -> Result<bool, Damaged> {
    let mut request = Request::new_zeroed();
    while ring.take(memory, request.as_mut_bytes())? {
        let status = transfer(disk, memory, &request);
        let response =
            Response { id: request.id, operation: request.operation, status, ..Response::new_zeroed() };
        ring.answer(memory, response.as_bytes())?;
    }
    ring.publish(memory)
}

/// Does a request. Nothing is copied if not all of it is on the disk.
fn transfer(disk: &mut impl Disk, memory: &mut impl Memory, request: &Request) -> i16 {
    if !matches!(request.operation, READ | WRITE) {
        return NOT_OFFERED;
    }
    let count = usize::from(request.segment_count);
    let segments = &request.segments[..count.min(SEGMENTS)];
    let valid = |segment: &Segment| segment.first <= segment.last && segment.last < PAGE_SECTORS;
    if !(1..=SEGMENTS).contains(&count) || !segments.iter().all(valid) {
        return FAILED;
    }
    let sectors: u64 = segments.iter().map(|segment| u64::from(segment.last - segment.first) + 1).sum();
    let is_there = request.sector.checked_add(sectors).is_some_and(|end| end <= disk.sectors());
    if !is_there || (request.operation == WRITE && disk.is_read_only()) {
        return FAILED;
    }
    let mut sector = request.sector;
    for segment in segments {
        if !copy(disk, memory, request.operation, sector, *segment) {
            return FAILED;
        }
        sector += u64::from(segment.last - segment.first) + 1;
    }
    DONE
}

/// Copies the sectors of a segment.
fn copy(
    disk: &mut impl Disk,
    memory: &mut impl Memory,
    operation: u8,
    sector: u64,
    segment: Segment,
) -> bool {
    let mut buffer = [0; PAGE_BYTES as usize];
    let offset = usize::from(segment.first) * SECTOR_BYTES;
    let bytes = &mut buffer[..usize::from(segment.last - segment.first + 1) * SECTOR_BYTES];
    if operation == WRITE {
        grants::read(memory, segment.grant, offset, bytes).is_ok() && disk.write(sector, bytes)
    } else {
        disk.read(sector, bytes) && grants::write(memory, segment.grant, offset, bytes).is_ok()
    }
}
