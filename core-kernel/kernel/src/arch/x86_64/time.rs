//! Time: the time-stamp counter as clock, the local APIC's timer as alarm.

use core::arch::x86_64::_rdtsc;

use cloison_abi::call::NO_DEADLINE;
use cloison_rules::clock::{self, Calibration, Clock, Reading};
use x86_64::instructions::port::Port;

use super::{acpi::Found, apic::LocalApic, cpu};

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

    /// Measures both clocks against the power management timer. None if that gives no clear answer.
    pub fn calibrate(local_apic: LocalApic, found: &Found) -> Option<Self> {
        let begin = now();
        let Clock { hertz, ratio } =
            clock::decide(measure(local_apic, found.timer_port), cpu::stated_clock())?;
        local_apic.set_timer(0);
        Some(Self { local_apic, hertz, ratio, calibration: now() - begin })
    }

    /// Ticks of the time-stamp counter in this number of microseconds.
    pub fn ticks(&self, microseconds: u64) -> u64 {
        (u128::from(microseconds) * u128::from(self.hertz) / 1_000_000) as u64
    }

    /// The same with whole ticks for each microsecond, off by less than one in a thousand: so of two periods, one
    /// is as often as long as the other as the plan says, and they stay together for ever.
    pub fn whole_ticks(&self, microseconds: u64) -> u64 {
        microseconds.saturating_mul(self.hertz.saturating_add(500_000) / 1_000_000)
    }

    /// Sets the alarm. One that is too far ahead for the timer comes early; the kernel then sets it again.
    #[inline(never)]
    pub fn arm(&self, deadline: u64) {
        if deadline == NO_DEADLINE {
            return self.local_apic.set_timer(0);
        }
        let ahead = deadline.saturating_sub(now());
        let ticks = (u128::from(ahead) * u128::from(self.ratio)) >> 32;
        self.local_apic.set_timer(u32::try_from(ticks).unwrap_or(u32::MAX).max(1));
    }
}

/// Takes samples until enough of them agree.
fn measure(local_apic: LocalApic, timer_port: u16) -> Option<Clock> {
    let mut port = Port::<u32>::new(timer_port);
    // SAFETY: ACPI says that this port is the timer; reading it has no side effect.
    let mut reference = || unsafe { port.read() };
    let mut calibration = Calibration::new();
    clock::lengths().find_map(|length| {
        local_apic.set_timer(u32::MAX);
        let begin = read(&mut reference, local_apic);
        while clock::reference_passed(begin.reference, reference()) < length {}
        calibration.add(begin, read(&mut reference, local_apic))
    })
}

fn read(reference: &mut impl FnMut() -> u32, local_apic: LocalApic) -> Reading {
    let before = now();
    let reference = reference();
    let timer = local_apic.timer_left();
    Reading { before, reference, timer, after: now() }
}
