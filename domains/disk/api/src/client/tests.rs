//! A client of a server that crashes, and of one that lies.

use std::{cell::RefCell, vec, vec::Vec};

use cloison_ipc::{Badge, Message, Transport};
use proptest::prelude::*;

use super::*;
use crate::disk::{Finished, Server, Submitted};

/// A server, and what it shares with its client.
struct Desk {
    memory: Vec<u8>,
    is_open: bool,
    is_down: bool,
    /// What it has, and what it has ended.
    has: Vec<(u8, Request)>,
    ended: Vec<Finished>,
    submitted: usize,
    refuses: Option<Refusal>,
}

struct Fake(RefCell<Desk>);

impl Fake {
    fn new() -> Self {
        Self(RefCell::new(Desk {
            memory: vec![0; SHARED_BYTES],
            is_open: false,
            is_down: false,
            has: Vec::new(),
            ended: Vec::new(),
            submitted: 0,
            refuses: None,
        }))
    }

    /// The server dies, and all that it had with it.
    fn crash(&self) {
        let desk = &mut *self.0.borrow_mut();
        (desk.is_down, desk.is_open) = (true, false);
        desk.has.clear();
        desk.ended.clear();
    }

    fn come_back(&self) {
        self.0.borrow_mut().is_down = false;
    }

    /// The server ends all that it has.
    fn end_all(&self, outcome: Outcome) {
        let desk = &mut *self.0.borrow_mut();
        let ended = desk.has.drain(..).map(|(place, _)| Finished { place, outcome });
        desk.ended.extend(ended);
    }
}

impl Transport for &Fake {
    fn call(&self, message: Message) -> Result<Message, CallError> {
        let desk = &mut *self.0.borrow_mut();
        if desk.is_down {
            return Err(CallError::PeerFailed);
        }
        Ok(disk::answer(desk, Badge(0), message))
    }
}

impl Link for &Fake {
    fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        self.0.borrow_mut().memory[offset..offset + bytes.len()].copy_from_slice(bytes);
        true
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> bool {
        bytes.copy_from_slice(&self.0.borrow().memory[offset..offset + bytes.len()]);
        true
    }
}

impl Server for Desk {
    fn open(&mut self, _: Badge) -> Result<Opened, Refusal> {
        self.has.clear();
        self.ended.clear();
        self.is_open = true;
        self.refuses.map_or(Ok(Opened { sectors: 100, is_read_only: false }), Err)
    }

    fn submit(
        &mut self,
        _: Badge,
        place: u8,
        operation: Operation,
        sectors: u8,
        first: u64,
    ) -> Result<Submitted, Refusal> {
        if !self.is_open {
            return Err(Refusal::NotOpen);
        }
        if let Some(refusal) = self.refuses {
            return Err(refusal);
        }
        assert!(self.has.iter().all(|(other, _)| *other != place), "the place is free");
        self.has.push((place, Request { operation, first, sectors }));
        self.submitted += 1;
        Ok(Submitted {})
    }

    fn finish(&mut self, _: Badge) -> Result<Finished, Refusal> {
        if !self.is_open {
            return Err(Refusal::NotOpen);
        }
        Ok(self.ended.pop().unwrap_or(Finished { place: 0, outcome: Outcome::Nothing }))
    }
}

const REQUEST: Request = Request { operation: Operation::Write, first: 7, sectors: 2 };

#[test]
fn a_request_ends_once() {
    let server = Fake::new();
    let mut disk = Disk::open(&server).unwrap();
    assert_eq!((disk.sectors(), disk.is_read_only()), (100, false));
    let place = disk.take_place().unwrap();
    assert!(disk.fill(place, 10, b"hello"));
    assert_eq!(&server.0.borrow().memory[place * PLACE_BYTES + 10..][..5], b"hello");
    disk.submit(place, REQUEST);
    disk.submit(place, REQUEST);
    assert_eq!((disk.next_ended(), server.0.borrow().has.len()), (None, 1));
    for (outcome, is_done) in [(Outcome::Done, true), (Outcome::Failed, false)] {
        server.end_all(outcome);
        assert_eq!(disk.next_ended(), Some((place, is_done)));
        assert_eq!(disk.next_ended(), None);
        disk.submit(place, REQUEST);
    }
}

#[test]
fn there_are_as_many_places_as_there_are() {
    let server = Fake::new();
    let mut disk = Disk::open(&server).unwrap();
    let places: Vec<_> = (0..PLACES).map(|_| disk.take_place().unwrap()).collect();
    assert_eq!((places, disk.take_place()), ((0..PLACES).collect(), None));
    disk.submit(2, REQUEST);
    disk.release(2);
    assert_eq!(disk.take_place(), None, "it is under way");
    disk.release(3);
    assert_eq!(disk.take_place(), Some(3));
    for (place, at, bytes) in
        [(PLACES, 0, 1), (0, PLACE_BYTES, 1), (0, usize::MAX, 2), (3, PLACE_BYTES - 1, 2)]
    {
        assert!(!disk.fill(place, at, &vec![0; bytes]) && !disk.read(place, at, &mut vec![0; bytes]));
    }
}

#[test]
fn what_a_crash_has_left_is_submitted_again() {
    let server = Fake::new();
    let mut disk = Disk::open(&server).unwrap();
    let [one, other] = [disk.take_place().unwrap(), disk.take_place().unwrap()];
    disk.submit(one, REQUEST);
    server.crash();
    assert_eq!((disk.next_ended(), disk.is_lost()), (None, true));
    disk.submit(other, REQUEST);
    assert_eq!(disk.next_ended(), None);
    server.come_back();
    assert_eq!((disk.next_ended(), disk.is_lost()), (None, false));
    let mut has = server.0.borrow().has.clone();
    has.sort_by_key(|(place, _)| *place);
    assert_eq!(has, [(one as u8, REQUEST), (other as u8, REQUEST)]);
    server.end_all(Outcome::Done);
    let mut ended = [disk.next_ended().unwrap(), disk.next_ended().unwrap()];
    ended.sort_unstable();
    assert_eq!(ended, [(one, true), (other, true)]);
}

#[test]
fn a_crash_that_nobody_saw_is_noticed() {
    let server = Fake::new();
    let mut disk = Disk::open(&server).unwrap();
    let place = disk.take_place().unwrap();
    disk.submit(place, REQUEST);
    server.crash();
    server.come_back();
    assert_eq!((disk.next_ended(), server.0.borrow().has.len()), (None, 1));
    // Between two requests, too.
    server.end_all(Outcome::Done);
    assert_eq!(disk.next_ended(), Some((place, true)));
    server.crash();
    server.come_back();
    disk.submit(place, REQUEST);
    assert_eq!((disk.next_ended(), server.0.borrow().has.len()), (None, 1));
}

#[test]
fn what_is_refused_has_failed() {
    let server = Fake::new();
    let mut disk = Disk::open(&server).unwrap();
    let place = disk.take_place().unwrap();
    server.0.borrow_mut().refuses = Some(Refusal::OutOfRange);
    disk.submit(place, REQUEST);
    assert_eq!(disk.next_ended(), Some((place, false)));
    // The disk is back, and another one than before: nothing can be done with it.
    server.0.borrow_mut().refuses = None;
    disk.submit(place, REQUEST);
    server.crash();
    assert_eq!(disk.next_ended(), None);
    server.come_back();
    server.0.borrow_mut().refuses = Some(Refusal::NoDisk);
    assert_eq!((disk.next_ended(), disk.sectors()), (Some((place, false)), 0));
}

#[test]
fn what_is_given_up_has_failed_and_what_comes_next_has_another_try() {
    let server = Fake::new();
    let mut disk = Disk::open(&server).unwrap();
    let place = disk.take_place().unwrap();
    disk.submit(place, REQUEST);
    disk.give_up();
    assert_eq!(disk.next_ended(), None, "nothing is given up while the server is there");
    server.crash();
    assert_eq!(disk.next_ended(), None);
    disk.give_up();
    assert_eq!(disk.next_ended(), Some((place, false)));
    server.come_back();
    disk.submit(place, REQUEST);
    assert_eq!((disk.next_ended(), server.0.borrow().has.len()), (None, 1));
    server.end_all(Outcome::Done);
    assert_eq!(disk.next_ended(), Some((place, true)));
}

#[test]
fn a_disk_that_begins_anew_has_nothing_under_way() {
    let server = Fake::new();
    let mut disk = Disk::open(&server).unwrap();
    let place = disk.take_place().unwrap();
    disk.submit(place, REQUEST);
    disk.reset();
    server.end_all(Outcome::Done);
    assert_eq!((disk.next_ended(), disk.take_place()), (None, Some(0)));
}

proptest! {
    /// Whatever a server says has ended, a request ends at most once, and none that was not submitted.
    #[test]
    fn a_server_that_lies_ends_nothing_that_it_does_not_have(
        said in prop::collection::vec((any::<u8>(), any::<bool>()), 0..20),
        submitted in 0..PLACES,
    ) {
        let server = Fake::new();
        let mut disk = Disk::open(&server).unwrap();
        for _ in 0..submitted {
            let place = disk.take_place().unwrap();
            disk.submit(place, REQUEST);
        }
        let outcome = |is_done| if is_done { Outcome::Done } else { Outcome::Failed };
        server.0.borrow_mut().ended = said.iter().map(|(place, is_done)| Finished { place: *place % 8, outcome: outcome(*is_done) }).collect();
        let mut ended: Vec<_> = (0..40).filter_map(|_| disk.next_ended()).map(|(place, _)| place).collect();
        let count = ended.len();
        ended.sort_unstable();
        ended.dedup();
        prop_assert_eq!(count, ended.len());
        prop_assert!(ended.iter().all(|place| *place < submitted));
    }
}
