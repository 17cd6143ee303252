//! Several clients, each with a few requests, in turns of one request.

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use cloison_abi::Badge;
use cloison_drivers::virtio::block;
use disk_api::{
    Operation, Outcome, PLACE_SECTORS, PLACES, SECTOR_BYTES,
    disk::{Finished, Opened, Refusal, Server, Submitted},
};

use crate::{Drive, Mail, Part, Unfit};

/// Bytes that are copied at a time, between a client's memory and the disk's.
const CHUNK: usize = 4096;

/// The service: all decisions that concern more than one client.
pub struct Service<D, M> {
    drive: D,
    mail: M,
    clients: Vec<Client>,
    /// For whom each place of the drive is in use; nobody's is a request of a client that is gone.
    flights: [Option<Flight>; block::PLACES],
    /// Who is looked at first when a place is free.
    next: usize,
}

struct Client {
    part: Result<Part, Unfit>,
    is_open: bool,
    places: [State; PLACES],
}

/// A request in a place of the drive.
#[derive(Clone, Copy)]
struct Flight {
    client: usize,
    place: usize,
    /// Bytes to copy to the client.
    read: usize,
}

/// What a client's place holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Waiting(Request),
    Running,
    Ended(bool),
}

/// A request whose sectors are the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    operation: Operation,
    /// The disk's number of the first.
    sector: u64,
    bytes: usize,
}

impl<D: Drive, M: Mail> Service<D, M> {
    /// A service for as many clients as there are parts.
    pub fn new(drive: D, mail: M, parts: Vec<Result<Part, Unfit>>) -> Self {
        let client = |part| Client { part, is_open: false, places: [State::Free; PLACES] };
        let clients = parts.into_iter().map(client).collect();
        Self { drive, mail, clients, flights: [None; block::PLACES], next: 0 }
    }

    /// The disk.
    pub fn drive(&mut self) -> &mut D {
        &mut self.drive
    }

    /// Ends what the disk has done, and begins what waits.
    pub fn step(&mut self) {
        while let Some((place, is_done)) = self.drive.next_done() {
            self.end(place, is_done);
        }
        // Each round takes a place of the drive or ends a request, and nobody can submit meanwhile.
        while let Some(drive_place) = self.drive.free_place()
            && let Some((client, place, request)) = self.next_waiting()
        {
            self.begin(drive_place, client, place, request);
        }
        self.drive.publish();
    }

    /// Asks for an interrupt when something ends. False if something has.
    pub fn prepare_wait(&mut self) -> bool {
        self.drive.prepare_wait()
    }

    /// Whose turn it is: round robin among the clients that wait, so that one with many requests does not keep the
    /// others from theirs.
    fn next_waiting(&mut self) -> Option<(usize, usize, Request)> {
        let count = self.clients.len();
        let found = (0..count).map(|step| (self.next + step) % count).find_map(|client| {
            let places = self.clients[client].places.iter().enumerate();
            let waiting = |(place, state): (usize, &State)| match state {
                State::Waiting(request) => Some((client, place, *request)),
                _ => None,
            };
            places.into_iter().find_map(waiting)
        });
        self.next = found.map_or(self.next, |(client, ..)| client + 1);
        found
    }

    fn begin(&mut self, drive_place: usize, client: usize, place: usize, request: Request) {
        let Request { operation, sector, bytes } = request;
        if operation == Operation::Flush && !self.drive.has_flush() {
            return self.settle(client, place, true);
        }
        let is_there = operation != Operation::Write || self.bring(drive_place, client, place, bytes);
        let kind = match operation {
            Operation::Read => block::Operation::Read,
            Operation::Write => block::Operation::Write,
            Operation::Flush => block::Operation::Flush,
        };
        if !is_there || !self.drive.begin(drive_place, kind, sector, bytes) {
            return self.settle(client, place, false);
        }
        let read = if operation == Operation::Read { bytes } else { 0 };
        self.flights[drive_place] = Some(Flight { client, place, read });
        self.clients[client].places[place] = State::Running;
    }

    /// Copies what is to be written to the drive's place.
    fn bring(&mut self, drive_place: usize, client: usize, place: usize, bytes: usize) -> bool {
        let mut buffer = [0; CHUNK];
        (0..bytes).step_by(CHUNK).all(|at| {
            let chunk = &mut buffer[..CHUNK.min(bytes - at)];
            self.mail.fetch(client, place, at, chunk) && self.drive.fill(drive_place, at, chunk)
        })
    }

    /// Copies what was read to the client's place.
    fn take(&mut self, drive_place: usize, flight: Flight) -> bool {
        let mut buffer = [0; CHUNK];
        (0..flight.read).step_by(CHUNK).all(|at| {
            let chunk = &mut buffer[..CHUNK.min(flight.read - at)];
            self.drive.read(drive_place, at, chunk)
                && self.mail.deliver(flight.client, flight.place, at, chunk)
        })
    }

    /// A request in the drive has ended.
    fn end(&mut self, drive_place: usize, is_done: bool) {
        let flight = self.flights.get_mut(drive_place).and_then(Option::take);
        // Without a flight, its client is gone: its memory may be used for something else by now.
        if let Some(flight) = flight {
            let is_done = is_done && self.take(drive_place, flight);
            self.settle(flight.client, flight.place, is_done);
        }
        self.drive.release(drive_place);
    }

    fn settle(&mut self, client: usize, place: usize, is_done: bool) {
        self.clients[client].places[place] = State::Ended(is_done);
        self.mail.wake(client);
    }

    /// A client has ended, or opens the disk again: what it left is nobody's. What the disk writes already, it writes.
    pub fn forget(&mut self, badge: Badge) {
        let index = badge.index();
        if let Some(client) = self.clients.get_mut(index) {
            client.is_open = false;
            client.places = [State::Free; PLACES];
            let flights = self.flights.iter_mut();
            flights.filter(|flight| flight.is_some_and(|flight| flight.client == index)).for_each(|flight| {
                *flight = None;
            });
        }
    }

    /// A client that has opened the disk.
    fn open_client(&mut self, badge: Badge) -> Result<&mut Client, Refusal> {
        self.clients.get_mut(badge.index()).filter(|client| client.is_open).ok_or(Refusal::NotOpen)
    }
}

/// What a client asks for, if it may.
fn judge(part: &Part, operation: Operation, first: u64, sectors: u8) -> Result<Request, Refusal> {
    let count = usize::from(sectors);
    if operation == Operation::Flush {
        let is_bare = first == 0 && count == 0;
        return is_bare.then_some(Request { operation, sector: 0, bytes: 0 }).ok_or(Refusal::OutOfRange);
    }
    let is_short = (1..=PLACE_SECTORS).contains(&count);
    let sector = part.locate(first, sectors.into()).filter(|_| is_short).ok_or(Refusal::OutOfRange)?;
    if operation == Operation::Write && part.is_read_only {
        return Err(Refusal::ReadOnly);
    }
    Ok(Request { operation, sector, bytes: count * SECTOR_BYTES })
}

impl<D: Drive, M: Mail> Server for Service<D, M> {
    /// A client that was restarted does not know what it left: opening forgets it first.
    fn open(&mut self, badge: Badge) -> Result<Opened, Refusal> {
        self.forget(badge);
        let client = self.clients.get_mut(badge.index()).ok_or(Refusal::NoDisk)?;
        let part = client.part.map_err(|_| Refusal::NoDisk)?;
        client.is_open = true;
        Ok(Opened { sectors: part.sectors, is_read_only: part.is_read_only })
    }

    fn submit(
        &mut self,
        badge: Badge,
        place: u8,
        operation: Operation,
        sectors: u8,
        first: u64,
    ) -> Result<Submitted, Refusal> {
        let client = self.open_client(badge)?;
        let part = client.part.map_err(|_| Refusal::NoDisk)?;
        let state = client.places.get_mut(usize::from(place)).ok_or(Refusal::NoPlace)?;
        if *state != State::Free {
            return Err(Refusal::Busy);
        }
        *state = State::Waiting(judge(&part, operation, first, sectors)?);
        Ok(Submitted {})
    }

    fn finish(&mut self, badge: Badge) -> Result<Finished, Refusal> {
        let client = self.open_client(badge)?;
        for (place, state) in (0..).zip(&mut client.places) {
            if let State::Ended(is_done) = *state {
                *state = State::Free;
                let outcome = if is_done { Outcome::Done } else { Outcome::Failed };
                return Ok(Finished { place, outcome });
            }
        }
        Ok(Finished { place: 0, outcome: Outcome::Nothing })
    }
}
