//! The peer writes what it likes, when it likes: each operation ends in an error or in bytes, never in an
//! access outside of the ring (the test memory panics on one).

use core::sync::atomic::Ordering;
use std::vec;

use proptest::{collection::vec as some, prelude::*};

use super::{
    super::{Consumer, Control, Producer, RecordConsumer, RecordProducer, RingError, RingMemory},
    Counter, HeapRing,
};

#[test]
fn positions_that_cannot_be_are_refused() {
    let bell = Counter::default();
    for produced in [5, 7, 8, 9, u32::MAX / 2, u32::MAX] {
        let ring = HeapRing::new(4);
        let mut consumer = Consumer::new(&ring, &bell);
        ring.word(Control::Produced).store(produced, Ordering::Relaxed);
        assert_eq!(consumer.try_read(&mut [0; 9]), Err(RingError::Corrupt), "produced {produced}");
    }
    for consumed in [1, 3, 8, 9, u32::MAX / 2, u32::MAX] {
        let ring = HeapRing::new(4);
        let mut producer = Producer::new(&ring, &bell);
        ring.word(Control::Consumed).store(consumed, Ordering::Relaxed);
        assert_eq!(producer.try_write(&[0; 9]), Err(RingError::Corrupt), "consumed {consumed}");
    }
}

#[test]
fn records_that_cannot_be_are_refused() {
    let bell = Counter::default();
    for (available, length) in [(1, 0), (3, 0), (4, 1), (8, 5), (8, u32::MAX), (8, u32::MAX - 3)] {
        let ring = HeapRing::new(8);
        let mut consumer = RecordConsumer::new(&ring, &bell);
        ring.write(0, &length.to_le_bytes());
        ring.word(Control::Produced).store(available, Ordering::Relaxed);
        assert_eq!(consumer.try_read(&mut [0; 64]), Err(RingError::Corrupt), "{length} in {available}");
        assert_eq!(consumer.skip(), Err(RingError::Corrupt), "{length} in {available}");
    }
}

proptest! {
    #[test]
    fn nothing_a_peer_writes_leads_out_of_the_ring(
        capacity in 1..12_usize,
        steps in some((0..4_usize, prop_oneof![0..30_u32, any::<u32>()], some(any::<u8>(), 1..12), 0..8_u8), 1..60),
    ) {
        let (ring, bell) = (HeapRing::new(capacity), Counter::default());
        let (mut producer, mut consumer) = (Producer::new(&ring, &bell), Consumer::new(&ring, &bell));
        let (mut records_in, mut records_out) =
            (RecordProducer::new(&ring, &bell), RecordConsumer::new(&ring, &bell));
        for (word, value, bytes, action) in steps {
            ring.word(Control::ALL[word]).store(value, Ordering::Relaxed);
            ring.write(0, &bytes[..bytes.len().min(capacity)]);
            let mut buffer = vec![0; value as usize % 40];
            match action {
                0 => drop(producer.try_write(&buffer)),
                1 => drop(consumer.try_read(&mut buffer)),
                2 => drop(records_in.try_write(&buffer)),
                3 => drop(records_out.try_read(&mut buffer)),
                4 => drop(records_out.skip()),
                5 => drop((producer.prepare_wait(0), consumer.prepare_wait(0))),
                6 => producer = Producer::new(&ring, &bell),
                _ => consumer = Consumer::new(&ring, &bell),
            }
        }
    }
}
