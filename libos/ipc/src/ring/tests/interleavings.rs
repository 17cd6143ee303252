//! Two threads under loom, which goes through the interleavings and the stale reads that the memory model
//! allows. A lost wake-up shows as a deadlock, a byte shown too early as a wrong value.

use core::sync::atomic::Ordering;
use std::{panic::catch_unwind, sync::Arc, vec::Vec};

use loom::sync::{
    Notify,
    atomic::{AtomicU8, AtomicU32},
};

use super::super::{Bell, Consumer, Control, Producer, RingError, RingMemory, Word};

/// A word that loom watches; `FENCED` false leaves out the fences, to see that the model notices.
struct Watched<const FENCED: bool>(AtomicU32);

impl<const FENCED: bool> Word for Watched<FENCED> {
    fn load(&self, ordering: Ordering) -> u32 {
        self.0.load(ordering)
    }

    fn store(&self, value: u32, ordering: Ordering) {
        self.0.store(value, ordering);
    }

    fn fence(ordering: Ordering) {
        if FENCED {
            loom::sync::atomic::fence(ordering);
        }
    }
}

struct WatchedRing<const FENCED: bool> {
    words: [Watched<FENCED>; 4],
    bytes: Vec<AtomicU8>,
    to_consumer: Notify,
    to_producer: Notify,
}

impl<const FENCED: bool> WatchedRing<FENCED> {
    fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            words: core::array::from_fn(|_| Watched(AtomicU32::new(0))),
            bytes: (0..capacity).map(|_| AtomicU8::new(0)).collect(),
            to_consumer: Notify::new(),
            to_producer: Notify::new(),
        })
    }
}

impl<const FENCED: bool> RingMemory for Arc<WatchedRing<FENCED>> {
    type Word = Watched<FENCED>;

    fn word(&self, word: Control) -> &Self::Word {
        &self.words[word as usize]
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }

    fn read(&self, at: usize, to: &mut [u8]) {
        to.iter_mut().zip(&self.bytes[at..]).for_each(|(to, from)| *to = from.load(Ordering::Relaxed));
    }

    fn write(&self, at: usize, from: &[u8]) {
        from.iter().zip(&self.bytes[at..]).for_each(|(from, to)| to.store(*from, Ordering::Relaxed));
    }
}

/// The bell of one side.
struct Side<const FENCED: bool> {
    ring: Arc<WatchedRing<FENCED>>,
    producer: bool,
}

impl<const FENCED: bool> Bell for Side<FENCED> {
    fn signal(&self) {
        if self.producer { self.ring.to_consumer.notify() } else { self.ring.to_producer.notify() }
    }

    fn wait(&self) -> Result<(), RingError> {
        if self.producer {
            self.ring.to_producer.wait()
        } else {
            self.ring.to_consumer.wait()
        }
        Ok(())
    }
}

/// Sends bytes 1 to `count` through a ring, each side waiting for the other where it must.
fn transfer<const FENCED: bool>(capacity: usize, count: u8) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.log = false;
    builder.check(move || {
        let ring = WatchedRing::<FENCED>::new(capacity);
        let sender = Side { ring: ring.clone(), producer: true };
        let mut producer = Producer::new(ring.clone(), sender);
        let mut consumer = Consumer::new(ring.clone(), Side { ring, producer: false });
        let thread = loom::thread::spawn(move || {
            for byte in 1..=count {
                producer.wait_for_room().unwrap();
                producer.try_write(&[byte]).unwrap();
            }
        });
        for byte in 1..=count {
            let mut got = [0];
            consumer.wait_for_bytes().unwrap();
            consumer.try_read(&mut got).unwrap();
            assert_eq!(got[0], byte);
        }
        thread.join().unwrap();
    });
}

#[test]
fn every_byte_arrives_whatever_the_interleaving() {
    transfer::<true>(1, 2);
    transfer::<true>(2, 3);
}

#[test]
fn the_model_notices_a_missing_fence() {
    assert!(catch_unwind(|| transfer::<false>(1, 2)).is_err());
}
