//! How fast the clocks run: decided from short samples against a timer whose frequency is known.
//!
//! Between two reads the CPU may be away, for a hypervisor's or its host's business. So each reading of the
//! clocks lies between two values of the time-stamp counter: how far these are apart bounds what the reading
//! can be wrong by. A sample counts if that is little beside its length, and some have to agree.

use heapless::Vec;

/// Frequency of the power management timer (ACPI specification 6.5, section 4.8.3.3).
pub const REFERENCE_HZ: u64 = 3_579_545;
/// The timer has at least 24 bits; these are the ones that count.
const REFERENCE_MASK: u32 = 0xff_ffff;
/// A sample counts if its readings are together at most this part of it wide.
const TIGHT: u64 = 256;
/// Samples agree if they differ by at most this part: each may be off by one part in [`TIGHT`].
const TOLERANCE: u64 = 100;
/// How many samples have to agree.
const AGREEING: usize = 3;
/// How many are remembered.
const REMEMBERED: usize = 16;
/// How many samples of each length are taken, and how often the length doubles, before the clock is given up.
const TRIES: u32 = 8;
const DOUBLINGS: u32 = 6;
/// Length of the first samples, in ticks of the reference: 1 ms.
const FIRST_LENGTH: u32 = (REFERENCE_HZ / 1000) as u32;

/// The lengths of the samples to take, in ticks of the reference. Longer ones come when short ones are not
/// tight: on a machine where reading the timer takes long.
pub fn lengths() -> impl Iterator<Item = u32> {
    (0..TRIES * (DOUBLINGS + 1)).map(|sample| FIRST_LENGTH << (sample / TRIES))
}

/// How much of the reference has passed between two of its values.
#[must_use]
pub fn reference_passed(begin: u32, end: u32) -> u32 {
    end.wrapping_sub(begin) & REFERENCE_MASK
}

/// The clocks, read one right after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The time-stamp counter before.
    pub before: u64,
    /// The reference, which counts up.
    pub reference: u32,
    /// The local APIC's timer, which counts down to 0.
    pub timer: u32,
    /// The time-stamp counter after.
    pub after: u64,
}

/// What has passed between two readings.
#[derive(Clone, Copy, Debug)]
struct Sample {
    counter: u64,
    slack: u64,
    reference: u64,
    timer: u64,
}

impl Sample {
    fn between(begin: Reading, end: Reading) -> Self {
        Self {
            counter: end.before.wrapping_sub(begin.before),
            slack: end.after.wrapping_sub(end.before).saturating_add(begin.after.wrapping_sub(begin.before)),
            reference: reference_passed(begin.reference, end.reference).into(),
            // One that has run out says nothing.
            timer: if end.timer == 0 { 0 } else { begin.timer.saturating_sub(end.timer).into() },
        }
    }

    fn is_tight(&self) -> bool {
        self.reference > 0 && self.timer > 0 && self.slack <= self.counter / TIGHT
    }

    fn agrees(&self, other: &Self) -> bool {
        near(self.hertz(), other.hertz())
    }

    fn hertz(&self) -> u64 {
        scale(self.counter, REFERENCE_HZ, self.reference)
    }
}

/// How fast the clocks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Frequency of the time-stamp counter, in Hz.
    pub hertz: u64,
    /// Ticks of the local APIC's timer for each tick of the time-stamp counter, times 2^32.
    pub ratio: u64,
}

/// The samples so far.
#[derive(Debug)]
pub struct Calibration {
    kept: Vec<Sample, REMEMBERED>,
}

impl Calibration {
    /// No samples yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { kept: Vec::new() }
    }

    /// Takes the sample between two readings. Returns the clock once enough samples agree.
    pub fn add(&mut self, begin: Reading, end: Reading) -> Option<Clock> {
        let sample = Sample::between(begin, end);
        if !sample.is_tight() {
            return None;
        }
        if self.kept.is_full() {
            self.kept.remove(0);
        }
        // There is room now.
        let _ = self.kept.push(sample);
        let agreeing = || self.kept.iter().filter(|other| sample.agrees(other));
        if agreeing().count() < AGREEING {
            return None;
        }
        let sum = |of: fn(&Sample) -> u64| agreeing().map(of).fold(0, u64::saturating_add);
        let counter = sum(|sample| sample.counter);
        Some(Clock {
            hertz: scale(counter, REFERENCE_HZ, sum(|sample| sample.reference)),
            ratio: scale(sum(|sample| sample.timer), 1 << 32, counter).max(1),
        })
    }
}

impl Default for Calibration {
    fn default() -> Self {
        Self::new()
    }
}

/// What the CPU itself says about its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// Frequency of the time-stamp counter, in Hz.
    hertz: u64,
    /// Frequency of the crystal behind it, which also drives the local APIC's timer.
    crystal: u64,
}

impl Stated {
    /// From CPUID: `eax`, `ebx` and `ecx` of leaf 0x15; zeros where there is no such leaf (Intel SDM volume 3,
    /// section 20.7.3). A CPU that does not state its crystal has said nothing: leaf 0x16 is a round figure.
    #[must_use]
    pub fn from_cpuid([denominator, numerator, crystal]: [u32; 3]) -> Option<Self> {
        if denominator == 0 || numerator == 0 || crystal == 0 {
            return None;
        }
        let hertz = scale(crystal.into(), numerator.into(), denominator.into());
        Some(Self { hertz, crystal: crystal.into() })
    }
}

/// What to take the clock for: what the CPU says to the tick, if measuring does not contradict it; else what
/// was measured; without that, what the CPU says. `None` if nothing is known.
#[must_use]
pub fn decide(measured: Option<Clock>, stated: Option<Stated>) -> Option<Clock> {
    let exact = stated.map(|Stated { hertz, crystal }| {
        let ratio = scale(crystal, 1 << 32, hertz).max(1);
        Clock { hertz, ratio }
    });
    match (measured, exact) {
        (Some(measured), Some(exact)) if near(measured.hertz, exact.hertz) => {
            Some(Clock { hertz: exact.hertz, ..measured })
        }
        (Some(measured), _) => Some(measured),
        (None, exact) => exact,
    }
}

fn near(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= one.min(other) / TOLERANCE
}

/// `value` times `numerator` through `denominator`, at most what fits.
fn scale(value: u64, numerator: u64, denominator: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(numerator) / u128::from(denominator.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERTZ: u64 = 2_100_000_000;
    const TIMER_HZ: u64 = 1_000_000_000;
    /// Ticks that a reading takes.
    const READ: u64 = 2000;

    /// A machine whose clocks run as they should, except that its CPU may be away.
    struct Simulated {
        now: u64,
        /// The CPU is away for so long after the reference has been read.
        away: u64,
    }

    impl Simulated {
        fn reading(&mut self) -> Reading {
            let before = self.now;
            self.now += READ / 2;
            let reference = scale(self.now, REFERENCE_HZ, HERTZ) as u32 & REFERENCE_MASK;
            let timer = u32::MAX - scale(self.now, TIMER_HZ, HERTZ) as u32;
            self.now += READ / 2 + core::mem::take(&mut self.away);
            Reading { before, reference, timer, after: self.now }
        }

        fn wait(&mut self, ticks: u32) {
            self.now += scale(ticks.into(), HERTZ, REFERENCE_HZ);
        }
    }

    /// Takes samples; before reading number n the CPU goes away for `away(n)`.
    fn calibrate(away: impl Fn(usize) -> u64) -> (Option<Clock>, usize) {
        let mut machine = Simulated { now: 77, away: 0 };
        let mut calibration = Calibration::new();
        let mut begin = machine.reading();
        for (number, length) in lengths().enumerate() {
            machine.wait(length);
            machine.away = away(number);
            let end = machine.reading();
            if let Some(clock) = calibration.add(begin, end) {
                return (Some(clock), number + 1);
            }
            begin = end;
        }
        (None, usize::MAX)
    }

    fn assert_right(clock: Option<Clock>) {
        let clock = clock.unwrap();
        assert!(clock.hertz.abs_diff(HERTZ) < HERTZ / 250, "{clock:?}");
        let ratio = scale(TIMER_HZ, 1 << 32, HERTZ);
        assert!(clock.ratio.abs_diff(ratio) < ratio / 250, "{clock:?}");
    }

    #[test]
    fn three_short_samples_are_enough() {
        let (clock, samples) = calibrate(|_| 0);
        assert_right(clock);
        assert_eq!(samples, 3);
    }

    #[test]
    fn a_sample_at_whose_end_the_cpu_was_away_does_not_count() {
        // 3528 MHz on a CPU with 2100: a sample of 5 ms, and 3.4 ms between its last two reads.
        let away = HERTZ * 34 / 10_000;
        let alone =
            Sample { counter: HERTZ / 200 + away, slack: away, reference: REFERENCE_HZ / 200, timer: 9 };
        assert_eq!(alone.hertz() / 1_000_000, 3528);
        assert!(!alone.is_tight());
        for number in 0..4 {
            let (clock, samples) = calibrate(|at| if at == number { away } else { 0 });
            assert_right(clock);
            assert!(samples <= 5);
        }
        // Every second reading: no sample has two good ends.
        assert_eq!(calibrate(|at| if at % 2 == 0 { HERTZ } else { 0 }).0, None);
    }

    #[test]
    fn samples_that_do_not_agree_give_no_clock() {
        let mut calibration = Calibration::new();
        let reading =
            |before, reference| Reading { before, reference, timer: u32::MAX - reference, after: before };
        for speed in [1000, 2000, 4000, 8000] {
            assert_eq!(calibration.add(reading(0, 0), reading(speed * 1000, 1000)), None);
            assert_eq!(calibration.add(reading(0, 0), reading(speed * 1001, 1000)), None);
        }
        assert!(calibration.add(reading(0, 0), reading(4000 * 1002, 1000)).is_some());
    }

    #[test]
    fn where_reading_takes_long_the_samples_get_longer() {
        // 30 µs for each reading: too much for 1 ms, not for 16.
        let (clock, samples) = calibrate(|_| HERTZ * 30 / 1_000_000);
        assert_right(clock);
        assert!(samples > 2 * TRIES as usize);
    }

    #[test]
    fn a_timer_that_has_run_out_says_nothing() {
        let begin = Reading { before: 0, reference: 0, timer: 10, after: 0 };
        let end = Reading { before: 1000, reference: 9, timer: 0, after: 1000 };
        assert!(!Sample::between(begin, end).is_tight());
    }

    #[test]
    fn a_reference_that_stands_still_says_nothing() {
        let begin = Reading { before: 0, reference: 7, timer: 10, after: 0 };
        let end = Reading { before: 1000, reference: 7, timer: 5, after: 1000 };
        assert!(!Sample::between(begin, end).is_tight());
    }

    #[test]
    fn the_reference_wraps_around() {
        assert_eq!(reference_passed(0xff_fff0, 0x10), 0x20);
        assert_eq!(reference_passed(0xff_fff0, 0x100_0010), 0x20);
    }

    #[test]
    fn the_cpu_is_believed_where_measuring_bears_it_out() {
        let measured = Some(Clock { hertz: 2_399_000_000, ratio: 5 });
        let exact = Stated::from_cpuid([2, 200, 24_000_000]);
        assert_eq!(decide(measured, exact), Some(Clock { hertz: 2_400_000_000, ratio: 5 }));
        let wrong = Stated::from_cpuid([2, 300, 24_000_000]);
        assert_eq!(decide(measured, wrong), measured);
        assert_eq!(decide(measured, None), measured);
    }

    #[test]
    fn without_a_measurement_only_an_exact_statement_counts() {
        let exact = Stated::from_cpuid([2, 200, 24_000_000]);
        assert_eq!(decide(None, exact), Some(Clock { hertz: 2_400_000_000, ratio: (1 << 32) / 100 }));
        for nothing in [[0, 200, 24_000_000], [2, 0, 24_000_000], [0, 0, 0], [2, 200, 0]] {
            assert_eq!(Stated::from_cpuid(nothing), None);
        }
        assert_eq!(decide(None, None), None);
    }
}
