//! Interrupt lines that interrupt too often.
//!
//! An edge-triggered line stays open while its driver works, so a device gone wild costs the domain that runs,
//! whichever that is. A line that interrupts so often without its driver keeping up is masked until the driver
//! acknowledges.

/// Interrupts of an edge-triggered line within a window, above which it is masked.
const MOST: u32 = 100;
/// Length of the window, in microseconds.
pub const WINDOW_US: u64 = 100_000;
/// Redirection entries that an I/O APIC can have: their registers have numbers of one byte, from 0x10 on, two
/// each.
const MOST_PINS: u32 = (0x100 - 0x10) / 2;

/// How many pins an I/O APIC has, from its version register (Intel I/O APIC data sheet, section 3.2.2).
#[must_use]
pub fn io_apic_pins(version: u32) -> u32 {
    ((version >> 16 & 0xff) + 1).min(MOST_PINS)
}

/// What to do about an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Nothing.
    Fine,
    /// Mask the line.
    TooMuch,
    /// Mask the line, and say so, because it is the first time.
    FirstTooMuch,
}

/// How often a line has interrupted. No field has a value to spare, so that a table of optional ones is all zeros
/// while it is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineLoad {
    /// When the window began.
    since: u64,
    /// Interrupts since then that the driver has not acknowledged in time.
    count: u32,
    /// How often the line was masked for coming too often, and how often it was opened again.
    masked: u32,
    opened: u32,
}

impl LineLoad {
    /// Counts an interrupt. `window` is [`WINDOW_US`] in the unit of `now`.
    pub fn arrived(&mut self, now: u64, window: u64) -> Load {
        if now.saturating_sub(self.since) > window {
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
        if self.count <= MOST {
            return Load::Fine;
        }
        self.masked = self.opened.wrapping_add(1);
        if self.masked == 1 { Load::FirstTooMuch } else { Load::TooMuch }
    }

    /// The driver has dealt with what there was. A driver that keeps up may be interrupted as often as it likes.
    /// Returns true if the line is masked and has to be opened; the driver then has to look once more, because an
    /// edge may have been lost. Until the window ends, each interrupt masks it again.
    pub fn acknowledged(&mut self) -> bool {
        let is_masked = self.masked != self.opened;
        if !is_masked {
            self.count = 0;
        }
        self.opened = self.masked;
        is_masked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interrupts until the line is masked, at most 1000.
    fn flood(load: &mut LineLoad, now: u64) -> (u32, Load) {
        let arrivals = (1..=1000).map(|number| (number, load.arrived(now, 10)));
        arrivals.into_iter().find(|(_, load)| *load != Load::Fine).unwrap_or((1000, Load::Fine))
    }

    #[test]
    fn a_flood_is_masked_and_said_once() {
        let mut load = LineLoad::default();
        assert_eq!(flood(&mut load, 1), (MOST + 1, Load::FirstTooMuch));
        assert!(load.acknowledged() && !load.acknowledged());
        assert_eq!(flood(&mut load, 2), (MOST + 1, Load::TooMuch), "a second acknowledgement begins again");
        assert!(load.acknowledged());
        assert_eq!(flood(&mut load, 3), (1, Load::TooMuch), "one interrupt for each acknowledgement");
        assert!(load.acknowledged());
        assert_eq!(flood(&mut load, 10), (1, Load::TooMuch), "the last moment of the window");
        assert!(load.acknowledged());
        assert_eq!(flood(&mut load, 11), (MOST + 1, Load::TooMuch), "the next window");
    }

    #[test]
    fn a_driver_that_keeps_up_is_left_alone() {
        let mut load = LineLoad::default();
        for number in 0..100_000 {
            assert_eq!(load.arrived(number / 100, 10), Load::Fine);
            assert!(!load.acknowledged());
        }
    }

    #[test]
    fn a_slow_line_is_left_alone_even_by_a_driver_that_never_answers() {
        let mut load = LineLoad::default();
        assert!((0..100_000).all(|number| load.arrived(number, u64::from(MOST) - 2) == Load::Fine));
    }

    #[test]
    fn every_pin_of_a_controller_is_known() {
        assert_eq!(io_apic_pins(0x17_0020), 24);
        assert_eq!(io_apic_pins(0x77_0020), 120);
        assert_eq!(io_apic_pins(0xffff_ffff), 120);
        assert_eq!(io_apic_pins(0), 1);
    }
}
