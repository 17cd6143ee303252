//! A small executor: futures that wait for events and for points in time.
//!
//! One thread, few tasks: whenever something arrives, every task is polled. What a task waits for it says
//! again at each poll, so there is nothing to keep. All wakers are one: to wake means that something has
//! changed that another task may wait for, so all are polled once more before the domain sleeps.

use alloc::{boxed::Box, vec::Vec};
use core::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::{Context, Poll},
};

use cloison_sys::{Instant, wait};
pub use embassy_futures::{
    join::join,
    select::{Either, select},
    yield_now,
};

mod waker;

/// Events that have arrived and that no task has taken yet.
static ARRIVED: AtomicU64 = AtomicU64::new(0);
/// Events that some task waits for.
static WANTED: AtomicU64 = AtomicU64::new(0);
/// The earliest point in time that some task waits for.
static DEADLINE: AtomicU64 = AtomicU64::new(u64::MAX);
/// Whether some task has to be polled once more before the domain sleeps.
static AGAIN: AtomicBool = AtomicBool::new(false);

/// Rounds that tasks may keep each other awake for until events are looked for nevertheless. A look is a
/// system call, so not each round has one.
const ROUNDS_WITHOUT_LOOK: u32 = 8;

/// Runs a future to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = waker::new();
    let mut context = Context::from_waker(&waker);
    let mut rounds = 0;
    loop {
        WANTED.store(0, Ordering::Relaxed);
        DEADLINE.store(u64::MAX, Ordering::Relaxed);
        AGAIN.store(false, Ordering::Relaxed);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        let awake = AGAIN.load(Ordering::Relaxed);
        rounds = if awake { rounds + 1 } else { 0 };
        if !awake || rounds % ROUNDS_WITHOUT_LOOK == 0 {
            let deadline = if awake { Instant::PAST } else { Instant(DEADLINE.load(Ordering::Relaxed)) };
            let events = wait(WANTED.load(Ordering::Relaxed), deadline);
            change(&ARRIVED, |arrived| arrived | events);
        }
    }
}

/// Waits for one of the events in `mask`. Returns those that have arrived.
pub fn event(mask: u64) -> impl Future<Output = u64> {
    poll_fn(move |_| match take(mask) {
        0 => {
            want(mask, Instant::NEVER);
            Poll::Pending
        }
        arrived => Poll::Ready(arrived),
    })
}

/// Takes those of the events in `mask` that have arrived. For futures that wait for more than events.
#[must_use]
pub fn take(mask: u64) -> u64 {
    change(&ARRIVED, |arrived| arrived & !mask) & mask
}

/// Has all tasks polled when one of the events in `mask` arrives, and at an instant. Holds for this round: a
/// future that goes on waiting says so at each poll.
pub fn want(mask: u64, until: Instant) {
    change(&WANTED, |wanted| wanted | mask);
    change(&DEADLINE, |deadline| deadline.min(until.0));
}

/// Changes a word, and returns what it was. The domain has one thread: nobody can write between the two steps, for which a
/// single instruction would be slower.
fn change(word: &AtomicU64, to: impl FnOnce(u64) -> u64) -> u64 {
    let before = word.load(Ordering::Relaxed);
    word.store(to(before), Ordering::Relaxed);
    before
}

/// Waits for a point in time.
pub fn until(instant: Instant) -> impl Future<Output = ()> {
    poll_fn(move |_| {
        if Instant::now() >= instant {
            return Poll::Ready(());
        }
        want(0, instant);
        Poll::Pending
    })
}

/// Runs futures until all have ended. Each gets a place in the heap.
pub async fn join_all<F: Future<Output = ()>>(futures: impl IntoIterator<Item = F>) {
    let mut running: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    poll_fn(move |context| {
        running.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await
}
