//! Time: a counter that goes on by one each time that somebody looks.

use std::cell::Cell;

std::thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// The time-stamp counter.
pub fn now() -> u64 {
    NOW.set(NOW.get() + 1);
    NOW.get()
}

/// The alarm clock, which never rings.
#[derive(Clone, Copy)]
pub struct Timer {
    /// As on a PC.
    pub hertz: u64,
    /// As on a PC.
    pub calibration: u64,
}

impl Timer {
    /// A clock with a tick for each microsecond.
    pub const NONE: Self = Self { hertz: 1_000_000, calibration: 0 };

    /// As on a PC.
    pub fn ticks(&self, microseconds: u64) -> u64 {
        microseconds
    }

    /// As on a PC.
    pub fn whole_ticks(&self, microseconds: u64) -> u64 {
        microseconds
    }

    /// As on a PC.
    pub fn arm(&self, _deadline: u64) {}
}
