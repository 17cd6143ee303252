//! The rings of a port against a model, against a hostile peer, and under the model checker.

mod ends;
mod hostile;
mod interleavings;
mod model;
mod restart;

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::{rc::Rc, vec, vec::Vec};

use super::{Control, FrameMemory, FrameReceiver, FrameSender, START_BYTES, UNIT};
use crate::ring::{Bell, Keep, RingError, Word};

/// A word of eight bytes, as `Word` is one of four.
pub(super) trait Cell: 'static {
    fn new(value: u64) -> Self;
    fn get(&self) -> u64;
    fn set(&self, value: u64);
}

/// The memory of a port. A test that runs in threads has it in an `Arc`, with words that loom watches.
pub(super) struct Port<W, C> {
    pub(super) words: [[W; 4]; 2],
    pub(super) halves: [Vec<C>; 2],
}

impl<W, C: Cell> Port<W, C> {
    pub(super) fn new(bytes: usize, word: impl Fn() -> W) -> Self {
        Self {
            words: core::array::from_fn(|_| core::array::from_fn(|_| word())),
            halves: core::array::from_fn(|_| (0..bytes / UNIT).map(|_| C::new(0)).collect()),
        }
    }
}

/// What one side sees of a port: `P` leads to it.
pub(super) struct Side<P> {
    port: P,
    own: usize,
}

/// Frames that are being filled: `put_header` shows them to the other side, as memory that is really shared
/// would have done while they were written.
pub(super) struct Draft(Vec<u8>);

impl<W: Word, C: Cell, P: core::ops::Deref<Target = Port<W, C>>> FrameMemory for Side<P> {
    type Word = W;
    type Data = Draft;

    fn ring_bytes(&self) -> usize {
        self.port.halves[0].len() * UNIT
    }

    fn own(&self, word: Control) -> &W {
        &self.port.words[self.own][word as usize]
    }

    fn other(&self, word: Control, ordering: Ordering) -> u32 {
        self.port.words[1 - self.own][word as usize].load(ordering)
    }

    fn read_words<const COUNT: usize>(&self, at: usize) -> Option<[u64; COUNT]> {
        assert!(at.is_multiple_of(UNIT));
        let words = &self.port.halves[1 - self.own][at / UNIT..][..COUNT];
        Some(core::array::from_fn(|index| words[index].get()))
    }

    fn read(&self, at: usize, to: &mut [u8]) -> bool {
        let half = &self.port.halves[1 - self.own];
        assert!(at + to.len() <= half.len() * UNIT, "{} bytes at {at} lie outside of the ring", to.len());
        for (index, byte) in to.iter_mut().enumerate() {
            *byte = half[(at + index) / UNIT].get().to_le_bytes()[(at + index) % UNIT];
        }
        true
    }

    fn bytes<'a>(&self, data: &'a mut Draft, at: usize, bytes: usize) -> Option<&'a mut [u8]> {
        Some(&mut data.0[at..at + bytes])
    }

    fn put_header(&self, data: &mut Draft, at: usize, header: u64) {
        let bytes = if header as u32 == super::SKIP { 0 } else { header as u32 as usize };
        let half = &self.port.halves[self.own][at / UNIT..];
        half[0].set(header);
        for (index, chunk) in data.0[at + UNIT..at + UNIT + bytes].chunks(UNIT).enumerate() {
            let mut word = [0; UNIT];
            word[..chunk.len()].copy_from_slice(chunk);
            half[1 + index].set(u64::from_le_bytes(word));
        }
    }

    fn copy(&self, at: usize, data: &mut Draft, to_at: usize, bytes: usize) -> bool {
        self.read(at, &mut data.0[to_at..to_at + bytes])
    }
}

impl Cell for AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }

    fn get(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }

    fn set(&self, value: u64) {
        self.store(value, Ordering::Relaxed);
    }
}

/// Counts signals; never has anything to wait for.
#[derive(Clone, Default)]
pub(super) struct Counter(Rc<core::cell::Cell<usize>>);

impl Counter {
    pub(super) fn get(&self) -> usize {
        self.0.get()
    }
}

impl Bell for Counter {
    fn signal(&self) {
        self.0.set(self.0.get() + 1);
    }

    fn wait(&self) -> Result<(), RingError> {
        Err(RingError::PeerFailed)
    }
}

/// A signal that is counted when it is dropped.
pub(super) struct Uncounted(Counter);

impl Drop for Uncounted {
    fn drop(&mut self) {
        self.0.signal();
    }
}

impl Keep for Counter {
    type Kept = Uncounted;

    fn keep(&self) -> Option<Uncounted> {
        Some(Uncounted(self.clone()))
    }
}

type HeapPort = Rc<Port<AtomicU32, AtomicU64>>;
type Sender = FrameSender<Side<HeapPort>, Counter>;
type Receiver = FrameReceiver<Side<HeapPort>, Counter>;

/// A port on the heap of the test.
fn port(bytes: usize) -> HeapPort {
    Rc::new(Port::new(bytes, AtomicU32::default))
}

fn sender(port: &HeapPort, own: usize, bell: &Counter) -> Sender {
    let draft = Draft(vec![0; port.halves[0].len() * UNIT]);
    FrameSender::new(Side { port: port.clone(), own }, draft, bell.clone())
}

fn receiver(port: &HeapPort, own: usize, bell: &Counter) -> Receiver {
    FrameReceiver::new(Side { port: port.clone(), own }, bell.clone())
}

/// Sends a frame if there is room.
fn send(sender: &mut Sender, frame: &[u8], tag: u32) -> Result<bool, RingError> {
    let Some(place) = sender.reserve(frame.len())? else { return Ok(false) };
    place.copy_from_slice(frame);
    sender.publish(frame.len(), tag);
    Ok(true)
}

/// Receives a frame if there is one.
fn receive(receiver: &mut Receiver) -> Result<Option<(Vec<u8>, u32)>, RingError> {
    let Some(frame) = receiver.next()? else { return Ok(None) };
    let mut bytes = vec![0; frame.bytes];
    assert!(receiver.read(0, &mut bytes));
    let mut start = bytes.clone();
    start.resize(START_BYTES, 0);
    assert_eq!(receiver.start()[..], start);
    assert!(!receiver.read(1, &mut bytes) || bytes.is_empty());
    receiver.release();
    Ok(Some((bytes, frame.tag)))
}
