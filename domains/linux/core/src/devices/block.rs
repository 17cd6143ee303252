//! A disk's backend: sectors are copied between granted pages and the disk's places, several requests at a time.
//!
//! What is granted is looked at when something is copied: for a write when it begins, for a read when it has ended.

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::ring::block::{
    DONE, FAILED, FLUSH, INFO_READ_ONLY, NOT_OFFERED, READ, Request, Response, SECTOR_BYTES, Segment, WRITE,
};
use zerocopy::{FromZeros, IntoBytes};

use super::{Backend, Device, State, Step, ring::BackRing};
use crate::byte_ring::Damaged;
use crate::grants;
use crate::machine::{Disk, DiskOperation, Memory};
use crate::saved::{Carried, Carrier, CutShort, carried};
use crate::xenstore::{Refusal, Xenstore};

/// The disk's number: Linux makes its name from it, `xvda`.
const DISK: u32 = 202 << 8;

const PAGE_SECTORS: u8 = (PAGE_BYTES as usize / SECTOR_BYTES) as u8;

/// Requests of the guest that the disk has at most.
const FLIGHTS: usize = 8;

/// A disk's connection to the guest.
pub struct Block {
    backend: Backend,
    ring: Option<(BackRing, u32)>,
    /// What the disk has, by its places.
    flights: [Option<Flight>; FLIGHTS],
}

/// A request that the disk has, or one of a connection that has ended.
#[derive(Clone, Copy, Default)]
struct Flight {
    /// `None`: nobody waits for it.
    request: Option<Request>,
}

carried!(Flight { request });
carried!(Block { backend, ring, flights });

impl Carried for (BackRing, u32) {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        self.0.carry(carrier)?;
        self.1.carry(carrier)
    }
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
        let backend = Backend::wait(device, store)?;
        Ok(Some(Self { backend, ring: None, flights: [None; FLIGHTS] }))
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
                self.disconnect();
                Ok(())
            }
        }
    }

    /// Goes on with what was read of a saved guest: what the disk had then, it is given again.
    ///
    /// # Errors
    /// [`Damaged`] if the guest's ring is.
    pub fn resume<M: Memory + Disk>(&mut self, machine: &mut M) -> Result<(), Damaged> {
        for flight in core::mem::replace(&mut self.flights, [None; FLIGHTS]).into_iter().flatten() {
            if let (Some(request), Some((ring, _))) = (flight.request, &mut self.ring)
                && let Some(place) = machine.take_place()
            {
                start(ring, &mut self.flights, machine, place, &request)?;
            }
        }
        Ok(())
    }

    /// What the disk has is carried out, and nobody is told.
    fn disconnect(&mut self) {
        self.ring = None;
        self.flights.iter_mut().flatten().for_each(|flight| flight.request = None);
    }

    /// Goes on with what the guest has asked for; returns the event channel by which it wants to be told of what has
    /// ended. A ring that contradicts itself ends the connection.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn serve<M: Memory + Disk>(
        &mut self,
        store: &mut Xenstore,
        machine: &mut M,
    ) -> Result<Option<u32>, Refusal> {
        match self.run(machine) {
            Ok(is_wanted) => Ok(self.port().filter(|_| is_wanted)),
            Err(Damaged) => {
                self.disconnect();
                self.backend.enter(store, State::Closing).map(|()| None)
            }
        }
    }

    /// Answers what has ended, and begins what can be begun; `true` if the guest wants to be told.
    fn run<M: Memory + Disk>(&mut self, machine: &mut M) -> Result<bool, Damaged> {
        while let Some((place, is_done)) = machine.next_ended() {
            self.end(machine, place, is_done)?;
        }
        let Some((ring, _)) = &mut self.ring else { return Ok(false) };
        while ring.has_request(machine)? {
            // Without a place, requests wait until one ends, which is when this is called again.
            let Some(place) = machine.take_place() else { break };
            let mut request = Request::new_zeroed();
            // It is there, and whether it was read or not, it is answered.
            ring.take(machine, request.as_mut_bytes())?;
            start(ring, &mut self.flights, machine, place, &request)?;
        }
        ring.publish(machine)
    }

    /// A request has ended: what was read is copied, and the guest gets its answer.
    fn end<M: Memory + Disk>(&mut self, machine: &mut M, place: usize, is_done: bool) -> Result<(), Damaged> {
        let flight = self.flights.get_mut(place).and_then(Option::take);
        let answered = match (flight, &mut self.ring) {
            (Some(Flight { request: Some(request) }), Some((ring, _))) => {
                let is_done = is_done && (request.operation != READ || deliver(machine, place, &request));
                answer(ring, machine, &request, if is_done { DONE } else { FAILED })
            }
            _ => Ok(()),
        };
        machine.release_place(place);
        answered
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
        device.tell(store, "feature-flush-cache", 1)?;
        self.ring = Some((BackRing::new(page, size_of::<Request>() as u32), port));
        self.backend.enter(store, State::Connected)
    }
}

fn answer<M: Memory>(
    ring: &mut BackRing,
    machine: &mut M,
    request: &Request,
    status: i16,
) -> Result<(), Damaged> {
    let response =
        Response { id: request.id, operation: request.operation, status, ..Response::new_zeroed() };
    ring.answer(machine, response.as_bytes())
}

/// Begins a request in a place, or answers that it failed.
fn start<M: Memory + Disk>(
    ring: &mut BackRing,
    flights: &mut [Option<Flight>; FLIGHTS],
    machine: &mut M,
    place: usize,
    request: &Request,
) -> Result<(), Damaged> {
    match begin(machine, place, request) {
        Ok(()) => flights[place] = Some(Flight { request: Some(*request) }),
        Err(status) => {
            machine.release_place(place);
            answer(ring, machine, request, status)?;
        }
    }
    Ok(())
}

/// Begins a request in a place of the disk, or says why not; nothing is copied if not all of it is on the disk.
fn begin<M: Memory + Disk>(machine: &mut M, place: usize, request: &Request) -> Result<(), i16> {
    let segments = usize::from(request.segment_count);
    let operation = match request.operation {
        READ => DiskOperation::Read,
        WRITE => DiskOperation::Write,
        FLUSH if segments == 0 => {
            machine.begin(place, DiskOperation::Flush, 0, 0);
            return Ok(());
        }
        FLUSH => return Err(FAILED),
        _ => return Err(NOT_OFFERED),
    };
    let sectors = sectors_of(request).ok_or(FAILED)?;
    let is_there = request.sector.checked_add(sectors.into()).is_some_and(|end| end <= machine.sectors());
    if !is_there || (operation == DiskOperation::Write && machine.is_read_only()) {
        return Err(FAILED);
    }
    if operation == DiskOperation::Write && !collect(machine, place, request) {
        return Err(FAILED);
    }
    machine.begin(place, operation, request.sector, sectors);
    Ok(())
}

/// How many sectors a request is about; `None` if its segments are none.
fn sectors_of(request: &Request) -> Option<u8> {
    let count = usize::from(request.segment_count);
    let segments = request.segments.get(..count).filter(|segments| !segments.is_empty())?;
    let valid = |segment: &Segment| segment.first <= segment.last && segment.last < PAGE_SECTORS;
    // At most eleven pages of eight sectors.
    segments.iter().all(valid).then(|| segments.iter().map(sectors_in).sum())
}

fn sectors_in(segment: &Segment) -> u8 {
    segment.last - segment.first + 1
}

/// Copies what is to be written into the place.
fn collect<M: Memory + Disk>(machine: &mut M, place: usize, request: &Request) -> bool {
    each_segment(request, |segment, at, offset, bytes| {
        let is_read = grants::read(machine, segment.grant, offset, bytes).is_ok();
        machine.fill_place(place, at, bytes);
        is_read
    })
}

/// Copies what was read out of the place.
fn deliver<M: Memory + Disk>(machine: &mut M, place: usize, request: &Request) -> bool {
    each_segment(request, |segment, at, offset, bytes| {
        machine.read_place(place, at, bytes);
        grants::write(machine, segment.grant, offset, bytes).is_ok()
    })
}

/// Does something with each segment: where it begins in the place, where in its page, and room for its bytes; until it
/// says that it cannot.
fn each_segment(request: &Request, mut copy: impl FnMut(&Segment, usize, usize, &mut [u8]) -> bool) -> bool {
    let mut buffer = [0; PAGE_BYTES as usize];
    let mut at = 0;
    request.segments.iter().take(usize::from(request.segment_count)).all(|segment| {
        let bytes = &mut buffer[..usize::from(sectors_in(segment)) * SECTOR_BYTES];
        let is_copied = copy(segment, at, usize::from(segment.first) * SECTOR_BYTES, bytes);
        at += bytes.len();
        is_copied
    })
}
