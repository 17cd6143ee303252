//! One thread, random operations: the ring behaves as a queue does.

use core::sync::atomic::Ordering;
use std::{collections::VecDeque, vec, vec::Vec};

use embedded_io::{Read, Write};
use proptest::{collection::vec as some, prelude::*};

use super::{
    super::{Consumer, Control, Producer, RecordConsumer, RecordProducer, RingError, RingMemory},
    Counter, HeapRing,
};

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<u8>),
    Read(usize),
    NewProducer,
    NewConsumer,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => some(any::<u8>(), 0..20).prop_map(Step::Write),
        8 => (0..20_usize).prop_map(Step::Read),
        1 => Just(Step::NewProducer),
        1 => Just(Step::NewConsumer),
    ]
}

proptest! {
    #[test]
    fn bytes_come_out_as_they_went_in(capacity in 1..17_usize, steps in some(any_step(), 0..200)) {
        let (ring, bell) = (HeapRing::new(capacity), Counter::default());
        let (mut producer, mut consumer) = (Producer::new(&ring, &bell), Consumer::new(&ring, &bell));
        let mut queue = VecDeque::<u8>::new();
        for step in steps {
            match step {
                Step::Write(bytes) => {
                    let count = producer.try_write(&bytes).unwrap();
                    prop_assert_eq!(count, bytes.len().min(capacity - queue.len()));
                    queue.extend(&bytes[..count]);
                }
                Step::Read(most) => {
                    let mut bytes = vec![0; most];
                    let count = consumer.try_read(&mut bytes).unwrap();
                    prop_assert_eq!(count, most.min(queue.len()));
                    prop_assert!(queue.drain(..count).eq(bytes[..count].iter().copied()));
                }
                Step::NewProducer => producer = Producer::new(&ring, &bell),
                Step::NewConsumer => consumer = Consumer::new(&ring, &bell),
            }
            prop_assert_eq!(producer.room().unwrap(), capacity - queue.len());
            prop_assert_eq!(consumer.available().unwrap(), queue.len());
        }
    }

    #[test]
    fn records_come_out_as_they_went_in(capacity in 1..40_usize, steps in some(any_step(), 0..200)) {
        let (ring, bell) = (HeapRing::new(capacity), Counter::default());
        let (mut producer, mut consumer) =
            (RecordProducer::new(&ring, &bell), RecordConsumer::new(&ring, &bell));
        let mut queue = VecDeque::<Vec<u8>>::new();
        for step in steps {
            match step {
                Step::Write(record) => {
                    let used: usize = queue.iter().map(|record| record.len() + 4).sum();
                    let fits = used + 4 + record.len() <= capacity;
                    prop_assert_eq!(producer.try_write(&record), Ok(fits));
                    if fits {
                        queue.push_back(record);
                    }
                }
                Step::Read(most) => {
                    let mut bytes = vec![0; most];
                    let outcome = consumer.try_read(&mut bytes);
                    match queue.front() {
                        None => prop_assert_eq!(outcome, Ok(None)),
                        Some(record) if record.len() > most => {
                            prop_assert_eq!(outcome, Err(RingError::TooLong(record.len())));
                        }
                        Some(record) => {
                            prop_assert_eq!(outcome, Ok(Some(record.len())));
                            prop_assert_eq!(&bytes[..record.len()], &record[..]);
                            queue.pop_front();
                        }
                    }
                }
                Step::NewProducer => producer = RecordProducer::new(&ring, &bell),
                Step::NewConsumer => {
                    prop_assert_eq!(consumer.skip(), Ok(queue.pop_front().is_some()));
                    consumer = RecordConsumer::new(&ring, &bell);
                }
            }
        }
    }
}

#[test]
fn only_a_waiting_side_is_signalled() {
    let (ring, to_consumer, to_producer) = (HeapRing::new(4), Counter::default(), Counter::default());
    let mut producer = Producer::new(&ring, &to_consumer);
    let mut consumer = Consumer::new(&ring, &to_producer);

    producer.try_write(b"ab").unwrap();
    assert_eq!(to_consumer.0.get(), 0, "nobody waits");
    assert!(!consumer.prepare_wait(0).unwrap(), "there is something to read");
    consumer.try_read(&mut [0; 4]).unwrap();
    assert!(consumer.prepare_wait(0).unwrap());
    producer.try_write(b"c").unwrap();
    producer.try_write(b"d").unwrap();
    assert_eq!(to_consumer.0.get(), 1, "one signal a sleep");

    producer.try_write(b"ef").unwrap();
    assert!(producer.prepare_wait(0).unwrap(), "the ring is full");
    consumer.try_read(&mut [0; 1]).unwrap();
    consumer.try_read(&mut [0; 1]).unwrap();
    assert_eq!(to_producer.0.get(), 1);
}

#[test]
fn a_restarted_ring_is_empty_for_the_next_consumer_whatever_the_last_left() {
    for nonsense in [0, 3, 7, 8, 100, u32::MAX] {
        let (ring, bell) = (HeapRing::new(4), Counter::default());
        let mut producer = Producer::new(&ring, &bell);
        producer.try_write(b"abc").unwrap();
        ring.word(Control::Consumed).store(nonsense, Ordering::Relaxed);
        producer.restart();
        let mut consumer = Consumer::new(&ring, &bell);
        assert_eq!(consumer.available(), Ok(0), "{nonsense}");
        assert_eq!(producer.try_write(b"wxyz"), Ok(4));
        let mut bytes = [0; 4];
        assert_eq!(consumer.try_read(&mut bytes), Ok(4));
        assert_eq!(&bytes, b"wxyz");
    }
}

#[test]
fn streams_report_a_peer_that_is_gone() {
    let (ring, bell) = (HeapRing::new(2), Counter::default());
    let (mut producer, mut consumer) = (Producer::new(&ring, &bell), Consumer::new(&ring, &bell));
    assert_eq!(producer.write(b"abc"), Ok(2));
    assert_eq!(producer.write(b"c"), Err(RingError::PeerFailed));
    let mut bytes = [0; 3];
    assert_eq!(consumer.read(&mut bytes), Ok(2));
    assert_eq!(&bytes[..2], b"ab");
    assert_eq!(consumer.read(&mut bytes), Err(RingError::PeerFailed));
    assert_eq!(consumer.read(&mut []), Ok(0));
}
