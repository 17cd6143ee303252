//! What a test has measured, in the form that people know from iperf3.

use core::{fmt, time::Duration};

/// Which way the data went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the other side.
    Sent,
    /// From the other side.
    Received,
}

/// What a test has measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Which way the data went.
    pub direction: Direction,
    /// Bytes of all streams. At the sender: those of which the receiver says that they arrived.
    pub bytes: u64,
    /// Time that they took.
    pub time: Duration,
    /// How many streams.
    pub streams: usize,
}

impl Report {
    /// Bits per second.
    #[must_use]
    pub fn bits_per_second(&self) -> f64 {
        let seconds = self.time.as_secs_f64();
        if seconds > 0.0 { self.bytes as f64 * 8.0 / seconds } else { 0.0 }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64();
        let mebibytes = self.bytes as f64 / f64::from(1 << 20);
        let megabits = self.bits_per_second() / 1e6;
        write!(out, "{seconds:.2} sec  {mebibytes:.1} MBytes  {megabits:.0} Mbits/sec  ")?;
        out.write_str(match self.direction {
            Direction::Sent => "sent",
            Direction::Received => "received",
        })?;
        if self.streams > 1 { write!(out, " in {} streams", self.streams) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn speaks_as_iperf3_does() {
        let report = Report {
            direction: Direction::Received,
            bytes: 100 << 20,
            time: Duration::from_millis(2000),
            streams: 2,
        };
        assert_eq!(report.to_string(), "2.00 sec  100.0 MBytes  419 Mbits/sec  received in 2 streams");
        assert_eq!(Report { time: Duration::ZERO, ..report }.bits_per_second(), 0.0);
    }
}
