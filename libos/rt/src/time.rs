//! Time: durations in the units of people, instants in ticks of the time-stamp counter.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

pub use cloison_sys::Instant;

static HERTZ: AtomicU64 = AtomicU64::new(0);

/// Frequency of the time-stamp counter, in Hz.
#[must_use]
pub fn hertz() -> u64 {
    if HERTZ.load(Ordering::Relaxed) == 0 {
        HERTZ.store(cloison_sys::clock().hertz.max(1), Ordering::Relaxed);
    }
    HERTZ.load(Ordering::Relaxed)
}

/// The instant `duration` from now.
#[must_use]
pub fn after(duration: Duration) -> Instant {
    Instant(Instant::now().0.saturating_add(ticks(duration)))
}

/// How long ago an instant was; zero if it lies ahead.
#[must_use]
pub fn since(earlier: Instant) -> Duration {
    let ticks = Instant::now().0.saturating_sub(earlier.0);
    let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(hertz());
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// Waits for this long. Other tasks of the domain wait too.
pub fn sleep(duration: Duration) {
    cloison_sys::wait(0, after(duration));
}

fn ticks(duration: Duration) -> u64 {
    let ticks = duration.as_nanos() * u128::from(hertz()) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}
