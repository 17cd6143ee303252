//! The results of a test, which each side sends to the other.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{Error, amount::Amount, json::Scalar};

/// What one side has seen, under the names that iperf3 gives it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Results {
    /// Load of the CPU in percent. It is not measured here; iperf3 wants a number.
    pub cpu_util_total: f64,
    /// Of that, the part of programs.
    pub cpu_util_user: f64,
    /// Of that, the part of the system.
    pub cpu_util_system: f64,
    /// Whether the sender counts what it has to send again: 1, or 0.
    pub sender_has_retransmits: i32,
    /// Each stream.
    pub streams: Vec<StreamResult>,
}

/// What one side has seen of a stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StreamResult {
    /// Its number.
    pub id: u32,
    /// Bytes sent or received.
    pub bytes: u64,
    /// What had to be sent again; −1: not counted.
    pub retransmits: i64,
    /// By how much the time of datagrams under way differs, in seconds.
    pub jitter: f64,
    /// Datagrams that were lost.
    pub errors: u64,
    /// Datagrams that were sent.
    pub packets: u64,
    /// Second in which the stream began.
    pub start_time: f64,
    /// Second in which it ended.
    pub end_time: f64,
}

impl Results {
    /// Of streams that have moved these amounts in this number of seconds.
    pub(crate) fn new(amounts: &[Amount], seconds: f64) -> Self {
        let stream = |(index, amount): (usize, &Amount)| StreamResult {
            id: stream_id(index),
            bytes: amount.bytes,
            retransmits: -1,
            jitter: amount.arrivals.jitter,
            errors: amount.arrivals.lost,
            packets: amount.arrivals.numbered,
            start_time: 0.0,
            end_time: seconds,
        };
        Self {
            cpu_util_total: 0.0,
            cpu_util_user: 0.0,
            cpu_util_system: 0.0,
            sender_has_retransmits: 0,
            streams: amounts.iter().enumerate().map(stream).collect(),
        }
    }

    /// How many bytes the other side has seen of each stream, by what it says. The rest says nothing here, and
    /// iperf3 writes some of it in odd ways (2⁶⁴ − 1 for −1).
    ///
    /// # Errors
    ///
    /// If it says nothing of that kind.
    pub fn read_bytes(sent: &[u8]) -> Result<Vec<u64>, Error> {
        let sent: Option<Sent> = serde_json::from_slice(sent).ok();
        let bytes = sent.and_then(|sent| sent.streams.iter().map(|stream| stream.bytes.count()).collect());
        bytes.ok_or(Error::Garbage("its results make no sense"))
    }
}

/// What counts of the results that were sent.
#[derive(Deserialize)]
struct Sent {
    streams: Vec<SentStream>,
}

#[derive(Deserialize)]
struct SentStream {
    bytes: Scalar,
}

/// The number of a stream. iperf3 counts 1, 3, 4, …; its client looks its streams up by it.
fn stream_id(index: usize) -> u32 {
    let number = u32::try_from(index).unwrap_or(u32::MAX);
    if number == 0 { 1 } else { number.saturating_add(2) }
}

#[cfg(test)]
mod tests {
    use crate::{Direction, amount::Arrivals};

    use super::*;

    #[test]
    fn numbers_streams_as_iperf3_does() {
        let amount = Amount { direction: Direction::Sent, bytes: 5, arrivals: Arrivals::default() };
        let ids: Vec<_> = Results::new(&[amount; 3], 1.0).streams.iter().map(|stream| stream.id).collect();
        assert_eq!(ids, [1, 3, 4]);
    }

    #[test]
    fn reads_what_iperf3_sends() {
        let text = r#"{"cpu_util_total":12.5,"cpu_util_user":1e-05,"cpu_util_system":12,
            "sender_has_retransmits":18446744073709551615,"congestion_used":"cubic","streams":[{"id":1,"id":1,
            "bytes":7.30857472e+08,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,
            "start_time":0,"end_time":5.000183},{"id":3,"bytes":7}]}"#;
        assert_eq!(Results::read_bytes(text.as_bytes()), Ok([730_857_472, 7].into()));
        for wrong in ["{}", "{\"streams\":7}", "{\"streams\":[7]}", "{\"streams\":[{\"bytes\":-1}]}", "[]"] {
            assert!(Results::read_bytes(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
