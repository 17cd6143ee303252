use std::{boxed::Box, cell::RefCell, rc::Rc, string::String, sync::Mutex, vec, vec::Vec};

use cloison_abi::{
    Name,
    info::{Channel, Client},
};
use cloison_drivers::virtio::{
    Interrupt,
    net::simulated::{Card, Part},
};
use cloison_ipc::frames;
use cloison_sys::InterruptMessage;
use core::{fmt, sync::atomic::AtomicU64};

use super::*;

/// Bytes each way of a port's memory, as a switch offers them.
const PORT_BYTES: usize = 33 * 4096;

/// An uplink between a simulated card and the switch's side of a port.
struct World {
    card: Rc<RefCell<Card>>,
    uplink: Uplink<Part>,
    to_uplink: FrameSender,
    from_uplink: FrameReceiver,
    /// What the switch writes.
    switch: &'static [AtomicU64],
}

impl World {
    fn new() -> Self {
        Self::with_log(|_| {})
    }

    fn with_log(log: Log) -> Self {
        Self::of(Card::new(), log)
    }

    /// With a card that does what it can with checksums.
    fn that_sums() -> Self {
        let mut card = Card::new();
        card.offered |= 3;
        Self::of(card, |_| {})
    }

    fn of(card: Card, log: Log) -> Self {
        let card = card.shared();
        let message = Interrupt::Message(InterruptMessage { address: 0xfee0_0000, data: 0x38 });
        let driver = NetCard::start(Card::place(&card, message)).unwrap();
        let (uplink, switch) = (memory(), memory());
        let (sender, receiver) = frames::attach(party(uplink, switch)).unwrap();
        let (to_uplink, from_uplink) = frames::attach(party(switch, uplink)).unwrap();
        Self { card, uplink: Uplink::new(driver, sender, receiver, log), to_uplink, from_uplink, switch }
    }

    /// The switch sends a frame. False if there is no room.
    fn send(&mut self, frame: &[u8]) -> bool {
        let room = self.to_uplink.reserve(frame.len()).unwrap();
        let sent = room.map(|room| room.copy_from_slice(frame)).is_some();
        if sent {
            self.to_uplink.publish(frame.len(), 0);
        }
        sent
    }

    /// The switch takes a frame.
    fn take(&mut self) -> Option<Vec<u8>> {
        let frame = self.from_uplink.next().unwrap()?;
        let mut bytes = vec![0; frame.bytes];
        assert!(self.from_uplink.read(0, &mut bytes));
        self.from_uplink.release();
        Some(bytes)
    }

    fn carry_all(&mut self) {
        while self.uplink.carry() {}
    }

    /// What has left by the wire since the last time.
    fn sent(&self) -> Vec<Vec<u8>> {
        let mut card = self.card.borrow_mut();
        card.transmit();
        core::mem::take(&mut card.sent)
    }
}

fn memory() -> &'static [AtomicU64] {
    // As much again as an alignment to a cache line can take.
    let words = (0..PORT_BYTES / 8 + 8).map(|_| AtomicU64::new(0));
    let words = Box::leak(words.collect::<Vec<_>>().into_boxed_slice());
    let skipped = words.as_ptr().align_offset(64);
    &words[skipped..][..PORT_BYTES / 8]
}

fn party(own: &'static [AtomicU64], other: &'static [AtomicU64]) -> &'static Client {
    let channel = Channel {
        address: own.as_ptr() as u64,
        bytes: PORT_BYTES as u64,
        incoming_address: other.as_ptr() as u64,
        ..Channel::EMPTY
    };
    Box::leak(Box::new(Client { name: Name::EMPTY, channel, first_grant: 0, grants: 0 }))
}

/// A UDP packet with this number, and no checksums.
fn packet(number: usize) -> Vec<u8> {
    let data = 10 + number * 31 % 1400;
    let mut frame = vec![2; 12];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend(((28 + data) as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 168, 0, 11, 192, 168, 0, 2, 0, 9, 0, 9]);
    frame.extend(((8 + data) as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend((0..data).map(|at| (at ^ number) as u8));
    frame
}

/// The same with its checksums.
fn completed(number: usize) -> Vec<u8> {
    let mut frame = packet(number);
    complete(&mut frame).unwrap();
    frame
}

#[test]
fn what_leaves_has_checksums() {
    let mut world = World::new();
    assert!((0..50).all(|number| world.send(&packet(number))));
    world.carry_all();
    assert_eq!(world.sent(), (0..50).map(completed).collect::<Vec<_>>());
}

#[test]
fn what_comes_in_has_good_checksums() {
    let mut world = World::new();
    let mut damaged = completed(2);
    damaged[50] ^= 1;
    for frame in [&completed(1), &damaged, &completed(3), &completed(4)[..40].to_vec()] {
        assert!(world.card.borrow_mut().receive(frame));
    }
    world.carry_all();
    assert_eq!([world.take(), world.take(), world.take()], [Some(completed(1)), Some(completed(3)), None]);
}

#[test]
fn a_card_that_sums_makes_no_difference_to_what_leaves() {
    let mut world = World::that_sums();
    let mut padded = packet(3);
    padded.push(7);
    assert!((0..50).all(|number| world.send(&packet(number))) && world.send(&padded));
    world.carry_all();
    complete(&mut padded).unwrap();
    assert_eq!(world.sent(), (0..50).map(completed).chain([padded]).collect::<Vec<_>>());
}

#[test]
fn what_a_card_vouches_for_comes_in_and_what_it_makes_up_does_not() {
    let mut world = World::that_sums();
    let header = |flags: u8, start: u8, offset: u8| [flags, 0, 0, 0, 0, 0, start, 0, offset, 0, 0, 0];
    let mut damaged = completed(2);
    damaged[50] ^= 1;
    let frames = [
        (header(0, 0, 0), &damaged, false),
        (header(2, 0, 0), &damaged, true),
        (header(1, 34, 6), &packet(3), false),
        (header(1, 34, 6), &completed(3), true),
        (header(1, 34, 16), &completed(4), false),
        (header(1, 14, 10), &completed(4), false),
        (header(2, 0, 0), &completed(4)[..40].to_vec(), false),
    ];
    for (header, frame, comes_in) in frames {
        assert!(world.card.borrow_mut().receive_with(header, frame));
        world.carry_all();
        assert_eq!(world.take(), comes_in.then(|| frame.clone()), "{header:?}");
    }
}

#[test]
fn what_is_longer_than_an_ethernet_takes_stays_here() {
    let mut world = World::new();
    for bytes in [1515, 1514, 16_398] {
        assert!(world.send(&vec![0xff; bytes]));
    }
    world.carry_all();
    assert_eq!(world.sent(), [vec![0xff; 1514]]);
}

#[test]
fn a_slow_switch_stops_only_what_comes_in() {
    let mut world = World::new();
    let mut taken = Vec::new();
    for round in 0..3 {
        let numbers = round * 100..round * 100 + 100;
        assert!(numbers.clone().all(|number| world.card.borrow_mut().receive(&completed(number))));
        world.carry_all();
        assert!(world.uplink.prepare_wait(), "nothing moves");
        assert!(world.send(&packet(7)) && !world.uplink.prepare_wait());
        world.carry_all();
        assert_eq!(world.sent(), [completed(7)]);
        while let Some(frame) = world.take() {
            taken.push(frame);
            world.carry_all();
        }
    }
    assert_eq!(taken, (0..300).map(completed).collect::<Vec<_>>());
}

#[test]
fn a_slow_card_stops_only_what_leaves() {
    let mut world = World::new();
    let (mut next, mut sent) = (0, Vec::new());
    while sent.len() < 1000 {
        while next < 1000 && world.send(&packet(next)) {
            next += 1;
        }
        world.carry_all();
        assert!(world.uplink.prepare_wait(), "nothing moves");
        assert!(world.card.borrow_mut().receive(&completed(7)) && !world.uplink.prepare_wait());
        world.carry_all();
        assert_eq!(world.take(), Some(completed(7)));
        sent.extend(world.sent());
    }
    assert_eq!(sent, (0..1000).map(completed).collect::<Vec<_>>());
}

#[test]
fn a_switch_that_spoils_its_words_is_survived_and_told_of() {
    static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    fn log(line: fmt::Arguments<'_>) {
        LINES.lock().unwrap().push(std::format!("{line}"));
    }
    let mut world = World::with_log(log);
    for word in 0..25 {
        world.switch[0].store((word << 60) | (0x0123_4567 * word), core::sync::atomic::Ordering::Relaxed);
        world.uplink.carry();
        world.uplink.prepare_wait();
    }
    assert!(world.card.borrow_mut().receive(&completed(7)));
    world.uplink.carry();
    let lines = LINES.lock().unwrap();
    assert!((1..=3).contains(&lines.len()), "{lines:?}");
    assert!(lines[0].ends_with("the port starts over (1 so far)"), "{lines:?}");
}
