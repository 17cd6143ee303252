//! How much time a program has had, on a host that may be slow or busy with other things.
//!
//! The wall clock would end a program that nobody let run. This clock goes on while the program is at work, and while
//! the host has a CPU to spare: then nothing kept the program, or one that it waits for, from going on.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::process::TICKS_PER_SECOND;

/// Time between two looks at the host's counters.
const PAUSE: Duration = Duration::from_millis(100);
/// After how many times its limit a program ends although nobody let it run: no host is as busy as that for so long.
const LONGEST: u32 = 30;
/// Time between two looks whether something has come true.
const SHORT_PAUSE: Duration = Duration::from_millis(5);

/// Whether something comes true before so much time has been counted in which the host had a CPU to spare, so that nothing
/// kept it from coming true.
#[must_use]
pub fn comes_within(limit: Duration, mut is_true: impl FnMut() -> bool) -> bool {
    let mut patience = Patience::new();
    while !is_true() {
        if patience.counted(|| Some(Duration::ZERO)) >= limit {
            return false;
        }
        thread::sleep(SHORT_PAUSE);
    }
    true
}

/// Counters of the host at one time.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    /// CPU time that the program has taken.
    work: Duration,
    /// Time that the host's CPUs have had nothing to do, added up.
    idle: Duration,
}

/// A clock that goes on only while it is fair to count.
#[derive(Debug)]
pub struct Patience {
    start: Instant,
    last: Look,
    counted: Duration,
}

impl Patience {
    /// Begins to count.
    #[must_use]
    pub fn new() -> Self {
        let last = Look { at: Instant::now(), work: Duration::ZERO, idle: idle().unwrap_or_default() };
        Self { start: last.at, last, counted: Duration::ZERO }
    }

    /// What has been counted. `work` is the CPU time that the program has taken up to now.
    pub fn counted(&mut self, work: impl FnOnce() -> Option<Duration>) -> Duration {
        let now = Instant::now();
        if now - self.last.at >= PAUSE {
            let look = match (work(), idle()) {
                (Some(work), Some(idle)) => Look { at: now, work, idle },
                // A host without these counters: all time counts.
                _ => Look { at: now, idle: self.last.idle + (now - self.last.at), ..self.last },
            };
            self.counted += fair(self.last, look);
            self.last = look;
        }
        self.counted.max(self.start.elapsed() / LONGEST)
    }

    /// Until when to wait before the next look.
    #[must_use]
    pub fn next_look(&self) -> Instant {
        self.last.at + PAUSE
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::new()
    }
}

/// The time between two looks that counts.
fn fair(before: Look, now: Look) -> Duration {
    let work = now.work.saturating_sub(before.work);
    let idle = now.idle.saturating_sub(before.idle);
    work.max(idle).min(now.at - before.at)
}

/// Time that the host's CPUs have had nothing to do. `None`: the host does not say.
fn idle() -> Option<Duration> {
    idle_of(&fs::read_to_string("/proc/stat").ok()?)
}

/// The same, out of the text of `/proc/stat`: the fourth number is idle time, the fifth the part of it in which a
/// disc was waited for.
fn idle_of(text: &str) -> Option<Duration> {
    let numbers = text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let ticks = numbers.skip(3).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn counts_work_and_spare_time_and_never_more_than_has_passed() {
        let before = Look { at: Instant::now(), work: seconds(7), idle: seconds(9) };
        let after = |passed, work, idle| Look {
            at: before.at + seconds(passed),
            work: before.work + seconds(work),
            idle: before.idle + seconds(idle),
        };
        assert_eq!(fair(before, after(10, 2, 0)), seconds(2), "others had the CPUs");
        assert_eq!(fair(before, after(10, 0, 10)), seconds(10), "the machine waits for nobody");
        assert_eq!(fair(before, after(10, 3, 70)), seconds(10), "eight CPUs");
        assert_eq!(fair(before, after(10, 12, 0)), seconds(10), "two threads");
    }

    #[test]
    fn reads_the_hosts_idle_time() {
        let text = "cpu  60630 0 11474 24492 631 0 112 79 0 0\ncpu0 30143 0 5351 13055 101 0 8 37 0 0\n";
        assert_eq!(idle_of(text), Some(Duration::from_millis(251_230)));
        assert_eq!(idle_of("intr 7\n"), None);
        assert!(idle().is_some());
    }

    #[test]
    fn a_run_that_is_let_wait_for_ever_ends_all_the_same() {
        let mut patience = Patience::new();
        patience.start -= seconds(90);
        assert!(patience.counted(|| Some(Duration::ZERO)) >= seconds(3));
    }

    #[test]
    fn what_comes_is_waited_for_and_what_never_comes_is_not() {
        let mut looks = 0..4;
        assert!(comes_within(Duration::ZERO, || true));
        assert!(comes_within(seconds(60), || looks.next().is_none()));
        assert!(!comes_within(Duration::from_millis(20), || false));
    }
}
