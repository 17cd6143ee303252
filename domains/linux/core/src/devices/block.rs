//! A disk's backend: sectors are copied between granted pages and the disk, request by request.

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::ring::block::{
    DONE, FAILED, INFO_READ_ONLY, NOT_OFFERED, READ, Request, Response, SECTOR_BYTES, SEGMENTS, Segment,
    WRITE,
};
use zerocopy::{FromZeros, IntoBytes};

use super::{Backend, Device, State, Step, ring::BackRing};
use crate::byte_ring::Damaged;
use crate::grants;
use crate::machine::{Disk, Memory};
use crate::xenstore::{Refusal, Xenstore};

/// The disk's number: Linux makes its name from it, `xvda`.
const DISK: u32 = 202 << 8;

const PAGE_SECTORS: u8 = (PAGE_BYTES as usize / SECTOR_BYTES) as u8;

/// A disk's connection to the guest.
pub struct Block {
    backend: Backend,
    ring: Option<(BackRing, u32)>,
}

impl Block {
    /// Offers the machine's disk to a guest that does not run yet, if there is one.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn new(store: &mut Xenstore, disk: &impl Disk) -> Result<Option<Self>, Refusal> {
        if disk.sectors() == 0 {
            return Ok(None);
        }
        let device = Device { kind: "vbd", id: DISK };
        device.offer(store)?;
        store.write_at(format_args!("{}/virtual-device", device.frontend()?), format_args!("{DISK}"))?;
        store.write_at(format_args!("{}/device-type", device.frontend()?), format_args!("disk"))?;
        device.tell(store, "mode", if disk.is_read_only() { "r" } else { "w" })?;
        Ok(Some(Self { backend: Backend::wait(device, store)?, ring: None }))
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
    pub fn look<M: Memory + Disk>(&mut self, store: &mut Xenstore, machine: &M) -> Result<(), Refusal> {
        match self.backend.follow(store)? {
            Step::Stay => Ok(()),
            Step::Connect => self.connect(store, machine),
            Step::Stop => {
                self.ring = None;
                Ok(())
            }
        }
    }

    /// Does what the guest has asked for; returns the event channel by which it wants to be told. A ring that
    /// contradicts itself ends the connection.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn serve<M: Memory + Disk>(
        &mut self,
        store: &mut Xenstore,
        machine: &mut M,
    ) -> Result<Option<u32>, Refusal> {
        let Some((ring, port)) = &mut self.ring else { return Ok(None) };
        match run(ring, machine) {
            Ok(is_wanted) => Ok(is_wanted.then_some(*port)),
            Err(Damaged) => {
                self.ring = None;
                self.backend.enter(store, State::Closing).map(|()| None)
            }
        }
    }

    fn connect<M: Memory + Disk>(&mut self, store: &mut Xenstore, machine: &M) -> Result<(), Refusal> {
        let device = self.backend.device;
        // The form of requests depends on the architecture; another one than this is for 32-bit guests.
        let is_known = device.heard(store, "protocol").is_none_or(|protocol| protocol == b"x86_64-abi");
        let page = device.ring(store, machine, "ring-ref").filter(|_| is_known);
        let port = device.heard_number(store, "event-channel");
        let (Some(page), Some(port)) = (page, port) else {
            return self.backend.enter(store, State::Closing);
        };
        device.tell(store, "sectors", machine.sectors())?;
        device.tell(store, "info", if machine.is_read_only() { INFO_READ_ONLY } else { 0 })?;
        device.tell(store, "sector-size", SECTOR_BYTES)?;
        self.ring = Some((BackRing::new(page, size_of::<Request>() as u32), port));
        self.backend.enter(store, State::Connected)
    }
}

/// Does all requests of a ring; `true` if the guest wants to be told.
fn run<M: Memory + Disk>(ring: &mut BackRing, machine: &mut M) -> Result<bool, Damaged> {
    let mut request = Request::new_zeroed();
    while ring.take(machine, request.as_mut_bytes())? {
        let status = transfer(machine, &request);
        let response =
            Response { id: request.id, operation: request.operation, status, ..Response::new_zeroed() };
        ring.answer(machine, response.as_bytes())?;
    }
    ring.publish(machine)
}

/// Does a request. Nothing is copied if not all of it is on the disk.
fn transfer<M: Memory + Disk>(machine: &mut M, request: &Request) -> i16 {
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
    let is_there = request.sector.checked_add(sectors).is_some_and(|end| end <= machine.sectors());
    if !is_there || (request.operation == WRITE && machine.is_read_only()) {
        return FAILED;
    }
    let mut sector = request.sector;
    for segment in segments {
        if !copy(machine, request.operation, sector, *segment) {
            return FAILED;
        }
        sector += u64::from(segment.last - segment.first) + 1;
    }
    DONE
}

/// Copies the sectors of a segment.
fn copy<M: Memory + Disk>(machine: &mut M, operation: u8, sector: u64, segment: Segment) -> bool {
    let mut buffer = [0; PAGE_BYTES as usize];
    let offset = usize::from(segment.first) * SECTOR_BYTES;
    let bytes = &mut buffer[..usize::from(segment.last - segment.first + 1) * SECTOR_BYTES];
    if operation == WRITE {
        grants::read(machine, segment.grant, offset, bytes).is_ok() && machine.write_sectors(sector, bytes)
    } else {
        machine.read_sectors(sector, bytes) && grants::write(machine, segment.grant, offset, bytes).is_ok()
    }
}
