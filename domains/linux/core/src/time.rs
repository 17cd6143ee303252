//! The guest's clock: the time-stamp counter, which it reads itself, what makes nanoseconds of it, and one timer.

use cloison_xen::shared::{STABLE, TimeInfo, WALL_CLOCK, WallClock};

use crate::machine::Machine;

const NANOSECONDS: u128 = 1_000_000_000;

/// The clock. It stands at 0 when the guest begins.
pub struct Clock {
    /// The counter then.
    stamp: u64,
    /// Its ticks in a second.
    hertz: u64,
    /// When the timer rings, as a value of the counter.
    deadline: Option<u64>,
}

impl Clock {
    /// Before the guest begins.
    pub const fn new() -> Self {
        Self { stamp: 0, hertz: 1, deadline: None }
    }

    /// One that stands at 0 when the counter has a value.
    pub fn at(stamp: u64, hertz: u64) -> Self {
        Self { stamp, hertz: hertz.max(1), deadline: None }
    }

    /// Begins now; puts the clock's parameters where the guest looks for them.
    pub fn start(&mut self, machine: &mut impl Machine, info: u64) {
        *self = Self::at(machine.ticks(), machine.frequency());
        let _ = machine.put(info, &self.info());
        let at = machine.shared_address() + WALL_CLOCK;
        let _ = machine.put(at, &self.wall_clock(machine.epoch()));
    }

    /// The clock's parameters.
    pub fn info(&self) -> TimeInfo {
        let shift = shift(self.hertz);
        let factor = (NANOSECONDS << (32 - i32::from(shift))) / u128::from(self.hertz);
        TimeInfo {
            version: 2,
            stamp: self.stamp,
            system_time: 0,
            factor: factor as u32,
            shift,
            flags: STABLE,
            ..TimeInfo::default()
        }
    }

    /// The calendar when the clock stood at 0. `epoch`: the calendar when the counter did.
    fn wall_clock(&self, epoch: u64) -> WallClock {
        let since = u128::from(self.stamp) * NANOSECONDS / u128::from(self.hertz);
        let now = u128::from(epoch) + since;
        let seconds = (now / NANOSECONDS) as u64;
        WallClock {
            version: 2,
            seconds: seconds as u32,
            nanoseconds: (now % NANOSECONDS) as u32,
            seconds_high: (seconds >> 32) as u32,
        }
    }

    /// When the clock stands at some nanoseconds, as a value of the counter: the first at which it does.
    fn ticks_at(&self, nanoseconds: u64) -> u64 {
        let since = (u128::from(nanoseconds) * u128::from(self.hertz)).div_ceil(NANOSECONDS);
        u64::try_from(since).unwrap_or(u64::MAX).saturating_add(self.stamp)
    }

    /// Lets the timer ring at some nanoseconds; at once if they have passed.
    pub fn set_timer(&mut self, nanoseconds: u64) {
        self.deadline = Some(self.ticks_at(nanoseconds));
    }

    /// Whether some nanoseconds have passed.
    pub fn has_passed(&self, nanoseconds: u64, ticks: u64) -> bool {
        self.ticks_at(nanoseconds) <= ticks
    }

    /// Lets the timer not ring.
    pub fn stop_timer(&mut self) {
        self.deadline = None;
    }

    /// When the timer rings.
    pub fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// Whether the timer rings now; it does so once.
    pub fn rings(&mut self, ticks: u64) -> bool {
        let rings = self.deadline.is_some_and(|deadline| deadline <= ticks);
        if rings {
            self.deadline = None;
        }
        rings
    }
}

/// By how many bits the counter is shifted, so that its factor uses all of 32 bits.
fn shift(hertz: u64) -> i8 {
    let mut shift = 0;
    while u128::from(hertz) << shift <= NANOSECONDS {
        shift += 1;
    }
    if shift > 0 {
        return shift as i8;
    }
    let mut down = 0;
    while u128::from(hertz) >> down > NANOSECONDS * 2 {
        down += 1;
    }
    -(down as i8)
}
