//! Time: the time-stamp counter as clock, the local APIC's timer as alarm.

use core::arch::x86_64::_rdtsc;

use cloison_abi::call::NO_DEADLINE;
use x86_64::instructions::port::Port;

use super::apic::LocalApic;

/// Frequency of the power management timer (ACPI specification 6.5, section 4.8.3.3).
const PM_TIMER_HZ: u64 = 3_579_545;
/// The timer has at least 24 bits; these are the ones that count.
const PM_TIMER_MASK: u32 = 0xff_ffff;
/// How long the calibration takes: 1/200 s. The error of one timer tick in this time is 56 parts in a
/// million.
const CALIBRATION_TICKS: u32 = (PM_TIMER_HZ / 200) as u32;

/// The time-stamp counter.
#[inline]
pub fn now() -> u64 {
    // SAFETY: reading the counter has no side effect.
    unsafe { _rdtsc() }
}

/// The alarm clock of a CPU.
#[derive(Clone, Copy)]
pub struct Timer {
    local_apic: LocalApic,
    /// Frequency of the time-stamp counter, in Hz.
    pub hertz: u64,
    /// Ticks of the local APIC's timer for each tick of the time-stamp counter, times 2^32.
    ratio: u64,
    /// How many ticks of the time-stamp counter the calibration took.
    pub calibration: u64,
}

impl Timer {
    /// No alarm clock: what stands in until boot has found it.
    pub const NONE: Self = Self { local_apic: LocalApic::NONE, hertz: 0, ratio: 0, calibration: 0 };

    /// Measures both clocks against the power management timer.
    pub fn calibrate(local_apic: LocalApic, timer_port: u16) -> Self {
        let mut port = Port::<u32>::new(timer_port);
        // SAFETY: ACPI says that this port is the timer; reading it has no side effect.
        let mut read = || unsafe { port.read() } & PM_TIMER_MASK;
        let begin = read();
        let counter = now();
        local_apic.set_timer(u32::MAX);
        let mut passed = 0;
        while passed < CALIBRATION_TICKS {
            passed = read().wrapping_sub(begin) & PM_TIMER_MASK;
        }
        let calibration = (now() - counter).max(1);
        let timer_ticks = u64::from(u32::MAX - local_apic.timer_left());
        local_apic.set_timer(0);
        Self {
            local_apic,
            hertz: calibration * PM_TIMER_HZ / u64::from(passed),
            ratio: ((timer_ticks << 32) / calibration).max(1),
            calibration,
        }
    }

    /// Ticks of the time-stamp counter in so many microseconds.
    pub fn ticks(&self, microseconds: u64) -> u64 {
        (u128::from(microseconds) * u128::from(self.hertz) / 1_000_000) as u64
    }

    /// Sets the alarm. One that is too far ahead for the timer comes early; the kernel then sets it again.
    pub fn arm(&self, deadline: u64) {
        if deadline == NO_DEADLINE {
            return self.local_apic.set_timer(0);
        }
        let ahead = deadline.saturating_sub(now());
        let ticks = (u128::from(ahead) * u128::from(self.ratio)) >> 32;
        self.local_apic.set_timer(u32::try_from(ticks).unwrap_or(u32::MAX).max(1));
    }
}
