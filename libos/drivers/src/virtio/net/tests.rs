use std::{cell::RefCell, rc::Rc, vec, vec::Vec};

use cloison_sys::InterruptMessage;
use proptest::prelude::*;

use super::{
    super::transport::feature,
    simulated::{Card, MAC, Part},
    *,
};

const MESSAGE: Interrupt = Interrupt::Message(InterruptMessage { address: 0xfee0_0000, data: 0x38 });

type Shared = Rc<RefCell<Card>>;

fn start(card: Card) -> (Shared, Result<NetCard<Part>, VirtioError>) {
    let card = card.shared();
    let driver = NetCard::start(Card::place(&card, MESSAGE));
    (card, driver)
}

/// A card and its driver, both up, one time for each way of notifying.
fn each_way(test: impl Fn(Shared, NetCard<Part>)) {
    for hidden in [0, feature::EVENT_INDEX] {
        let mut card = Card::new();
        card.offered &= !hidden;
        let (card, driver) = start(card);
        test(card, driver.unwrap());
    }
}

/// Takes every frame there is.
fn take_all(driver: &mut NetCard<Part>) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(frame) = driver.next_frame() {
        let mut bytes = vec![0; frame.bytes];
        assert!(driver.read(&frame, &mut bytes));
        driver.release(frame);
        frames.push(bytes);
    }
    driver.flush();
    frames
}

fn frame(number: usize) -> Vec<u8> {
    (0..14 + number * 37 % 1501).map(|at| (at + number) as u8).collect()
}

#[test]
fn a_card_comes_up() {
    let (card, driver) = start(Card::new());
    let driver = driver.unwrap();
    assert_eq!((driver.mac(), driver.link_is_up()), (MAC, true));
    let card = card.borrow();
    assert!(card.is_up() && card.has_event_index());
    assert_eq!(card.accepted & 1 << 28, 0, "a feature that nobody wanted");
    assert_eq!(card.vectors.word(8), 0x38, "the message's data");
    assert_eq!(card.page.word(0x20), 0xfe00_0004, "BAR 4");
    assert_eq!(card.page.word(4) & 0x406, 0x406, "memory and bus master on, line off");
}

#[test]
fn a_line_is_used_where_there_is_no_message() {
    let card = Card::new().shared();
    let driver = NetCard::start(Card::place(&card, Interrupt::Line));
    assert!(driver.is_ok());
    assert_eq!(card.borrow().page.word(4) & 0x406, 6, "the line is on");
    assert_eq!(card.borrow().page.byte(0x9b), 0, "MSI-X is off");
}

#[test]
fn what_a_card_lacks_is_said() {
    let fails = |change: &dyn Fn(&mut Card)| {
        let mut card = Card::new();
        change(&mut card);
        start(card).1.err().unwrap()
    };
    assert_eq!(fails(&|card| card.page.set(2, &[0x42])), VirtioError::AnotherDevice(0x1af4, 0x1042));
    assert_eq!(fails(&|card| card.never_resets = true), VirtioError::Stuck);
    assert_eq!(fails(&|card| card.refuses_vectors = true), VirtioError::NoVector);
    assert_eq!(fails(&|card| card.offered = 1 << 5), VirtioError::Features(1 << 5));
    assert!(matches!(fails(&|card| card.refuses_features = true), VirtioError::Features(_)));
    assert_eq!(fails(&|card| card.sizes = [256, 0]), VirtioError::NoQueue(1));
    assert!(matches!(fails(&|card| card.page.set(0x4b, &[9])), VirtioError::NoRegisters(_)));
}

/// As QEMU's `modern-pio-notify=on` has it, and other structures that are of no use: behind ports, misaligned,
/// too short, outside of what the platform states, behind another BAR.
#[test]
fn the_first_structure_that_can_be_used_counts() {
    for (kind, bar, at, bytes) in [
        (2, 2, 0, 4),
        (2, 4, 0x3002, 0x1000),
        (2, 4, 0x3000, 1),
        (2, 4, 0x3000, 0x8000),
        (2, 1, 0x800, 0x800),
        (1, 2, 0, 0x38),
        (1, 1, 0, 0x38),
        (3, 2, 0, 1),
        (4, 6, 0x2000, 12),
    ] {
        let card = Card::new();
        card.page.set(0x18, &[1]);
        card.page.add_structure(0xb0, kind, bar, (at, bytes), 0);
        let (card, driver) = start(card);
        let mut driver = driver.unwrap();
        assert!(driver.send(&frame(1), Checksum::Unknown), "kind {kind} behind BAR {bar}");
        driver.flush();
        assert_eq!(card.borrow().notifications, 2, "kind {kind} behind BAR {bar}");
    }
}

#[test]
fn frames_go_both_ways_in_order() {
    each_way(|card, mut driver| {
        for round in 0..700 {
            let batch: Vec<_> = (round..round + 1 + round % 100).map(frame).collect();
            for frame in &batch {
                assert!(card.borrow_mut().receive(frame));
                assert!(driver.send(frame, Checksum::Unknown));
            }
            driver.flush();
            assert_eq!(take_all(&mut driver), batch);
            card.borrow_mut().transmit();
            assert_eq!(core::mem::take(&mut card.borrow_mut().sent), batch);
        }
        assert_eq!(driver.nonsense(), 0);
    });
}

#[test]
fn there_is_an_interrupt_when_one_was_asked_for() {
    each_way(|card, mut driver| {
        assert!(driver.prepare_wait());
        assert!(card.borrow_mut().receive(&frame(1)));
        assert_eq!(card.borrow().interrupts, 1);
        assert!(!driver.prepare_wait(), "there is a frame");
        assert_eq!(take_all(&mut driver).len(), 1);
        assert!(driver.prepare_wait());
    });
}

#[test]
fn sending_makes_no_interrupts_until_there_is_no_room() {
    each_way(|card, mut driver| {
        let already = card.borrow().interrupts;
        for _ in 0..queue::BUFFERS {
            assert!(driver.send(&frame(1), Checksum::Unknown));
        }
        driver.flush();
        assert!(!driver.send(&frame(1), Checksum::Unknown) && !driver.has_room());
        assert!(driver.prepare_wait_for_room());
        assert_eq!(card.borrow().interrupts, already);
        card.borrow_mut().transmit();
        assert!(card.borrow().interrupts > already);
        assert!(!driver.prepare_wait_for_room() && driver.send(&frame(1), Checksum::Unknown));
    });
}

#[test]
fn one_notification_tells_of_a_batch() {
    each_way(|card, mut driver| {
        let before = card.borrow().notifications;
        for number in 0..10 {
            assert!(driver.send(&frame(number), Checksum::Unknown));
        }
        driver.flush();
        driver.flush();
        assert_eq!(card.borrow().notifications, before + 1);
    });
}

#[test]
fn frames_without_a_buffer_are_lost_and_no_others() {
    each_way(|card, mut driver| {
        let taken = (0..200).filter(|number| card.borrow_mut().receive(&frame(*number))).count();
        assert_eq!(taken, usize::from(queue::BUFFERS));
        let expected: Vec<_> = (0..taken).map(frame).collect();
        assert_eq!(take_all(&mut driver), expected);
        assert!(card.borrow_mut().receive(&frame(7)));
        assert_eq!(take_all(&mut driver), [frame(7)]);
    });
}

#[test]
fn nonsense_is_counted_and_borne() {
    each_way(|card, mut driver| {
        let nonsense = [(u32::MAX, 60), (128, 60), (5, 3), (6, 12), (7, 1600), (8, u32::MAX), (8, 0)];
        for (number, bytes) in nonsense {
            card.borrow_mut().finish(0, number, bytes);
            assert!(take_all(&mut driver).is_empty(), "{bytes} bytes in {number}");
        }
        card.borrow_mut().finish(1, 3, 0);
        assert!(driver.send(&frame(0), Checksum::Unknown));
        assert_eq!(driver.nonsense(), nonsense.len() as u32);
    });
}

#[test]
fn a_checksum_is_left_to_a_card_that_computes_them() {
    let mut card = Card::new();
    card.offered |= FEATURE_COMPUTES;
    let (card, driver) = start(card);
    let mut driver = driver.unwrap();
    assert!(driver.computes_checksums());
    let frame = [&[2; 14][..], &[0x12, 0x34, 0, 7, 0x56]].concat();
    for checksum in [Checksum::Open { start: 14, offset: 2 }, Checksum::Unknown] {
        assert!(driver.send(&frame, checksum));
        driver.flush();
        card.borrow_mut().transmit();
    }
    let summed = [&[2; 14][..], &[0x12, 0x34, 0x97, 0xc4, 0x56]].concat();
    assert_eq!(card.borrow().sent, [summed, frame], "the second one with a header of its own");
}

/// A card lies, or says what nobody has agreed to: such a frame is none.
#[test]
fn what_a_header_says_is_what_can_be() {
    let open = |start: u16, offset: u16| {
        let mut header = [0; 12];
        header[0] = IS_OPEN;
        header[6..8].copy_from_slice(&start.to_le_bytes());
        header[8..10].copy_from_slice(&offset.to_le_bytes());
        header
    };
    let with = |flags: u8, segments: u8| [flags, segments, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    let said = [
        (with(0, 0), Some(Checksum::Unknown)),
        (with(IS_RIGHT, 0), Some(Checksum::Right)),
        (open(34, 16), Some(Checksum::Open { start: 34, offset: 16 })),
        (open(34, 24), Some(Checksum::Open { start: 34, offset: 24 })),
        (open(34, 25), None),
        (open(u16::MAX, u16::MAX), None),
        (with(0, 1), None),
        (with(IS_RIGHT, 0x83), None),
    ];
    for knows in [false, true] {
        let mut card = Card::new();
        card.offered |= if knows { FEATURE_KNOWS } else { 0 };
        let (card, driver) = start(card);
        let mut driver = driver.unwrap();
        let mut refused = 0;
        for (header, expected) in said {
            assert!(card.borrow_mut().receive_with(header, &[1; 60]));
            let expected = expected.filter(|checksum| knows || *checksum == Checksum::Unknown);
            let frame = driver.next_frame();
            assert_eq!(frame.as_ref().map(|frame| frame.checksum), expected, "{header:?}");
            refused += u32::from(frame.is_none());
            frame.into_iter().for_each(|frame| driver.release(frame));
        }
        assert_eq!(driver.nonsense(), refused);
        driver.flush();
        assert!((0..queue::BUFFERS).all(|_| card.borrow_mut().receive(&[1; 60])), "no buffer is lost");
    }
}

#[test]
fn a_driver_that_comes_back_resets_the_card() {
    let (card, driver) = start(Card::new());
    drop(driver);
    assert!(card.borrow_mut().receive(&frame(1)));
    let mut driver = NetCard::start(Card::place(&card, MESSAGE)).unwrap();
    assert!(take_all(&mut driver).is_empty());
    assert!(card.borrow_mut().receive(&frame(2)));
    assert_eq!(take_all(&mut driver), [frame(2)]);
}

proptest! {
    /// A card that writes whatever it likes into all of the shared memory: the driver neither fails nor
    /// hands out what cannot be a frame.
    #[test]
    fn any_memory_is_borne(
        writes in prop::collection::vec((0..4160_usize, any::<u16>(), any::<bool>()), 1..60),
        event_index in any::<bool>(),
        offers in 0..4_u64,
    ) {
        let mut card = Card::new();
        card.offered |= offers;
        card.offered &= if event_index { !0 } else { !feature::EVENT_INDEX };
        let (card, driver) = start(card);
        let mut driver = driver.unwrap();
        let memory = card.borrow().memory;
        for (at, value, in_transmit) in writes {
            memory.store16((at & !1) + if in_transmit { queue::BYTES } else { 0 }, value);
            for _ in 0..3 {
                let Some(frame) = driver.next_frame() else { break };
                prop_assert!((14..=MAX_FRAME_BYTES).contains(&frame.bytes));
                if let Checksum::Open { start, offset } = frame.checksum {
                    prop_assert!(offers & FEATURE_KNOWS != 0);
                    prop_assert!(usize::from(start) + usize::from(offset) + 2 <= frame.bytes);
                }
                let mut bytes = vec![0; frame.bytes];
                prop_assert!(driver.read(&frame, &mut bytes));
                driver.release(frame);
            }
            let _ = driver.send(&[1; 60], Checksum::Unknown);
            driver.flush();
            let _ = (driver.prepare_wait(), driver.prepare_wait_for_room());
        }
    }
}
