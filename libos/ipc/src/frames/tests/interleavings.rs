//! Two threads under loom, which goes through the interleavings and the stale reads that the memory model
//! allows. A lost wake-up shows as a deadlock, a frame shown too early as a wrong byte.

use core::sync::atomic::Ordering;
use std::{panic::catch_unwind, sync::Arc, vec};

use loom::sync::{
    Notify,
    atomic::{AtomicU32, AtomicU64},
};

use super::{super::UNIT, Cell, Draft, FrameReceiver, FrameSender, Port, Side};
use crate::ring::{Bell, Keep, RingError, Word};

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

/// The bells of both sides; a side waits for its own and rings the other's.
#[derive(Clone)]
struct Bells {
    bells: Arc<[Notify; 2]>,
    own: usize,
}

/// A bell that is rung when this is dropped.
struct Kept(Bells);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.signal();
    }
}

impl Keep for Bells {
    type Kept = Kept;

    fn keep(&self) -> Option<Kept> {
        Some(Kept(self.clone()))
    }
}

impl Bell for Bells {
    fn signal(&self) {
        self.bells[1 - self.own].notify();
    }

    fn wait(&self) -> Result<(), RingError> {
        self.bells[self.own].wait();
        Ok(())
    }
}

/// What goes through a ring of a given length: how many frames, how long, and after how many they are flushed.
#[derive(Clone, Copy)]
struct Load {
    ring: usize,
    frames: u8,
    bytes: usize,
    batch: u8,
    /// Whether the sender keeps its signals for the wait that comes next.
    keeps: bool,
}

/// Sends frames through a ring, each side waiting for the other where it must.
fn transfer<const FENCED: bool>(load: Load) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.log = false;
    builder.check(move || {
        let port = Arc::new(Port::new(load.ring, || Watched::<FENCED>(AtomicU32::new(0))));
        let bells = Arc::new([Notify::new(), Notify::new()]);
        let side = |own| (Side { port: port.clone(), own }, Bells { bells: bells.clone(), own });
        let ((memory, bell), waiting) = (side(0), side(0).1);
        let input = FrameSender::new(memory, Draft(vec![0; load.ring]), bell);
        let thread = loom::thread::spawn(move || send_all(input, &waiting, load));
        let ((memory, bell), waiting) = (side(1), side(1).1);
        receive_all(FrameReceiver::new(memory, bell), &waiting, load);
        thread.join().unwrap();
    });
}

type WatchedSide<const FENCED: bool> = Side<Arc<Port<Watched<FENCED>, AtomicU64>>>;

fn send_all<const FENCED: bool>(
    mut input: FrameSender<WatchedSide<FENCED>, Bells>,
    bell: &Bells,
    load: Load,
) {
    let mut kept = None;
    for number in 1..=load.frames {
        while input.reserve(load.bytes).unwrap().is_none() {
            tell(&mut input, &mut kept, load);
            if input.prepare_wait(load.bytes).unwrap() {
                kept = None;
                bell.wait().unwrap();
            }
        }
        input.reserve(load.bytes).unwrap().unwrap().fill(number);
        input.publish(load.bytes, 0);
        if number % load.batch == 0 {
            tell(&mut input, &mut kept, load);
        }
    }
    tell(&mut input, &mut kept, load);
}

/// Signals, or keeps the signal beside one that is kept already.
fn tell<const FENCED: bool>(
    input: &mut FrameSender<WatchedSide<FENCED>, Bells>,
    kept: &mut Option<Kept>,
    load: Load,
) {
    if load.keeps {
        *kept = input.flush_keeping().or_else(|| kept.take());
    } else {
        input.flush();
    }
}

fn receive_all<const FENCED: bool>(
    mut output: FrameReceiver<WatchedSide<FENCED>, Bells>,
    bell: &Bells,
    load: Load,
) {
    for number in 1..=load.frames {
        while output.next().unwrap().is_none() {
            output.flush();
            if output.prepare_wait().unwrap() {
                bell.wait().unwrap();
            }
        }
        let mut last = [0];
        assert!(output.read(load.bytes - 1, &mut last));
        assert_eq!(last[0], number);
        output.release();
        if number % load.batch == 0 {
            output.flush();
        }
    }
    output.flush();
}

#[test]
fn every_frame_arrives_whatever_the_interleaving() {
    let ring = 4 * UNIT;
    for keeps in [false, true] {
        transfer::<true>(Load { ring, frames: 3, bytes: UNIT, batch: 1, keeps });
        transfer::<true>(Load { ring, frames: 3, bytes: UNIT, batch: 2, keeps });
        // Three units each, so that the third one skips to the start.
        transfer::<true>(Load { ring: 8 * UNIT, frames: 3, bytes: 2 * UNIT, batch: 2, keeps });
    }
}

#[test]
fn the_model_notices_a_missing_fence() {
    let load = Load { ring: 4 * UNIT, frames: 3, bytes: UNIT, batch: 1, keeps: false };
    assert!(catch_unwind(|| transfer::<false>(load)).is_err());
}
