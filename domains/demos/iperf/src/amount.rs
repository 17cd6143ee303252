//! How much has been moved on a stream.

use crate::Direction;

/// What has been moved on a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Amount {
    pub(crate) direction: Direction,
    pub(crate) bytes: u64,
    pub(crate) arrivals: Arrivals,
}

/// What is known of datagrams that have come.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Arrivals {
    /// Highest number so far: how many the other side has sent.
    pub(crate) numbered: u64,
    /// Those that have not come.
    pub(crate) lost: u64,
    /// By how much the time under way differs, smoothed, in seconds (RFC 3550, section 6.4.1).
    pub(crate) jitter: f64,
    transit: Option<f64>,
}

impl Arrivals {
    /// A datagram has come, after this number of seconds by two clocks, so only differences say something.
    pub(crate) fn take(&mut self, number: u64, transit: f64) {
        if number > self.numbered {
            self.lost += number - self.numbered - 1;
            self.numbered = number;
        } else {
            // It was taken for lost, and has come late.
            self.lost = self.lost.saturating_sub(1);
        }
        if let Some(before) = self.transit.replace(transit) {
            self.jitter += ((transit - before).abs() - self.jitter) / 16.0;
        }
    }

    /// The same, of those since `start`.
    pub(crate) fn since(&self, start: &Self) -> Self {
        Self {
            numbered: self.numbered.saturating_sub(start.numbered),
            lost: self.lost.saturating_sub(start.lost),
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_gaps_that_are_not_filled_later() {
        let mut arrivals = Arrivals::default();
        for number in [1, 2, 5, 4, 9] {
            arrivals.take(number, 0.5);
        }
        assert_eq!((arrivals.numbered, arrivals.lost, arrivals.jitter), (9, 4, 0.0));
        let before = arrivals;
        arrivals.take(10, 0.5 + 0.016);
        assert_eq!(arrivals.since(&before).numbered, 1);
        assert!((0.0009..0.0011).contains(&arrivals.jitter));
    }
}
