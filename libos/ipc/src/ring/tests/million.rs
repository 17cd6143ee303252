//! Two threads, a million records: each comes out whole, once, and in order, whether the ring is mostly full or mostly
//! empty.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{
    super::{RecordConsumer, RecordProducer},
    Counter, HeapRing,
};

const RECORDS: u64 = 1_000_000;
/// Room for seven records.
const CAPACITY: usize = 7 * 12;

/// Passes the records from one thread to another. Returns how often the producer found the ring full, and the consumer
/// found it empty.
fn pass(slow_side: Side) -> (usize, usize) {
    let ring = HeapRing::new(CAPACITY);
    let (full, empty) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let bell = Counter::default();
            let mut producer = RecordProducer::new(&ring, &bell);
            for number in 0..RECORDS {
                while !producer.try_write(&number.to_le_bytes()).unwrap() {
                    full.fetch_add(1, Ordering::Relaxed);
                    thread::yield_now();
                }
                slow_side.rest(Side::Producer, number);
            }
        });
        let bell = Counter::default();
        let mut consumer = RecordConsumer::new(&ring, &bell);
        for expected in 0..RECORDS {
            let mut record = [0; 8];
            while consumer.try_read(&mut record).unwrap().is_none() {
                empty.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
            }
            assert_eq!(u64::from_le_bytes(record), expected);
            slow_side.rest(Side::Consumer, expected);
        }
        let rest = consumer.try_read(&mut [0; 8]);
        assert_eq!(rest, Ok(None), "nothing comes twice");
    });
    (full.into_inner(), empty.into_inner())
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Producer,
    Consumer,
}

impl Side {
    /// The slow side lets the other one go first after every record of sixteen.
    fn rest(self, side: Self, number: u64) {
        if self == side && number.is_multiple_of(16) {
            thread::yield_now();
        }
    }
}

#[test]
fn a_million_records_through_a_ring_that_is_mostly_full() {
    let (full, _) = pass(Side::Consumer);
    assert!(full > 0, "the producer never had to wait");
}

#[test]
fn a_million_records_through_a_ring_that_is_mostly_empty() {
    let (_, empty) = pass(Side::Producer);
    assert!(empty > 0, "the consumer never had to wait");
}
