//! The disk's backend.

use cloison_xen::ring::block::{DONE, FAILED, NOT_OFFERED, Request, Response, Segment};
use proptest::prelude::*;
use zerocopy::FromBytes;

use super::*;
use crate::devices::block::Block;
use crate::machine::{Disk, DiskOperation};
use crate::testing::memory_in_ram;

const SECTORS: usize = 100;
const BACKEND: &str = "/local/domain/0/backend/vbd/1/51712";
/// The frame that requests name, and its grant.
const FRAME: u32 = 11;
const PAGE_GRANT: u32 = 9;

/// Places that the disk has.
const PLACES: usize = 3;

/// A guest's memory and a disk.
struct Place {
    ram: Ram,
    bytes: Vec<u8>,
    read_only: bool,
    /// The data in each place that is taken.
    places: [Option<Vec<u8>>; PLACES],
    /// What has begun, and is carried out when the test says so.
    begun: Vec<(usize, DiskOperation, u64, u8)>,
    /// What has ended.
    ended: Vec<(usize, bool)>,
    /// Whether the disk ends everything at once, and whether it fails.
    is_slow: bool,
    fails: bool,
    flushes: usize,
}

impl Place {
    fn new(read_only: bool) -> Self {
        Self {
            ram: Ram::new(PAGES),
            bytes: disk(),
            read_only,
            places: [const { None }; PLACES],
            begun: Vec::new(),
            ended: Vec::new(),
            is_slow: false,
            fails: false,
            flushes: 0,
        }
    }

    /// Carries out the oldest that has begun.
    fn carry_out(&mut self) {
        let (place, operation, first, sectors) = self.begun.remove(0);
        let range = first as usize * 512..(first as usize + usize::from(sectors)) * 512;
        let data = self.places[place].as_mut().expect("the place is taken");
        match operation {
            _ if self.fails => {}
            DiskOperation::Read => data[..range.len()].copy_from_slice(&self.bytes[range]),
            DiskOperation::Write => {
                assert!(!self.read_only);
                let length = range.len();
                self.bytes[range].copy_from_slice(&data[..length]);
            }
            DiskOperation::Flush => self.flushes += 1,
        }
        self.ended.push((place, !self.fails));
    }
}

memory_in_ram!(Place);

impl Disk for Place {
    fn sectors(&self) -> u64 {
        (self.bytes.len() / 512) as u64
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn take_place(&mut self) -> Option<usize> {
        let place = self.places.iter().position(Option::is_none)?;
        self.places[place] = Some(vec![0; 11 * 4096]);
        Some(place)
    }

    fn fill_place(&mut self, place: usize, at: usize, from: &[u8]) {
        self.places[place].as_mut().unwrap()[at..at + from.len()].copy_from_slice(from);
    }

    fn read_place(&mut self, place: usize, at: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.places[place].as_ref().unwrap()[at..at + into.len()]);
    }

    fn begin(&mut self, place: usize, operation: DiskOperation, first: u64, sectors: u8) {
        self.begun.push((place, operation, first, sectors));
        if !self.is_slow {
            self.carry_out();
        }
    }

    fn next_ended(&mut self) -> Option<(usize, bool)> {
        (!self.ended.is_empty()).then(|| self.ended.remove(0))
    }

    fn release_place(&mut self, place: usize) {
        assert!(self.places[place].take().is_some(), "a place that is taken is released");
    }
}

fn disk() -> Vec<u8> {
    (0..SECTORS * 512).map(|n| (n / 512) as u8 ^ (n as u8)).collect()
}

struct Guest {
    store: Xenstore,
    machine: Place,
    block: Block,
    front: FrontRing,
}

const KEYS: [(&str, &str); 3] = [("ring-ref", "8"), ("event-channel", "5"), ("protocol", "x86_64-abi")];

impl Guest {
    fn new() -> Self {
        Self::with(false)
    }

    fn with(read_only: bool) -> Self {
        let mut store = Xenstore::new();
        let mut machine = Place::new(read_only);
        grant(&mut machine.ram, RING_GRANT, (RING / PAGE_BYTES) as u32, 0);
        grant(&mut machine.ram, PAGE_GRANT, FRAME, 0);
        let block = Block::new(&mut store, &machine).unwrap().unwrap();
        Self { store, machine, block, front: FrontRing::new(RING, 32, 112) }
    }

    fn connected() -> Self {
        let mut guest = Self::new();
        guest.go(&KEYS, 3);
        assert_eq!(guest.block.port(), Some(5));
        guest
    }

    /// The guest's side writes keys and its state; returns the backend's.
    fn go(&mut self, keys: &[(&str, &str)], state: u32) -> String {
        connect(&mut self.store, "vbd/51712", keys, state);
        self.block.look(&mut self.store, &self.machine).unwrap();
        text(&self.store, &format!("{BACKEND}/state"))
    }

    fn ask(&mut self, request: &Request) -> i16 {
        self.front.ask(&mut self.machine.ram, request.as_bytes());
        // Once to begin it, once to see that it has ended.
        for _ in 0..2 {
            self.block.serve(&mut self.store, &mut self.machine).unwrap();
        }
        assert!(self.machine.places.iter().all(Option::is_none), "no place is left taken");
        let answers = self.front.answers(&mut self.machine.ram, 16);
        assert_eq!(answers.len(), 1);
        let answer = Response::read_from_bytes(&answers[0]).unwrap();
        assert_eq!((answer.id, answer.operation), (request.id, request.operation));
        answer.status
    }
}

fn request(operation: u8, sector: u64, segments: &[(u32, u8, u8)]) -> Request {
    let mut request = Request { operation, sector, id: 0x1234_5678_9abc, ..Request::default() };
    request.segment_count = segments.len() as u8;
    for (to, &(grant, first, last)) in request.segments.iter_mut().zip(segments) {
        *to = Segment { grant, first, last, padding: 0 };
    }
    request
}

#[test]
fn a_disk_connects_once_the_guest_has_set_it_up() {
    let mut guest = Guest::new();
    assert_eq!(text(&guest.store, "/local/domain/1/device/vbd/51712/backend"), BACKEND);
    assert_eq!(text(&guest.store, "/local/domain/1/device/vbd/51712/virtual-device"), "51712");
    assert_eq!(text(&guest.store, &format!("{BACKEND}/frontend")), "/local/domain/1/device/vbd/51712");
    assert_eq!(text(&guest.store, &format!("{BACKEND}/mode")), "w");
    assert_eq!(guest.go(&[], 1), "2");
    assert_eq!(guest.block.port(), None);
    assert_eq!(guest.go(&KEYS, 3), "4");
    for (key, value) in [("sectors", "100"), ("info", "0"), ("sector-size", "512")] {
        assert_eq!(text(&guest.store, &format!("{BACKEND}/{key}")), value);
    }
    assert_eq!(guest.go(&[], 4), "4");
    assert_eq!(guest.block.port(), Some(5));
}

#[test]
fn a_disk_ends_and_begins_with_its_guest() {
    let mut guest = Guest::connected();
    assert_eq!(guest.go(&[], 5), "5");
    assert_eq!(guest.block.port(), None);
    assert_eq!(guest.go(&[], 6), "6");
    assert_eq!(guest.go(&[], 1), "2");
    assert_eq!(guest.go(&KEYS, 3), "4");
    guest.store.remove("/local/domain/1/device/vbd").unwrap();
    guest.block.look(&mut guest.store, &guest.machine).unwrap();
    assert_eq!(text(&guest.store, &format!("{BACKEND}/state")), "6");
    assert_eq!(guest.block.serve(&mut guest.store, &mut guest.machine), Ok(None));
}

#[test]
fn what_cannot_be_connected_is_closed() {
    for (key, value) in [
        ("ring-ref", "10"), // Not granted.
        ("ring-ref", "4096"),
        ("ring-ref", "-1"),
        ("ring-ref", ""),
        ("ring-ref", "99999999999"),
        ("event-channel", "x"),
        ("protocol", "x86_32-abi"),
    ] {
        let mut guest = Guest::new();
        let mut keys = KEYS.to_vec();
        keys.push((key, value));
        assert_eq!(guest.go(&keys, 3), "5", "{key}={value}");
        assert_eq!(guest.block.port(), None);
    }
    let mut guest = Guest::new();
    assert_eq!(guest.go(&KEYS[..1], 3), "5", "no event channel");
    let mut guest = Guest::new();
    grant(&mut guest.machine.ram, RING_GRANT, 4, READ_ONLY);
    assert_eq!(guest.go(&KEYS, 3), "5", "the ring has to be written");
}

#[test]
fn sectors_are_read_into_granted_pages() {
    let bytes = disk();
    let mut guest = Guest::connected();
    grant(&mut guest.machine.ram, 10, FRAME + 1, 0);
    assert_eq!(guest.ask(&request(0, 10, &[(9, 1, 3), (10, 0, 7)])), DONE);
    let page = u64::from(FRAME) * PAGE_BYTES;
    assert_eq!(guest.machine.ram.bytes(page, 512).unwrap(), [0; 512]);
    assert_eq!(guest.machine.ram.bytes(page + 512, 3 * 512).unwrap(), &bytes[10 * 512..13 * 512]);
    assert_eq!(guest.machine.ram.bytes(page + 4 * 512, 4 * 512).unwrap(), [0; 4 * 512]);
    assert_eq!(guest.machine.ram.bytes(page + PAGE_BYTES, 4096).unwrap(), &bytes[13 * 512..21 * 512]);
}

#[test]
fn sectors_are_written_from_granted_pages() {
    let before = disk();
    let mut guest = Guest::connected();
    grant(&mut guest.machine.ram, 10, FRAME, READ_ONLY);
    guest.machine.ram.write(u64::from(FRAME) * PAGE_BYTES, &[0xa5; 4096]).unwrap();
    assert_eq!(guest.ask(&request(1, 98, &[(9, 7, 7), (10, 0, 0)])), DONE);
    assert_eq!(guest.machine.bytes[..98 * 512], before[..98 * 512]);
    assert_eq!(guest.machine.bytes[98 * 512..], [0xa5; 1024]);
}

#[test]
fn the_guest_is_told_by_its_event_channel() {
    let mut guest = Guest::connected();
    assert_eq!(guest.block.serve(&mut guest.store, &mut guest.machine), Ok(None), "nothing to tell");
    guest.front.answers(&mut guest.machine.ram, 16);
    guest.front.ask(&mut guest.machine.ram, request(0, 0, &[(9, 0, 0)]).as_bytes());
    assert_eq!(guest.block.serve(&mut guest.store, &mut guest.machine), Ok(None), "it has only begun");
    assert_eq!(guest.block.serve(&mut guest.store, &mut guest.machine), Ok(Some(5)));
}

#[test]
fn wrong_requests_fail_and_copy_nothing() {
    let before = disk();
    let mut guest = Guest::connected();
    grant(&mut guest.machine.ram, 10, FRAME, READ_ONLY);
    let frame = u64::from(FRAME) * PAGE_BYTES;
    for (operation, sector, segments, status) in [
        (0, 100, &[(9, 0, 0)][..], FAILED),
        (0, 93, &[(9, 0, 7)], FAILED),
        (0, 92, &[(9, 0, 3), (9, 0, 4)], FAILED),
        (0, u64::MAX, &[(9, 0, 0)], FAILED),
        (0, u64::MAX / 512 + 1, &[(9, 0, 0)], FAILED),
        (0, 0, &[], FAILED),
        (0, 0, &[(9, 0, 8)], FAILED),
        (0, 0, &[(9, 2, 1)], FAILED),
        (0, 0, &[(9, 255, 255)], FAILED),
        (0, 0, &[(11, 0, 0)], FAILED),
        (1, 0, &[(11, 0, 0)], FAILED),
        (0, 0, &[(u32::MAX, 0, 0)], FAILED),
        (0, 0, &[(10, 0, 0)], FAILED), // Granted for reading alone.
        (2, 0, &[(9, 0, 0)], NOT_OFFERED),
        (3, 0, &[(9, 0, 0)], FAILED),
        (5, 0, &[(9, 0, 0)], NOT_OFFERED),
        (255, 0, &[(9, 0, 0)], NOT_OFFERED),
    ] {
        assert_eq!(
            guest.ask(&request(operation, sector, segments)),
            status,
            "{operation} {sector} {segments:?}"
        );
        assert_eq!(guest.machine.ram.bytes(frame, 4096).unwrap(), [0; 4096]);
    }
    let mut many = request(0, 0, &[(9, 0, 0); 11]);
    assert_eq!(guest.ask(&many), DONE);
    many.segment_count = 12;
    assert_eq!(guest.ask(&many), FAILED);
    assert_eq!(guest.machine.bytes, before);
}

#[test]
fn a_read_only_disk_is_not_written() {
    let mut guest = Guest::with(true);
    guest.go(&KEYS, 3);
    assert_eq!(text(&guest.store, &format!("{BACKEND}/mode")), "r");
    assert_eq!(text(&guest.store, &format!("{BACKEND}/info")), "4");
    assert_eq!(guest.ask(&request(1, 0, &[(9, 0, 0)])), FAILED);
    assert_eq!(guest.ask(&request(0, 0, &[(9, 0, 0)])), DONE);
}

#[test]
fn a_flush_ends_when_the_disk_has_flushed() {
    let mut guest = Guest::connected();
    assert_eq!(text(&guest.store, &format!("{BACKEND}/feature-flush-cache")), "1");
    assert_eq!(guest.ask(&request(3, u64::MAX, &[])), DONE);
    assert_eq!(guest.machine.flushes, 1);
    guest.machine.is_slow = true;
    guest.front.ask(&mut guest.machine.ram, request(3, 0, &[]).as_bytes());
    for _ in 0..3 {
        assert_eq!(guest.block.serve(&mut guest.store, &mut guest.machine), Ok(None));
        assert!(guest.front.answers(&mut guest.machine.ram, 16).is_empty());
    }
    guest.machine.carry_out();
    assert_eq!(guest.block.serve(&mut guest.store, &mut guest.machine), Ok(Some(5)));
    assert_eq!((guest.machine.flushes, guest.front.answers(&mut guest.machine.ram, 16).len()), (2, 1));
}

#[test]
fn what_the_disk_fails_to_do_fails() {
    let mut guest = Guest::connected();
    guest.machine.fails = true;
    guest.machine.ram.write(u64::from(FRAME) * PAGE_BYTES, &[0x5a; 4096]).unwrap();
    for operation in [0, 1] {
        assert_eq!(guest.ask(&request(operation, 0, &[(9, 0, 7)])), FAILED);
    }
    assert_eq!(guest.ask(&request(3, 0, &[])), FAILED);
    assert_eq!(guest.machine.ram.bytes(u64::from(FRAME) * PAGE_BYTES, 4096).unwrap(), [0x5a; 4096]);
    assert_eq!(guest.machine.bytes, disk());
}

#[test]
fn requests_wait_for_a_place() {
    let mut guest = Guest::connected();
    guest.machine.is_slow = true;
    for sector in 0..10 {
        guest.front.ask(&mut guest.machine.ram, request(0, sector, &[(9, 0, 0)]).as_bytes());
    }
    let mut answers = 0;
    for round in 0..20 {
        guest.block.serve(&mut guest.store, &mut guest.machine).unwrap();
        assert!(guest.machine.begun.len() <= PLACES);
        answers += guest.front.answers(&mut guest.machine.ram, 16).len();
        assert_eq!(answers, round.min(10));
        if !guest.machine.begun.is_empty() {
            guest.machine.carry_out();
        }
    }
}

#[test]
fn what_is_under_way_when_the_guest_ends_is_nobodys() {
    for ends in [true, false] {
        let mut guest = Guest::connected();
        guest.machine.is_slow = true;
        guest.front.ask(&mut guest.machine.ram, request(0, 3, &[(9, 0, 7)]).as_bytes());
        guest.block.serve(&mut guest.store, &mut guest.machine).unwrap();
        if ends {
            assert_eq!(
                (guest.go(&[], 5), guest.go(&[], 6), guest.go(&[], 1)),
                ("5".into(), "6".into(), "2".into())
            );
            // Its place in the ring is another request's.
            guest.machine.ram.write(RING, &[0; 4096]).unwrap();
            assert_eq!(guest.go(&KEYS, 3), "4");
        } else {
            // The grant is taken back.
            grant(&mut guest.machine.ram, PAGE_GRANT, FRAME, READ_ONLY);
        }
        guest.machine.carry_out();
        guest.block.serve(&mut guest.store, &mut guest.machine).unwrap();
        assert!(guest.machine.places.iter().all(Option::is_none));
        let page = guest.machine.ram.bytes(u64::from(FRAME) * PAGE_BYTES, 4096).unwrap();
        assert_eq!(page, [0; 4096], "nothing is copied");
        let answers = guest.front.answers(&mut guest.machine.ram, 16);
        let statuses: Vec<_> =
            answers.iter().map(|answer| i16::from_le_bytes([answer[10], answer[11]])).collect();
        assert_eq!(statuses, if ends { vec![] } else { vec![FAILED] });
    }
}

#[test]
fn a_damaged_ring_ends_the_connection() {
    let mut guest = Guest::connected();
    guest.machine.ram.write(RING, &33_u32.to_le_bytes()).unwrap();
    assert_eq!(guest.block.serve(&mut guest.store, &mut guest.machine), Ok(None));
    assert_eq!(
        (text(&guest.store, &format!("{BACKEND}/state")), guest.block.port()),
        ("5".to_string(), None)
    );
}

proptest! {
    #[test]
    fn whatever_is_asked_only_granted_pages_are_written(
        requests in prop::collection::vec(
            (0..3_u8, prop_oneof![0..120_u64, any::<u64>()], any::<u8>(), prop::array::uniform11((7..13_u32, 0..10_u8, 0..10_u8))),
            1..20,
        ),
    ) {
            let mut guest = Guest::connected();
        guest.machine.ram.write(u64::from(FRAME) * PAGE_BYTES, &[0x5a; 4096]).unwrap();
        for (operation, sector, count, segments) in requests {
            let mut request = request(operation, sector, &segments);
            request.segment_count = if count < 200 { count % 12 } else { count };
            // Grant 8 is the ring's own page: the guest may name it, and harms its ring.
            for segment in request.segments.iter_mut().filter(|segment| segment.grant == RING_GRANT) {
                segment.grant = PAGE_GRANT;
            }
            let status = guest.ask(&request);
            prop_assert!([DONE, FAILED, NOT_OFFERED].contains(&status));
        }
        for frame in (0..u64::from(PAGES)).filter(|&frame| ![FRAME.into(), RING / PAGE_BYTES].contains(&frame)) {
            prop_assert!(guest.machine.ram.bytes(frame * PAGE_BYTES, 4096).unwrap().iter().all(|&byte| byte == 0));
        }
        prop_assert_eq!(guest.machine.bytes.len(), SECTORS * 512);
    }
}

#[test]
fn a_request_under_way_when_the_guest_was_saved_is_begun_again() {
    let mut guest = Guest::connected();
    guest.machine.is_slow = true;
    guest.front.ask(&mut guest.machine.ram, request(0, 10, &[(9, 0, 7)]).as_bytes());
    guest.block.serve(&mut guest.store, &mut guest.machine).unwrap();
    // The disk knows nothing of it any more.
    guest.machine.begun.clear();
    guest.machine.places = [const { None }; PLACES];
    guest.block.resume(&mut guest.machine).unwrap();
    assert_eq!(guest.machine.begun.len(), 1);
    guest.machine.carry_out();
    guest.block.serve(&mut guest.store, &mut guest.machine).unwrap();
    assert_eq!(guest.front.answers(&mut guest.machine.ram, 16).len(), 1);
}
