//! Rings against a model, against a hostile peer, and under the model checker.

mod hostile;
mod interleavings;
mod million;
mod model;
mod withdrawn;

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::{cell::Cell, vec::Vec};

use super::{Bell, Control, RingError, RingMemory};

/// A ring on the heap of the test.
pub(super) struct HeapRing {
    words: [AtomicU32; 4],
    bytes: Vec<AtomicU8>,
}

impl HeapRing {
    pub(super) fn new(capacity: usize) -> Self {
        Self { words: Default::default(), bytes: (0..capacity).map(|_| AtomicU8::new(0)).collect() }
    }
}

impl RingMemory for HeapRing {
    type Word = AtomicU32;

    fn word(&self, word: Control) -> &AtomicU32 {
        &self.words[word as usize]
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }

    fn read(&self, at: usize, to: &mut [u8]) {
        let from = &self.bytes[at..at + to.len()];
        to.iter_mut().zip(from).for_each(|(to, from)| *to = from.load(Ordering::Relaxed));
    }

    fn write(&self, at: usize, from: &[u8]) {
        let to = &self.bytes[at..at + from.len()];
        to.iter().zip(from).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
    }
}

/// Counts signals; never has anything to wait for.
#[derive(Default)]
pub(super) struct Counter(Cell<usize>);

impl Bell for &Counter {
    fn signal(&self) {
        self.0.set(self.0.get() + 1);
    }

    fn wait(&self) -> Result<(), RingError> {
        Err(RingError::PeerFailed)
    }
}
