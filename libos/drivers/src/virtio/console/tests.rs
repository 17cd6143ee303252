use std::{cell::RefCell, rc::Rc, vec, vec::Vec};

use cloison_sys::InterruptMessage;
use proptest::prelude::*;

use super::{
    super::net::simulated::{Card, Part},
    *,
};

type Shared = Rc<RefCell<Card>>;

/// A console and its driver. It has the registers and the second queue of a network card.
fn start() -> (Shared, Output<Part>) {
    let card = Card::new();
    card.page.set(2, &[0x43, 0x10]);
    let card = card.shared();
    let message = InterruptMessage { address: 0xfee0_0000, data: 0x38 };
    let output = Output::start(Card::place(&card, Interrupt::Message(message))).unwrap();
    (card, output)
}

/// What the console writes now.
fn written(card: &Shared) -> Vec<u8> {
    let mut card = card.borrow_mut();
    let mut all = Vec::new();
    while let Some((buffer, place, bytes)) = card.next_buffer(usize::from(TRANSMIT)) {
        let mut part = vec![0; bytes];
        assert!(card.memory.read(place, &mut part));
        all.extend(part);
        card.finish(usize::from(TRANSMIT), buffer.into(), 0);
    }
    all
}

#[test]
fn bytes_come_out_when_they_are_flushed() {
    let (card, mut output) = start();
    assert_eq!((output.write(b"hel"), output.write(b"lo")), (3, 2));
    assert_eq!(written(&card), b"");
    output.flush();
    assert_eq!(written(&card), b"hello");
}

#[test]
fn there_is_an_interrupt_when_there_is_room_again() {
    let (card, mut output) = start();
    let all = usize::from(queue::BUFFERS) * BUFFER_BYTES;
    assert_eq!(output.write(&vec![7; all + 10]), all);
    output.flush();
    assert_eq!(output.write(&[7]), 0);
    assert!(output.prepare_wait());
    let before = card.borrow().interrupts;
    assert_eq!(written(&card).len(), all);
    assert_eq!(card.borrow().interrupts, before + 1);
    assert!(!output.prepare_wait());
    assert_eq!(output.write(&vec![7; all]), all);
}

proptest! {
    #[test]
    fn bytes_come_out_as_they_went_in(
        writes in prop::collection::vec((0..6000_usize, any::<bool>(), any::<bool>()), 0..60),
    ) {
        let (card, mut output) = start();
        let (mut expected, mut came) = (Vec::new(), Vec::new());
        for (bytes, flushes, comes) in writes {
            let text: Vec<u8> = (0..bytes).map(|at| (at * 7 + bytes) as u8).collect();
            let count = output.write(&text);
            expected.extend(&text[..count]);
            if flushes {
                output.flush();
            }
            if comes {
                came.extend(written(&card));
            }
        }
        output.flush();
        came.extend(written(&card));
        prop_assert_eq!(came, expected);
        prop_assert_eq!(output.write(&[1; 6000]), 6000, "there is room");
    }
}
