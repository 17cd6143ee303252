//! A disk that does what the driver asks, and one that does not.

use std::{cell::RefCell, rc::Rc, vec, vec::Vec};

use cloison_sys::InterruptMessage;
use proptest::prelude::*;

use super::{
    super::net::simulated::{Card, ChainPart, Part as Side},
    *,
};

type Shared = Rc<RefCell<Card>>;

const SECTORS: u64 = 1000;

/// A device with the registers and the first queue of a network card.
fn device(features: u64) -> Card {
    let mut card = Card::new();
    card.page.set(2, &[0x42, 0x10]);
    card.offered = card.offered >> 28 << 28 | features;
    card.config = SECTORS.to_le_bytes();
    card
}

fn start(card: Card) -> (Shared, Disk<Side>) {
    let card = card.shared();
    let message = InterruptMessage { address: 0xfee0_0000, data: 0x38 };
    let disk = Disk::start(Card::place(&card, Interrupt::Message(message))).unwrap();
    (card, disk)
}

fn up() -> (Shared, Disk<Side>) {
    start(device(FEATURE_FLUSH))
}

/// What the device has been asked: number, kind, sector, and where the data are and whether it writes them.
fn asked(card: &Shared) -> Option<(u16, u32, u64, Option<ChainPart>, usize)> {
    let mut card = card.borrow_mut();
    let (number, parts) = card.next_chain(0)?;
    let (header, status) = (parts[0], parts[parts.len() - 1]);
    assert_eq!((header.1, header.2, status.1, status.2), (16, false, 1, true));
    let data = (parts.len() == 3).then(|| parts[1]);
    assert!(parts.len() == 2 || parts.len() == 3);
    Some((number, card.memory.load32(header.0), card.memory.load64(header.0 + 8), data, status.0))
}

/// The device ends a request.
fn end(card: &Shared, number: u16, status_at: usize, status: Option<u8>) {
    let mut card = card.borrow_mut();
    if let Some(status) = status {
        assert!(card.memory.write(status_at, &[status]));
    }
    card.finish(0, number.into(), 1);
}

#[test]
fn a_disk_says_what_it_is() {
    let (card, disk) = up();
    assert!(card.borrow().accepted & FEATURE_FLUSH != 0);
    assert_eq!((disk.sectors(), disk.is_read_only(), disk.has_flush()), (SECTORS, false, true));
    let (_, disk) = start(device(FEATURE_READ_ONLY | 1 << 6 | 1 << 11));
    assert_eq!((disk.is_read_only(), disk.has_flush()), (true, false));
    assert_eq!(disk.features() & 0xffff, FEATURE_READ_ONLY, "nothing is agreed on that is not meant");
}

#[test]
fn sectors_come_and_go() {
    let (card, mut disk) = up();
    assert!(disk.fill(3, 512, &[7; 512]));
    assert!(disk.begin(3, Operation::Write, 42, 1024) && disk.begin(5, Operation::Read, 17, PLACE_BYTES));
    assert!(asked(&card).is_none(), "it does not see them yet");
    disk.publish();
    let (first, kind, sector, data, first_status) = asked(&card).unwrap();
    let (place, bytes, is_written) = data.unwrap();
    assert_eq!((kind, sector, bytes, is_written), (1, 42, 1024, false));
    let mut written = [0; 512];
    assert!(card.borrow().memory.read(place + 512, &mut written) && written == [7; 512]);
    let (second, kind, sector, data, second_status) = asked(&card).unwrap();
    let (place, bytes, is_written) = data.unwrap();
    assert_eq!((kind, sector, bytes, is_written), (0, 17, PLACE_BYTES, true));
    assert!(card.borrow().memory.write(place, &[9; PLACE_BYTES]));
    assert_eq!(disk.next_done(), None);
    end(&card, second, second_status, Some(0));
    end(&card, first, first_status, Some(0));
    assert_eq!(
        (disk.next_done(), disk.next_done(), disk.next_done()),
        (Some((5, true)), Some((3, true)), None)
    );
    let mut read = [0; 100];
    assert!(disk.read(5, PLACE_BYTES - 100, &mut read) && read == [9; 100]);
    assert!(!disk.read(5, PLACE_BYTES - 99, &mut read) && !disk.fill(3, PLACE_BYTES, &[0]));
}

#[test]
fn a_flush_has_no_data() {
    let (card, mut disk) = up();
    assert!(disk.begin(0, Operation::Flush, 0, 0));
    disk.publish();
    let (number, kind, sector, data, status) = asked(&card).unwrap();
    assert_eq!((kind, sector, data), (4, 0, None));
    end(&card, number, status, Some(0));
    assert_eq!(disk.next_done(), Some((0, true)));
}

#[test]
fn what_the_device_does_not_say_is_done_has_failed() {
    for (status, is_done) in
        [(Some(0), true), (Some(1), false), (Some(2), false), (Some(3), false), (None, false)]
    {
        let (card, mut disk) = up();
        assert!(disk.begin(0, Operation::Read, 0, 512));
        disk.publish();
        let (number, .., at) = asked(&card).unwrap();
        end(&card, number, at, status);
        assert_eq!(disk.next_done(), Some((0, is_done)), "{status:?}");
        // The next one does not have the answer of this.
        disk.release(0);
        assert!(disk.begin(0, Operation::Read, 0, 512));
        disk.publish();
        let (number, .., at) = asked(&card).unwrap();
        end(&card, number, at, None);
        assert_eq!(disk.next_done(), Some((0, false)));
    }
}

#[test]
fn a_place_has_one_request() {
    let (card, mut disk) = up();
    for place in 0..PLACES {
        assert_eq!(disk.free_place(), Some(place));
        assert!(disk.begin(place, Operation::Read, 0, 512));
        assert!(!disk.begin(place, Operation::Read, 0, 512));
    }
    assert_eq!(disk.free_place(), None);
    disk.publish();
    let (number, .., status) = asked(&card).unwrap();
    end(&card, number, status, Some(0));
    assert_eq!(disk.next_done(), Some((0, true)));
    assert_eq!(disk.free_place(), None, "it was not released");
    disk.release(0);
    assert_eq!(disk.free_place(), Some(0));
    for (place, bytes) in [(PLACES, 512), (0, 511), (0, PLACE_BYTES + 512)] {
        assert!(!disk.begin(place, Operation::Read, 0, bytes));
    }
}

#[test]
fn a_short_queue_has_fewer_places() {
    let mut card = device(0);
    card.sizes[0] = 8;
    let (_, mut disk) = start(card);
    assert!(disk.begin(0, Operation::Read, 0, 512) && disk.begin(1, Operation::Read, 0, 512));
    assert_eq!(disk.free_place(), None);
    assert!(!disk.begin(2, Operation::Read, 0, 512));
    let mut card = device(0);
    card.sizes[0] = 2;
    let place = Card::place(&card.shared(), Interrupt::Line);
    assert_eq!(Disk::start(place).map(drop).unwrap_err(), VirtioError::NoQueue(0));
}

#[test]
fn an_interrupt_comes_when_something_has_ended() {
    let (card, mut disk) = up();
    assert!(disk.begin(0, Operation::Read, 0, 512));
    disk.publish();
    assert!(disk.prepare_wait());
    let (number, .., status) = asked(&card).unwrap();
    end(&card, number, status, Some(0));
    assert_eq!(card.borrow().interrupts, 1);
    assert!(!disk.prepare_wait());
}

#[test]
fn another_device_is_none() {
    let card = device(0);
    card.page.set(2, &[0x41, 0x10]);
    let place = Card::place(&card.shared(), Interrupt::Line);
    assert_eq!(Disk::start(place).map(drop).unwrap_err(), VirtioError::AnotherDevice(0x1af4, 0x1041));
    let mut place = Card::place(&device(0).shared(), Interrupt::Line);
    place.memory = DmaMemory::simulated(&[], 0);
    assert_eq!(Disk::start(place).map(drop).unwrap_err(), VirtioError::MemoryTooSmall(DMA_BYTES));
}

proptest! {
    /// Whatever the device says it has used, only a request that it has ends, and each once.
    #[test]
    fn a_device_that_lies_ends_nothing_that_it_does_not_have(
        said in prop::collection::vec(prop_oneof![0..64_u32, any::<u32>()], 0..40),
    ) {
        let (card, mut disk) = up();
        for place in [1, 4, 15] {
            prop_assert!(disk.begin(place, Operation::Read, 0, 512));
        }
        disk.publish();
        let mut open = vec![1, 4, 15];
        let mut expected = Vec::new();
        for number in &said {
            card.borrow_mut().finish(0, *number, 0);
            if let Some(at) = open.iter().position(|place| *place * 3 == *number as usize) {
                expected.push((open.remove(at), false));
            }
        }
        let mut ended = Vec::new();
        for _ in 0..40 {
            ended.extend(disk.next_done());
        }
        prop_assert_eq!(&ended, &expected);
        prop_assert_eq!(disk.nonsense() as usize, said.len() - ended.len());
    }
}
