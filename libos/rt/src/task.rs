//! A small executor: futures that wait for events and for points in time.
//!
//! One thread, few tasks: whenever something arrives, every task is polled. What a task waits for it says
//! anew at each poll, so there are no wakers to keep and nothing to allocate.

use core::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, Waker},
};

use cloison_sys::{Instant, wait};

/// Events that have arrived and that no task has taken yet.
static ARRIVED: AtomicU64 = AtomicU64::new(0);
/// Events that some task waits for.
static WANTED: AtomicU64 = AtomicU64::new(0);
/// The earliest point in time that some task waits for.
static DEADLINE: AtomicU64 = AtomicU64::new(u64::MAX);

/// Runs a future to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        WANTED.store(0, Ordering::Relaxed);
        DEADLINE.store(u64::MAX, Ordering::Relaxed);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        let events = wait(WANTED.load(Ordering::Relaxed), Instant(DEADLINE.load(Ordering::Relaxed)));
        ARRIVED.fetch_or(events, Ordering::Relaxed);
    }
}

/// Waits for one of the events in `mask`. Returns those that have arrived.
pub fn event(mask: u64) -> impl Future<Output = u64> {
    poll_fn(move |_| {
        let arrived = ARRIVED.fetch_and(!mask, Ordering::Relaxed) & mask;
        if arrived != 0 {
            return Poll::Ready(arrived);
        }
        WANTED.fetch_or(mask, Ordering::Relaxed);
        Poll::Pending
    })
}

/// Waits for a point in time.
pub fn until(instant: Instant) -> impl Future<Output = ()> {
    poll_fn(move |_| {
        if Instant::now() >= instant {
            return Poll::Ready(());
        }
        DEADLINE.fetch_min(instant.0, Ordering::Relaxed);
        Poll::Pending
    })
}

/// Which of two futures ended first.
#[derive(Debug)]
pub enum Either<A, B> {
    /// The first one.
    First(A),
    /// The second one.
    Second(B),
}

/// Runs two futures until one ends; the other one is dropped.
pub async fn select<A: Future, B: Future>(first: A, second: B) -> Either<A::Output, B::Output> {
    let mut first = pin!(first);
    let mut second = pin!(second);
    poll_fn(|context| {
        if let Poll::Ready(output) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}

/// Runs two futures until both have ended.
pub async fn join<A: Future, B: Future>(first: A, second: B) -> (A::Output, B::Output) {
    let mut first = pin!(first);
    let mut second = pin!(second);
    let mut outputs = (None, None);
    poll_fn(move |context| {
        if outputs.0.is_none()
            && let Poll::Ready(output) = first.as_mut().poll(context)
        {
            outputs.0 = Some(output);
        }
        if outputs.1.is_none()
            && let Poll::Ready(output) = second.as_mut().poll(context)
        {
            outputs.1 = Some(output);
        }
        match (outputs.0.take(), outputs.1.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            unfinished => {
                outputs = unfinished;
                Poll::Pending
            }
        }
    })
    .await
}
