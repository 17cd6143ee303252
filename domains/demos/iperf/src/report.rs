//! What a test has measured, in the form that people know from iperf3.

use core::{fmt, time::Duration};

/// Which way the data went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the other side.
    Sent,
    /// From the other side.
    Received,
    /// Both at once.
    Both,
}

/// What a test has measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Which way the data went.
    pub direction: Direction,
    /// Bytes of all streams; if they go both ways, of those received. At the sender: those of which the receiver
    /// says that they arrived.
    pub bytes: u64,
    /// If they go both ways, bytes of those sent.
    pub back: Option<u64>,
    /// Of datagrams received: how many were lost, and how many there were.
    pub datagrams: Option<(u64, u64)>,
    /// Time that they took.
    pub time: Duration,
    /// How many streams, each way.
    pub streams: usize,
}

impl Report {
    /// The rate, in bits per second.
    #[must_use]
    pub fn bits_per_second(&self) -> f64 {
        self.rate(self.bytes)
    }

    fn rate(&self, bytes: u64) -> f64 {
        let seconds = self.time.as_secs_f64();
        if seconds > 0.0 { bytes as f64 * 8.0 / seconds } else { 0.0 }
    }

    fn write(&self, out: &mut fmt::Formatter<'_>, bytes: u64, way: &str) -> fmt::Result {
        let mebibytes = bytes as f64 / f64::from(1 << 20);
        write!(out, "  {mebibytes:.1} MBytes  {:.0} Mbits/sec  {way}", self.rate(bytes) / 1e6)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.2} sec", self.time.as_secs_f64())?;
        let way = if self.direction == Direction::Sent { "sent" } else { "received" };
        self.write(out, self.bytes, way)?;
        if let Some(bytes) = self.back {
            self.write(out, bytes, "sent")?;
        }
        if self.streams > 1 {
            write!(out, " in {} streams", self.streams)?;
        }
        match self.datagrams {
            Some((lost, all)) => write!(out, ", {lost} of {all} datagrams lost"),
            None => Ok(()),
        }
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
            back: None,
            datagrams: None,
            time: Duration::from_millis(2000),
            streams: 2,
        };
        assert_eq!(report.to_string(), "2.00 sec  100.0 MBytes  419 Mbits/sec  received in 2 streams");
        let both = Report { direction: Direction::Both, back: Some(50 << 20), streams: 1, ..report.clone() };
        let text = "2.00 sec  100.0 MBytes  419 Mbits/sec  received  50.0 MBytes  210 Mbits/sec  sent";
        assert_eq!(both.to_string(), text);
        let udp = Report { datagrams: Some((3, 75)), streams: 1, ..report.clone() };
        let text = "2.00 sec  100.0 MBytes  419 Mbits/sec  received, 3 of 75 datagrams lost";
        assert_eq!(udp.to_string(), text);
        assert_eq!(Report { time: Duration::ZERO, ..report }.bits_per_second(), 0.0);
    }
}
