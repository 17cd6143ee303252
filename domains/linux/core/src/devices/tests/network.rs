//! The network's backend.

use cloison_xen::ring::network::{
    CAME_OPEN, CAME_RIGHT, DONE, FAILED, ReceiveRequest, ReceiveResponse, SENT_EXTRA, SENT_MORE, SendRequest,
    SendResponse,
};
use proptest::prelude::*;
use zerocopy::FromBytes;

use super::*;
use crate::devices::network::{FRAME_BYTES, Interface};
use crate::machine::Network;
use crate::testing::memory_in_ram;

const BACKEND: &str = "/local/domain/0/backend/vif/1/0";
const CAME: u64 = 5 * PAGE_BYTES;
const CAME_GRANT: u32 = 20;
/// The first of the pages for frames; grant and frame have the same number.
const PAGE: u32 = 24;

/// A guest's memory and a port of a switch.
struct Place {
    ram: Ram,
    sent: Vec<Vec<u8>>,
    coming: Vec<Vec<u8>>,
    /// Frames that can still be sent.
    room: usize,
}

memory_in_ram!(Place);

impl Network for Place {
    fn mac(&self) -> Option<[u8; 6]> {
        Some([2, 0, 0xab, 0, 0, 0x11])
    }

    fn has_room(&mut self) -> bool {
        self.room > 0
    }

    fn send(&mut self, frame: &[u8]) {
        self.room -= 1;
        self.sent.push(frame.to_vec());
    }

    fn receive(&mut self, into: &mut [u8]) -> Option<usize> {
        let frame = (!self.coming.is_empty()).then(|| self.coming.remove(0))?;
        into[..frame.len()].copy_from_slice(&frame);
        Some(frame.len())
    }
}

struct Guest {
    store: Xenstore,
    machine: Place,
    interface: Interface,
    sent: FrontRing,
    came: FrontRing,
}

const KEYS: [(&str, &str); 5] = [
    ("tx-ring-ref", "8"),
    ("rx-ring-ref", "20"),
    ("event-channel", "6"),
    ("request-rx-copy", "1"),
    ("feature-sg", "1"),
];

impl Guest {
    fn new() -> Self {
        let mut store = Xenstore::new();
        let mut machine = Place { ram: Ram::new(PAGES), sent: Vec::new(), coming: Vec::new(), room: 1000 };
        grant(&mut machine.ram, RING_GRANT, (RING / PAGE_BYTES) as u32, 0);
        grant(&mut machine.ram, CAME_GRANT, (CAME / PAGE_BYTES) as u32, 0);
        for page in PAGE..PAGE + 4 {
            grant(&mut machine.ram, page, page, 0);
        }
        let interface = Interface::new(&mut store, &machine).unwrap().unwrap();
        Self {
            store,
            machine,
            interface,
            sent: FrontRing::new(RING, 256, 12),
            came: FrontRing::new(CAME, 256, 8),
        }
    }

    fn connected() -> Self {
        let mut guest = Self::new();
        assert_eq!(guest.go(&KEYS, 4), "4");
        guest.serve();
        guest
    }

    fn go(&mut self, keys: &[(&str, &str)], state: u32) -> String {
        connect(&mut self.store, "vif/0", keys, state);
        self.interface.look(&mut self.store, &self.machine).unwrap();
        text(&self.store, &format!("{BACKEND}/state"))
    }

    /// Whether the guest is told.
    fn serve(&mut self) -> bool {
        self.interface.serve(&mut self.store, &mut self.machine).unwrap().is_some()
    }

    fn send(&mut self, parts: &[(u32, u16, u16, u16)]) {
        for (id, &(grant, offset, flags, bytes)) in parts.iter().enumerate() {
            let request = SendRequest { grant, offset, flags, id: 100 + id as u16, bytes };
            self.sent.ask(&mut self.machine.ram, request.as_bytes());
        }
    }

    fn offer(&mut self, id: u16, grant: u32) {
        self.came.ask(&mut self.machine.ram, ReceiveRequest { id, padding: 0, grant }.as_bytes());
    }

    /// What came of the frames sent.
    fn statuses(&mut self) -> Vec<(u16, i16)> {
        let answers = self.sent.answers(&mut self.machine.ram, 4);
        let answers = answers.iter().map(|bytes| SendResponse::read_from_bytes(bytes).unwrap());
        answers.map(|answer| (answer.id, answer.status)).collect()
    }

    fn frames(&mut self) -> Vec<ReceiveResponse> {
        let answers = self.came.answers(&mut self.machine.ram, 8);
        answers.iter().map(|bytes| ReceiveResponse::read_from_bytes(bytes).unwrap()).collect()
    }

    fn fill(&mut self, page: u32, bytes: &[u8]) {
        self.machine.ram.write(u64::from(page) * PAGE_BYTES, bytes).unwrap();
    }

    fn page(&self, page: u32, bytes: usize) -> &[u8] {
        self.machine.ram.bytes(u64::from(page) * PAGE_BYTES, bytes).unwrap()
    }
}

#[test]
fn an_interface_connects_once_the_guest_has_set_it_up() {
    let mut guest = Guest::new();
    assert_eq!(text(&guest.store, "/local/domain/1/device/vif/0/mac"), "02:00:ab:00:00:11");
    assert_eq!(text(&guest.store, "/local/domain/1/device/vif/0/handle"), "0");
    assert_eq!(text(&guest.store, &format!("{BACKEND}/feature-rx-copy")), "1");
    assert_eq!(text(&guest.store, &format!("{BACKEND}/state")), "2");
    assert!(!guest.serve(), "nothing to serve");
    assert_eq!(guest.go(&KEYS, 4), "4");
    assert_eq!(guest.interface.port(), Some(6));
    assert_eq!(guest.go(&[], 5), "5");
    assert_eq!(guest.interface.port(), None);
    assert_eq!(guest.go(&[], 6), "6");
}

#[test]
fn what_cannot_be_connected_is_closed() {
    for (key, value) in [
        ("tx-ring-ref", "21"),
        ("rx-ring-ref", "21"),
        ("rx-ring-ref", "x"),
        ("event-channel", ""),
        ("request-rx-copy", "0"),
    ] {
        let mut guest = Guest::new();
        let mut keys = KEYS.to_vec();
        keys.push((key, value));
        assert_eq!(guest.go(&keys, 4), "5", "{key}={value}");
        assert_eq!(guest.interface.port(), None);
    }
}

#[test]
fn frames_leave_as_they_are() {
    let mut guest = Guest::connected();
    guest.fill(PAGE, &[1; 4096]);
    guest.fill(PAGE + 1, &[2; 4096]);
    guest.send(&[(PAGE, 96, 0, 60)]);
    guest.send(&[(PAGE, 4000, SENT_MORE, 196), (PAGE + 1, 0, 0, 100)]);
    guest.statuses();
    assert!(guest.serve());
    assert_eq!(guest.machine.sent, [vec![1; 60], [vec![1; 96], vec![2; 100]].concat()]);
    assert_eq!(guest.statuses(), [(100, DONE), (100, DONE), (101, DONE)]);
}

#[test]
fn wrong_frames_are_not_sent() {
    for parts in [
        &[(PAGE, 0, 0, FRAME_BYTES as u16 + 1)][..],
        &[(PAGE, 0, 0, u16::MAX)],
        &[(PAGE, 4090, 0, 60)],
        &[(PAGE, u16::MAX, 0, 60)],
        &[(PAGE + 9, 0, 0, 60)],
        &[(u32::MAX, 0, 0, 60)],
        &[(PAGE, 0, SENT_EXTRA, 60)],
        &[(PAGE, 0, SENT_MORE, 60), (PAGE, 0, 0, 61)],
        &[(PAGE, 0, SENT_MORE, 60), (PAGE + 9, 0, 0, 10)],
        &[(PAGE, 0, SENT_MORE, 60), (PAGE, 4091, 0, 10)],
    ] {
        let mut guest = Guest::connected();
        guest.send(parts);
        guest.serve();
        assert!(guest.machine.sent.is_empty(), "{parts:?}");
        let failed: Vec<_> = (0..parts.len() as u16).map(|id| (100 + id, FAILED)).collect();
        assert_eq!(guest.statuses(), failed, "{parts:?}");
        guest.send(&[(PAGE, 0, 0, 60)]);
        guest.serve();
        assert_eq!(guest.machine.sent.len(), 1, "the next one is sent");
    }
}

#[test]
fn a_frame_without_its_end_ends_the_connection() {
    for parts in [&[(PAGE, 0, SENT_MORE, 60)][..], &[(PAGE, 0, SENT_MORE, 60); 19]] {
        let mut guest = Guest::connected();
        guest.send(parts);
        assert!(!guest.serve());
        assert_eq!(
            (text(&guest.store, &format!("{BACKEND}/state")), guest.interface.port()),
            ("5".to_string(), None)
        );
    }
    for (page, index) in [(RING, 257_u32), (CAME, 257), (CAME, u32::MAX)] {
        let mut guest = Guest::connected();
        guest.machine.ram.write(page, &index.to_le_bytes()).unwrap();
        assert!(!guest.serve());
        assert_eq!(guest.interface.port(), None);
    }
}

#[test]
fn frames_wait_for_room() {
    let mut guest = Guest::connected();
    guest.machine.room = 2;
    guest.send(&[(PAGE, 0, 0, 60), (PAGE, 0, 0, 61), (PAGE, 0, 0, 62)]);
    guest.serve();
    assert_eq!(guest.machine.sent.len(), 2);
    assert!(!guest.interface.is_behind(), "room is told of");
    guest.machine.room = 1;
    guest.serve();
    assert_eq!(guest.machine.sent.len(), 3);
}

#[test]
fn a_long_queue_is_served_in_turns() {
    let mut guest = Guest::connected();
    guest.send(&[(PAGE, 0, 0, 60); 100]);
    guest.serve();
    assert_eq!((guest.machine.sent.len(), guest.interface.is_behind()), (64, true));
    guest.serve();
    assert_eq!((guest.machine.sent.len(), guest.interface.is_behind()), (100, false));
}

#[test]
fn frames_come_into_pages_that_wait_for_them() {
    let mut guest = Guest::connected();
    guest.machine.coming = vec![vec![7; 60], vec![8; FRAME_BYTES]];
    guest.serve();
    assert_eq!(guest.machine.coming.len(), 2, "there is no page yet");
    guest.offer(1, PAGE);
    guest.offer(2, PAGE + 1);
    guest.frames();
    assert!(guest.serve());
    let frames = guest.frames();
    assert_eq!(frames[0], ReceiveResponse { id: 1, offset: 0, flags: CAME_RIGHT, status: 60 });
    assert_eq!(frames[1], ReceiveResponse { id: 2, offset: 0, flags: CAME_RIGHT, status: 1514 });
    assert_eq!(guest.page(PAGE, 61), [vec![7; 60], vec![0]].concat());
    assert_eq!(guest.page(PAGE + 1, 1515), [vec![8; 1514], vec![0]].concat());
    // A frame for which there is no page is lost.
    guest.machine.coming = vec![vec![9; 60]];
    guest.offer(3, PAGE + 9);
    guest.serve();
    assert_eq!(guest.frames()[0], ReceiveResponse { id: 3, offset: 0, flags: CAME_RIGHT, status: FAILED });
    assert!(guest.machine.coming.is_empty());
}

#[test]
fn what_linux_checks_is_filled_in() {
    let mut udp = vec![0; 14 + 20 + 8 + 4];
    udp[12..14].copy_from_slice(&[8, 0]);
    udp[14..34].copy_from_slice(&[0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    udp[34..42].copy_from_slice(&[0, 7, 0, 9, 0, 12, 0, 0]);
    let mut cut = udp.clone();
    cut[17] = 200;
    let mut guest = Guest::connected();
    guest.machine.coming = vec![udp, cut];
    guest.offer(1, PAGE);
    guest.offer(2, PAGE + 1);
    guest.serve();
    let flags: Vec<_> = guest.frames().iter().map(|frame| frame.flags).collect();
    assert_eq!(flags, [CAME_RIGHT | CAME_OPEN, 0]);
    let words =
        guest.page(PAGE, 34)[14..].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    assert_eq!((sum >> 16) + (sum & 0xffff), 0xffff, "the header's checksum is right");
}

proptest! {
    #[test]
    fn whatever_is_sent_only_granted_pages_are_read(
        parts in prop::collection::vec((20..32_u32, any::<u16>(), 0..16_u16, prop_oneof![0..2000_u16, any::<u16>()]), 1..60),
        offers in prop::collection::vec(21..32_u32, 0..20),
    ) {
        let mut guest = Guest::connected();
        for page in 0..PAGES {
            let is_granted = (PAGE..PAGE + 4).contains(&page);
            if ![4, 5].contains(&page) {
                guest.fill(page, &[if is_granted { 0xa5 } else { 0x5a }; 4096]);
            }
        }
        for (n, part) in parts.iter().enumerate() {
            // The rings' own pages may be named: then the guest harms its rings.
            let grant = if part.0 == CAME_GRANT { PAGE } else { part.0 };
            let request = SendRequest { grant, offset: part.1 % 5000, flags: part.2, id: n as u16, bytes: part.3 };
            guest.sent.ask(&mut guest.machine.ram, request.as_bytes());
        }
        for grant in offers {
            guest.offer(7, grant);
        }
        guest.machine.coming = vec![vec![0xa5; 100]; 30];
        for _ in 0..3 {
            guest.serve();
        }
        for frame in &guest.machine.sent {
            prop_assert!(frame.len() <= FRAME_BYTES && frame.iter().all(|&byte| byte == 0xa5));
        }
        for page in (0..PAGES).filter(|page| !(PAGE..PAGE + 4).contains(page) && ![4, 5].contains(page)) {
            prop_assert!(guest.page(page, 4096).iter().all(|&byte| byte == 0x5a));
        }
    }
}

/// A guest has room for one frame, two come: it has to tell when it has room again, or the second stays where it is.
#[test]
fn a_guest_without_room_is_asked_to_tell_of_it() {
    let mut guest = Guest::connected();
    let asked =
        |guest: &Guest| u32::from_le_bytes(guest.machine.ram.bytes(CAME + 4, 4).unwrap().try_into().unwrap());
    guest.offer(1, PAGE);
    guest.machine.coming = vec![vec![7; 60]; 2];
    guest.serve();
    assert_eq!((guest.frames().len(), guest.machine.coming.len()), (1, 1));
    assert_eq!(asked(&guest), 2, "the second page that it offers");
}
