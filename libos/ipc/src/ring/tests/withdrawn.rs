//! Memory is withdrawn from either side, and comes back, at any time between two operations.

use core::sync::atomic::Ordering;
use std::{cell::Cell, collections::VecDeque, vec, vec::Vec};

use proptest::{collection::vec as some, prelude::*};

use super::{
    super::{Consumer, Control, Producer, RecordConsumer, RecordProducer, RingMemory},
    Counter, HeapRing,
};

/// A ring as one side sees it: the memory that both share, or, while that is withdrawn, memory of its own.
struct Withdrawable<'a> {
    shared: &'a HeapRing,
    own: HeapRing,
    is_withdrawn: Cell<bool>,
    /// After how many copies the memory is withdrawn, or comes back.
    changes_after: Cell<Option<usize>>,
}

impl<'a> Withdrawable<'a> {
    fn new(shared: &'a HeapRing) -> Self {
        let own = HeapRing::new(shared.capacity());
        Self { shared, own, is_withdrawn: Cell::new(false), changes_after: Cell::new(None) }
    }

    fn seen(&self) -> &HeapRing {
        if self.is_withdrawn.get() { &self.own } else { self.shared }
    }

    fn change(&self) {
        self.is_withdrawn.set(!self.is_withdrawn.get());
    }

    fn copied(&self) {
        match self.changes_after.get() {
            Some(0) => {
                self.changes_after.set(None);
                self.change();
            }
            left => self.changes_after.set(left.map(|left| left - 1)),
        }
    }
}

impl RingMemory for Withdrawable<'_> {
    type Word = <HeapRing as RingMemory>::Word;

    fn word(&self, word: Control) -> &Self::Word {
        self.seen().word(word)
    }

    fn capacity(&self) -> usize {
        self.shared.capacity()
    }

    fn read(&self, at: usize, to: &mut [u8]) {
        self.seen().read(at, to);
        self.copied();
    }

    fn write(&self, at: usize, from: &[u8]) {
        self.seen().write(at, from);
        self.copied();
    }
}

proptest! {
    /// What is written while the memory is there arrives, whole and in order, once the reader has it; all else is lost.
    #[test]
    fn nothing_is_lost_but_what_is_written_meanwhile(
        capacity in 1..12_usize,
        steps in some((0..4_u8, some(any::<u8>(), 1..12)), 1..80),
    ) {
        let (ring, bell) = (HeapRing::new(capacity), Counter::default());
        let sides = [Withdrawable::new(&ring), Withdrawable::new(&ring)];
        let (mut producer, mut consumer) = (Producer::new(&sides[0], &bell), Consumer::new(&sides[1], &bell));
        let mut sent = VecDeque::new();
        for (action, bytes) in steps {
            let mut buffer = vec![0; bytes.len()];
            match action {
                0 => {
                    // What is not there is full at some time, and then takes nothing.
                    let count = producer.try_write(&bytes).unwrap();
                    if !sides[0].is_withdrawn.get() {
                        sent.extend(&bytes[..count]);
                    }
                }
                1 => {
                    let count = consumer.try_read(&mut buffer).unwrap();
                    let expected: Vec<_> = match sides[1].is_withdrawn.get() {
                        true => Vec::new(),
                        false => sent.drain(..sent.len().min(bytes.len())).collect(),
                    };
                    prop_assert_eq!(&buffer[..count], expected);
                }
                side => sides[usize::from(side - 2)].change(),
            }
        }
    }

    /// In the middle of an operation, too, no side ends where it has not been.
    #[test]
    fn a_position_is_never_carried_into_other_memory(
        capacity in 9..20_usize,
        first in 0..40_u32,
        records in any::<bool>(),
        changes_after in 0..3_usize,
    ) {
        let (ring, bell) = (HeapRing::new(capacity), Counter::default());
        // Elsewhere than in the memory of its own, where all is zero.
        let first = 1 + first % (2 * capacity as u32 - 1);
        let at = |side: &Withdrawable<'_>, word| side.shared.word(word).load(Ordering::Relaxed);
        for word in [Control::Produced, Control::Consumed] {
            ring.word(word).store(first, Ordering::Relaxed);
        }
        let side = Withdrawable::new(&ring);
        side.changes_after.set(Some(changes_after));
        let (count, word) = match records {
            true => (RecordProducer::new(&side, &bell).try_write(&[1; 4]).map(usize::from), Control::Produced),
            false => (Producer::new(&side, &bell).try_write(&[1; 4]), Control::Produced),
        };
        prop_assert!(count.is_ok());
        if side.is_withdrawn.get() {
            prop_assert_eq!(at(&side, word), first, "in the shared memory");
            prop_assert_eq!(side.own.word(word).load(Ordering::Relaxed), 0);
        }
        // The same for the reader: four bytes, or a record of none.
        side.is_withdrawn.set(false);
        ring.word(Control::Produced).store(first, Ordering::Relaxed);
        Producer::new(&ring, &bell).try_write(&[0; 4]).unwrap();
        side.changes_after.set(Some(changes_after));
        match records {
            true => drop(RecordConsumer::new(&side, &bell).try_read(&mut [])),
            false => drop(Consumer::new(&side, &bell).try_read(&mut [0; 4])),
        }
        if side.is_withdrawn.get() {
            prop_assert_eq!(at(&side, Control::Consumed), first);
            prop_assert_eq!(side.own.word(Control::Consumed).load(Ordering::Relaxed), 0);
        }
    }
}
