//! Turns, refusals and clients that go, with a disk that does what the test says.

use std::{cell::RefCell, rc::Rc, vec, vec::Vec};

use disk_api::PLACE_BYTES;
use proptest::prelude::*;

use super::*;

const SECTORS: usize = 400;

/// A disk, and the memory that it shares with its clients.
struct Desk {
    disk: Vec<u8>,
    /// Data in each place of the drive.
    data: Vec<Vec<u8>>,
    taken: Vec<bool>,
    /// What has begun: place, operation, sector, bytes; and what has ended.
    begun: Vec<(usize, block::Operation, u64, usize)>,
    ended: Vec<(usize, bool)>,
    fails: bool,
    has_flush: bool,
    flushes: usize,
    memory: Vec<Vec<u8>>,
    woken: Vec<usize>,
}

#[derive(Clone)]
struct Fake(Rc<RefCell<Desk>>);

impl Fake {
    /// Carries out the request that began at this place in the queue.
    fn carry_out(&self, number: usize) {
        let desk = &mut *self.0.borrow_mut();
        let (place, operation, sector, bytes) = desk.begun.remove(number);
        let range = sector as usize * SECTOR_BYTES..sector as usize * SECTOR_BYTES + bytes;
        match operation {
            _ if desk.fails => {}
            block::Operation::Read => desk.data[place][..bytes].copy_from_slice(&desk.disk[range]),
            block::Operation::Write => desk.disk[range].copy_from_slice(&desk.data[place][..bytes]),
            block::Operation::Flush => desk.flushes += 1,
        }
        desk.ended.push((place, !desk.fails));
    }

    fn carry_all_out(&self) {
        while !self.0.borrow().begun.is_empty() {
            self.carry_out(0);
        }
    }
}

impl Drive for Fake {
    fn has_flush(&self) -> bool {
        self.0.borrow().has_flush
    }

    fn free_place(&self) -> Option<usize> {
        self.0.borrow().taken.iter().position(|taken| !taken)
    }

    fn fill(&self, place: usize, at: usize, bytes: &[u8]) -> bool {
        self.0.borrow_mut().data[place][at..at + bytes.len()].copy_from_slice(bytes);
        true
    }

    fn read(&self, place: usize, at: usize, to: &mut [u8]) -> bool {
        to.copy_from_slice(&self.0.borrow().data[place][at..at + to.len()]);
        true
    }

    fn begin(&mut self, place: usize, operation: block::Operation, sector: u64, bytes: usize) -> bool {
        let mut desk = self.0.borrow_mut();
        assert!(!desk.taken[place]);
        desk.taken[place] = true;
        desk.begun.push((place, operation, sector, bytes));
        true
    }

    fn publish(&mut self) {}

    fn next_done(&mut self) -> Option<(usize, bool)> {
        self.0.borrow_mut().ended.pop()
    }

    fn release(&mut self, place: usize) {
        self.0.borrow_mut().taken[place] = false;
    }

    fn prepare_wait(&mut self) -> bool {
        self.0.borrow().ended.is_empty()
    }
}

impl Mail for Fake {
    fn fetch(&mut self, client: usize, place: usize, at: usize, bytes: &mut [u8]) -> bool {
        let start = place * PLACE_BYTES + at;
        bytes.copy_from_slice(&self.0.borrow().memory[client][start..start + bytes.len()]);
        true
    }

    fn deliver(&mut self, client: usize, place: usize, at: usize, bytes: &[u8]) -> bool {
        let start = place * PLACE_BYTES + at;
        self.0.borrow_mut().memory[client][start..start + bytes.len()].copy_from_slice(bytes);
        true
    }

    fn wake(&mut self, client: usize) {
        self.0.borrow_mut().woken.push(client);
    }
}

fn part(first: u64, sectors: u64, is_read_only: bool) -> Result<Part, Unfit> {
    Ok(Part { first, sectors, is_read_only })
}

fn content() -> Vec<u8> {
    (0..SECTORS * SECTOR_BYTES).map(|at| (at / SECTOR_BYTES) as u8 ^ at as u8).collect()
}

/// A service of clients with these parts, none of which is open yet.
fn closed(parts: &[Result<Part, Unfit>], places: usize) -> (Service<Fake, Fake>, Fake) {
    let fake = Fake(Rc::new(RefCell::new(Desk {
        disk: content(),
        data: vec![vec![0; PLACE_BYTES]; places],
        taken: vec![false; places],
        begun: Vec::new(),
        ended: Vec::new(),
        fails: false,
        has_flush: true,
        flushes: 0,
        memory: vec![vec![0; PLACES * PLACE_BYTES]; parts.len()],
        woken: Vec::new(),
    })));
    (Service::new(fake.clone(), fake.clone(), parts.to_vec()), fake)
}

/// The same, all open.
fn service(parts: &[Result<Part, Unfit>], places: usize) -> (Service<Fake, Fake>, Fake) {
    let (mut service, fake) = closed(parts, places);
    for client in 0..parts.len() as u32 {
        service.open(Badge(client)).unwrap();
    }
    (service, fake)
}

fn outcome(service: &mut Service<Fake, Fake>, client: u32) -> Option<(u8, bool)> {
    let finished = service.finish(Badge(client)).unwrap();
    (finished.outcome != Outcome::Nothing).then_some((finished.place, finished.outcome == Outcome::Done))
}

#[test]
fn sectors_are_read_and_written_where_they_are() {
    let (mut service, fake) = service(&[part(0, 100, false), part(100, 200, false)], 16);
    let opened = service.open(Badge(1)).unwrap();
    assert_eq!((opened.sectors, opened.is_read_only), (200, false));
    service.submit(Badge(1), 2, Operation::Read, 88, 3).unwrap();
    service.step();
    assert_eq!(outcome(&mut service, 1), None, "it is under way");
    fake.carry_all_out();
    service.step();
    assert_eq!((fake.0.borrow().woken.as_slice(), outcome(&mut service, 1)), (&[1][..], Some((2, true))));
    assert_eq!(outcome(&mut service, 1), None, "it is told once");
    assert_eq!(fake.0.borrow().memory[1][2 * PLACE_BYTES..3 * PLACE_BYTES], content()[103 * 512..191 * 512]);

    fake.0.borrow_mut().memory[0][..1024].fill(0xa5);
    service.submit(Badge(0), 0, Operation::Write, 2, 98).unwrap();
    service.step();
    fake.carry_all_out();
    service.step();
    assert_eq!(outcome(&mut service, 0), Some((0, true)));
    let disk = &fake.0.borrow().disk;
    assert!(disk[98 * 512..100 * 512].iter().all(|byte| *byte == 0xa5));
    assert_eq!((&disk[..98 * 512], &disk[100 * 512..]), (&content()[..98 * 512], &content()[100 * 512..]));
}

#[test]
fn what_a_client_may_not_is_refused() {
    let (mut service, fake) = service(&[part(10, 100, false), part(200, 100, true)], 16);
    let mut submit = |client, place, operation, sectors, first| {
        service.submit(Badge(client), place, operation, sectors, first).unwrap_err()
    };
    use Operation::{Flush, Read, Write};
    for (sectors, first) in [(1, 100), (2, 99), (0, 0), (89, 0), (1, u64::MAX), (255, 0)] {
        for operation in [Read, Write] {
            assert_eq!(submit(0, 0, operation, sectors, first), Refusal::OutOfRange, "{sectors} {first}");
        }
    }
    assert_eq!(submit(0, 4, Read, 1, 0), Refusal::NoPlace);
    assert_eq!(submit(1, 0, Write, 1, 0), Refusal::ReadOnly);
    assert_eq!(submit(2, 0, Read, 1, 0), Refusal::NotOpen, "nobody has this badge");
    assert_eq!([submit(0, 0, Flush, 1, 0), submit(0, 0, Flush, 0, 1)], [Refusal::OutOfRange; 2]);
    service.step();
    assert!(fake.0.borrow().begun.is_empty(), "nothing reaches the disk");
    service.submit(Badge(0), 0, Read, 1, 0).unwrap();
    for _ in 0..3 {
        assert_eq!(service.submit(Badge(0), 0, Read, 1, 0), Err(Refusal::Busy));
        service.step();
        fake.carry_all_out();
    }
}

#[test]
fn who_has_no_part_has_no_disk() {
    let (mut service, _) = closed(&[Err(Unfit::NoPartition(1)), part(0, 1, false)], 16);
    assert_eq!(service.open(Badge(0)), Err(Refusal::NoDisk));
    assert_eq!(service.open(Badge(7)), Err(Refusal::NoDisk));
    for client in 0..2 {
        let refused = service.submit(Badge(client), 0, Operation::Read, 1, 0);
        assert_eq!(refused, Err(Refusal::NotOpen));
        assert_eq!(service.finish(Badge(client)), Err(Refusal::NotOpen));
    }
}

#[test]
fn a_flush_ends_after_the_disks() {
    let (mut service, fake) = service(&[part(0, 10, false)], 16);
    service.submit(Badge(0), 0, Operation::Flush, 0, 0).unwrap();
    service.step();
    assert_eq!((outcome(&mut service, 0), fake.0.borrow().flushes), (None, 0));
    fake.carry_all_out();
    service.step();
    assert_eq!((outcome(&mut service, 0), fake.0.borrow().flushes), (Some((0, true)), 1));
    // A disk that has no cache has nothing to flush.
    fake.0.borrow_mut().has_flush = false;
    service.submit(Badge(0), 0, Operation::Flush, 0, 0).unwrap();
    service.step();
    assert_eq!((outcome(&mut service, 0), fake.0.borrow().begun.len()), (Some((0, true)), 0));
}

#[test]
fn what_the_disk_fails_to_do_fails() {
    let (mut service, fake) = service(&[part(0, 10, false)], 16);
    fake.0.borrow_mut().fails = true;
    for operation in [Operation::Read, Operation::Write] {
        service.submit(Badge(0), 1, operation, 1, 0).unwrap();
        service.step();
        fake.carry_all_out();
        service.step();
        assert_eq!(outcome(&mut service, 0), Some((1, false)));
    }
    assert!(fake.0.borrow().memory[0].iter().all(|byte| *byte == 0));
}

#[test]
fn one_with_many_requests_does_not_keep_others_from_theirs() {
    let (mut service, fake) = service(&[part(0, 10, false), part(10, 10, false), part(20, 10, false)], 2);
    for place in 0..4 {
        service.submit(Badge(0), place, Operation::Read, 1, 0).unwrap();
    }
    service.submit(Badge(1), 0, Operation::Read, 1, 0).unwrap();
    service.submit(Badge(2), 0, Operation::Read, 1, 0).unwrap();
    service.step();
    let mut order = Vec::new();
    while !fake.0.borrow().begun.is_empty() {
        order.push(fake.0.borrow().begun[0].2 / 10);
        fake.carry_out(0);
        service.step();
    }
    assert_eq!(order, [0, 1, 2, 0, 0, 0]);
}

#[test]
fn what_is_read_for_a_client_that_is_gone_reaches_nobody() {
    for reopens in [false, true] {
        let (mut service, fake) = service(&[part(0, 10, false)], 16);
        service.submit(Badge(0), 0, Operation::Read, 1, 0).unwrap();
        service.submit(Badge(0), 1, Operation::Read, 1, 0).unwrap();
        service.step();
        if reopens {
            service.open(Badge(0)).map(drop).unwrap()
        } else {
            service.forget(Badge(0))
        };
        fake.carry_all_out();
        service.step();
        let desk = fake.0.borrow();
        assert!(desk.memory[0].iter().all(|byte| *byte == 0) && desk.woken.is_empty());
        assert!(desk.taken.iter().all(|taken| !taken), "the places can be used again");
        drop(desk);
        assert_eq!(service.finish(Badge(0)).is_ok(), reopens);
        if reopens {
            assert_eq!(outcome(&mut service, 0), None);
            service.submit(Badge(0), 0, Operation::Read, 1, 0).unwrap();
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Open(u32),
    Forget(u32),
    Submit(u32, u8, u8, u8, u64),
    Finish(u32),
    CarryOut(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sector = prop_oneof![0..140_u64, any::<u64>()];
    prop::collection::vec(
        prop_oneof![
            1 => (0..4_u32).prop_map(Step::Open),
            1 => (0..4_u32).prop_map(Step::Forget),
            8 => (0..4_u32, 0..5_u8, 0..3_u8, prop_oneof![0..4_u8, any::<u8>()], sector)
                .prop_map(|(client, place, operation, sectors, first)| Step::Submit(client, place, operation, sectors, first)),
            4 => (0..4_u32).prop_map(Step::Finish),
            8 => (0..16_usize).prop_map(Step::CarryOut),
        ],
        0..80,
    )
}

proptest! {
    /// Whatever clients do, in whatever order the disk ends it: each byte that is written is in the writer's own part,
    /// and each that is read comes from the reader's.
    #[test]
    fn clients_stay_in_their_parts(steps in steps()) {
        let parts = [part(10, 100, false), part(120, 90, true), part(220, 130, false)];
        let (mut service, fake) = service(&parts, 3);
        // A disk on which each sector says whose it is, and memory that says whose it is.
        fake.0.borrow_mut().disk.fill(0xee);
        for (client, part) in parts.iter().flatten().enumerate() {
            let range = part.first as usize * 512..(part.first + part.sectors) as usize * 512;
            let desk = &mut *fake.0.borrow_mut();
            desk.memory[client].fill(client as u8 + 1);
            desk.disk[range].fill(client as u8 + 1);
        }
        let before = fake.0.borrow().disk.clone();
        for step in steps {
            match step {
                Step::Open(client) => {
                    let _ = service.open(Badge(client));
                }
                Step::Forget(client) => service.forget(Badge(client)),
                Step::Submit(client, place, operation, sectors, first) => {
                    let operation =
                        [Operation::Read, Operation::Write, Operation::Flush][usize::from(operation)];
                    let _ = service.submit(Badge(client), place, operation, sectors, first);
                }
                Step::Finish(client) => {
                    let _ = service.finish(Badge(client));
                }
                Step::CarryOut(number) => {
                    let count = fake.0.borrow().begun.len();
                    if count > 0 {
                        fake.carry_out(number % count);
                    }
                }
            }
            service.step();
        }
        let desk = fake.0.borrow();
        prop_assert!(desk.disk == before, "each part has what its own client's memory has");
        for (client, memory) in desk.memory.iter().enumerate() {
            prop_assert!(memory.iter().all(|byte| *byte == client as u8 + 1), "client {}", client);
        }
    }
}
