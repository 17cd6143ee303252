//! Backends against a guest's side made for tests.

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::grant::{GrantEntry, PERMIT_ACCESS, READ_ONLY};
use zerocopy::IntoBytes;

use super::ring::BackRing;
use crate::byte_ring::Damaged;
use crate::machine::Memory;
use crate::testing::Ram;
use crate::xenstore::{HOME, Xenstore};

mod block;
mod network;
mod terminal;

/// Pages of the guest.
const PAGES: u32 = 40;
/// The ring's page, and its grant.
const RING: u64 = 4 * PAGE_BYTES;
const RING_GRANT: u32 = 8;

/// Lets the backend access a page of the guest.
fn grant(ram: &mut Ram, grant: u32, frame: u32, flags: u16) {
    let at = ram.shared_address() + PAGE_BYTES + u64::from(grant) * 8;
    ram.write(at, GrantEntry { flags: PERMIT_ACCESS | flags, domain: 0, frame }.as_bytes()).unwrap();
}

fn text(store: &Xenstore, path: &str) -> String {
    String::from_utf8(store.read(path).unwrap_or(b"nothing").to_vec()).unwrap()
}

/// The guest's side of a ring.
struct FrontRing {
    page: u64,
    produced: u32,
    consumed: u32,
    entries: u32,
    entry_bytes: u32,
}

impl FrontRing {
    fn new(page: u64, entries: u32, entry_bytes: u32) -> Self {
        Self { page, produced: 0, consumed: 0, entries, entry_bytes }
    }

    fn at(&self, index: u32) -> u64 {
        self.page + 64 + u64::from(index % self.entries * self.entry_bytes)
    }

    fn ask(&mut self, ram: &mut Ram, request: &[u8]) {
        ram.write(self.at(self.produced), request).unwrap();
        self.produced = self.produced.wrapping_add(1);
        ram.write(self.page, &self.produced.to_le_bytes()).unwrap();
    }

    /// What has been answered; asks to be told of the next answer.
    fn answers(&mut self, ram: &mut Ram, bytes: usize) -> Vec<Vec<u8>> {
        let produced = number(ram, self.page + 8);
        let mut answers = Vec::new();
        while self.consumed != produced {
            answers.push(ram.bytes(self.at(self.consumed), bytes).unwrap().to_vec());
            self.consumed = self.consumed.wrapping_add(1);
        }
        ram.write(self.page + 12, &self.consumed.wrapping_add(1).to_le_bytes()).unwrap();
        answers
    }
}

fn number(ram: &Ram, at: u64) -> u32 {
    u32::from_le_bytes(ram.bytes(at, 4).unwrap().try_into().unwrap())
}

#[test]
fn answers_take_the_places_of_their_requests() {
    let mut ram = Ram::new(PAGES);
    let mut front = FrontRing::new(RING, 32, 112);
    let mut back = BackRing::new(RING, 112);
    ram.write(RING + 12, &1_u32.to_le_bytes()).unwrap();
    for round in 0..100_u8 {
        let count = round % 33;
        for n in 0..count {
            front.ask(&mut ram, &[n; 112]);
        }
        assert_eq!(back.waiting(&ram), Ok(count.into()));
        let mut request = [0; 112];
        for n in 0..count {
            assert_eq!(back.take(&mut ram, &mut request), Ok(true));
            assert_eq!(request, [n; 112]);
        }
        assert_eq!(back.take(&mut ram, &mut request), Ok(false));
        assert_eq!(number(&ram, RING + 4), front.produced + 1, "the next request is told of");
        for n in 0..count {
            back.answer(&mut ram, &[n ^ 0xff; 16]).unwrap();
        }
        assert_eq!(back.answer(&mut ram, &[0; 16]), Err(Damaged), "each is answered");
        assert!(front.answers(&mut ram, 16).is_empty(), "not published");
        assert_eq!(back.publish(&mut ram), Ok(count > 0));
        let answers: Vec<_> = (0..count).map(|n| vec![n ^ 0xff; 16]).collect();
        assert_eq!(front.answers(&mut ram, 16), answers);
    }
}

#[test]
fn the_guest_is_told_when_it_wants_to_be() {
    let mut ram = Ram::new(PAGES);
    let mut front = FrontRing::new(RING, 32, 112);
    let mut back = BackRing::new(RING, 112);
    let mut published = |ram: &mut Ram, wanted: u32, count: usize| {
        ram.write(RING + 12, &wanted.to_le_bytes()).unwrap();
        for _ in 0..count {
            front.ask(ram, &[0; 112]);
            back.take(ram, &mut [0; 112]).unwrap();
            back.answer(ram, &[0; 16]).unwrap();
        }
        back.publish(ram).unwrap()
    };
    assert!(published(&mut ram, 1, 1));
    assert!(!published(&mut ram, 3, 1), "two of three");
    assert!(published(&mut ram, 3, 1));
    assert!(!published(&mut ram, 3, 1), "it was told");
    assert!(published(&mut ram, 6, 5), "somewhere between");
    assert!(!published(&mut ram, 10, 0), "nothing new");
}

#[test]
fn a_ring_with_more_requests_than_places_is_damaged() {
    for requests in [33, 1 << 31, u32::MAX] {
        let mut ram = Ram::new(PAGES);
        ram.write(RING, &requests.to_le_bytes()).unwrap();
        let mut back = BackRing::new(RING, 112);
        assert_eq!(back.take(&mut ram, &mut [0; 112]), Err(Damaged));
        assert_eq!(back.waiting(&ram), Err(Damaged));
    }
    // What is not answered has its place, too.
    let mut ram = Ram::new(PAGES);
    let mut back = BackRing::new(RING, 112);
    ram.write(RING, &32_u32.to_le_bytes()).unwrap();
    back.take(&mut ram, &mut [0; 112]).unwrap();
    ram.write(RING, &33_u32.to_le_bytes()).unwrap();
    assert_eq!(back.take(&mut ram, &mut [0; 112]), Err(Damaged));
    back.answer(&mut ram, &[0; 16]).unwrap();
    assert_eq!(back.take(&mut ram, &mut [0; 112]), Ok(true));
    let beyond = u64::from(PAGES) * PAGE_BYTES;
    assert_eq!(BackRing::new(beyond, 112).take(&mut ram, &mut [0; 112]), Err(Damaged));
}

/// Writes what Linux's frontends write, then their state.
fn connect(store: &mut Xenstore, device: &str, keys: &[(&str, &str)], state: u32) {
    for (key, value) in keys {
        store.write(&format!("{HOME}/device/{device}/{key}"), value.as_bytes()).unwrap();
    }
    store.write(&format!("{HOME}/device/{device}/state"), state.to_string().as_bytes()).unwrap();
}
