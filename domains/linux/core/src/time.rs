//! The guest's clock: the time-stamp counter, which it reads itself, what makes nanoseconds of it, and one timer.

use cloison_xen::shared::{STABLE, TimeInfo, WALL_CLOCK, WallClock};

use crate::machine::Machine;
use crate::memory::Paging;
use crate::saved::carried;

const NANOSECONDS: u128 = 1_000_000_000;

/// The clock. It stands at 0 when the guest begins.
pub struct Clock {
    /// The counter then.
    stamp: u64,
    /// Its ticks in a second.
    hertz: u64,
    /// When the timer rings, as a value of the counter.
    deadline: Option<u64>,
    /// The version of the parameters: another one whenever they change, and never odd.
    version: u32,
    /// Where the guest's kernel wants a copy of the parameters: an address of its own.
    copy: Option<u64>,
}

carried!(Clock { stamp, hertz, deadline, version, copy });

impl Clock {
    /// Before the guest begins.
    pub const fn new() -> Self {
        Self { stamp: 0, hertz: 1, deadline: None, version: 0, copy: None }
    }

    /// One that stands at 0 when the counter has a value.
    pub fn at(stamp: u64, hertz: u64) -> Self {
        Self { stamp, hertz: hertz.max(1), deadline: None, version: 2, copy: None }
    }

    /// Begins now. `info`: where the guest looks for the clock's parameters.
    pub fn start(&mut self, machine: &mut impl Machine, info: u64) {
        *self = Self::at(machine.ticks(), machine.frequency());
        self.tell(machine, info);
    }

    /// Goes on where it stood some ticks ago, and says so in all places where the guest looks.
    pub fn stand_still(&mut self, machine: &mut impl Machine, paging: &Paging, info: u64, ticks: u64) {
        self.stamp = self.stamp.saturating_add(ticks);
        self.deadline = self.deadline.map(|deadline| deadline.saturating_add(ticks));
        self.version = self.version.wrapping_add(2);
        self.tell(machine, info);
        if let Some(copy) = self.copy {
            // A guest that has unmapped its copy does not look there.
            let _ = paging.write_value(machine, copy, &self.info());
        }
    }

    /// Notes where the guest's kernel has a copy of the parameters.
    pub fn is_copied_to(&mut self, address: u64) {
        self.copy = Some(address);
    }

    /// Puts the parameters, and the calendar, where the guest looks for them.
    fn tell(&self, machine: &mut impl Machine, info: u64) {
        let _ = machine.put(info, &self.info());
        let at = machine.shared_address() + WALL_CLOCK;
        let _ = machine.put(at, &self.wall_clock(machine.epoch()));
    }

    /// The clock's parameters.
    pub fn info(&self) -> TimeInfo {
        let shift = shift(self.hertz);
        let factor = (NANOSECONDS << (32 - i32::from(shift))) / u128::from(self.hertz);
        TimeInfo {
            version: self.version,
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
            version: self.version,
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
