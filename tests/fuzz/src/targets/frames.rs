//! A port whose other side writes what it likes: each operation ends in an error or in a frame, and touches
//! nothing outside of the ring.

use std::{
    rc::Rc,
    sync::atomic::{AtomicU32, Ordering},
};

use cloison_ipc::{
    frames::{Control, FrameMemory, FrameReceiver, FrameSender},
    ring::{Bell, RingError},
};

/// Bytes of the ring: small, so that its end is near.
const RING_BYTES: usize = 256;
/// Operations on one port, at most.
const STEPS: usize = 64;

/// The input: the other side's ring, then steps of five bytes each: which word it writes, or what this side
/// does next, and a number for it.
pub fn run(input: &[u8]) {
    let (ring, steps) = input.split_at(input.len().min(RING_BYTES));
    let mut bytes = [0; RING_BYTES];
    bytes[..ring.len()].copy_from_slice(ring);
    let port = Port(Rc::new(Parts { own: Default::default(), other: Default::default(), bytes }));
    let mut sender = FrameSender::new(port.clone(), vec![0; RING_BYTES], Silent);
    let mut receiver = FrameReceiver::new(port.clone(), Silent);
    for step in steps.chunks_exact(5).take(STEPS) {
        let number = u32::from_le_bytes([step[1], step[2], step[3], step[4]]);
        let length = number as usize % (2 * RING_BYTES);
        // Each of these may be refused; what counts is that it comes back.
        match step[0] % 8 {
            word @ 0..4 => port.0.other[usize::from(word)].store(number, Ordering::Relaxed),
            4 => receive(&mut receiver, length),
            5 => send(&mut sender, length),
            6 => drop((receiver.prepare_wait(), sender.prepare_wait(length))),
            _ => {
                receiver.resync();
                sender.resync();
            }
        }
    }
}

fn receive(receiver: &mut FrameReceiver<Port, Silent>, extra: usize) {
    let Ok(Some(frame)) = receiver.next() else { return };
    assert!(frame.bytes <= RING_BYTES, "no frame is longer than the ring");
    assert!(receiver.read(0, &mut vec![0; frame.bytes]), "a frame can be read");
    assert!(!receiver.read(extra, &mut vec![0; frame.bytes + 1]), "what lies behind it cannot");
    receiver.release();
    receiver.flush();
}

fn send(sender: &mut FrameSender<Port, Silent>, length: usize) {
    let Ok(Some(place)) = sender.reserve(length) else { return };
    place.fill(0xaa);
    sender.publish(length, 0);
    sender.flush();
}

/// The memory of a port, as one side sees it.
#[derive(Clone)]
struct Port(Rc<Parts>);

struct Parts {
    own: [AtomicU32; 4],
    other: [AtomicU32; 4],
    bytes: [u8; RING_BYTES],
}

impl FrameMemory for Port {
    type Word = AtomicU32;
    type Data = Vec<u8>;

    fn ring_bytes(&self) -> usize {
        RING_BYTES
    }

    fn own(&self, word: Control) -> &AtomicU32 {
        &self.0.own[word as usize]
    }

    fn other(&self, word: Control, ordering: Ordering) -> u32 {
        self.0.other[word as usize].load(ordering)
    }

    fn read_words<const COUNT: usize>(&self, at: usize) -> Option<[u64; COUNT]> {
        let words = self.0.bytes[at..at + COUNT * 8].as_chunks().0;
        Some(core::array::from_fn(|index| u64::from_le_bytes(words[index])))
    }

    fn read(&self, at: usize, to: &mut [u8]) -> bool {
        to.copy_from_slice(&self.0.bytes[at..at + to.len()]);
        true
    }

    fn bytes<'a>(&self, data: &'a mut Vec<u8>, at: usize, bytes: usize) -> Option<&'a mut [u8]> {
        Some(&mut data[at..at + bytes])
    }

    fn put_header(&self, data: &mut Vec<u8>, at: usize, header: u64) {
        data[at..at + 8].copy_from_slice(&header.to_le_bytes());
    }

    fn copy(&self, at: usize, data: &mut Vec<u8>, to_at: usize, bytes: usize) -> bool {
        data[to_at..to_at + bytes].copy_from_slice(&self.0.bytes[at..at + bytes]);
        true
    }
}

/// Nobody listens.
struct Silent;

impl Bell for Silent {
    fn signal(&self) {}

    fn wait(&self) -> Result<(), RingError> {
        Err(RingError::PeerFailed)
    }
}
