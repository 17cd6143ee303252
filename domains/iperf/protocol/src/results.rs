//! The results of a test, which each side sends to the other.

use alloc::vec::Vec;

use serde::{Deserialize, Deserializer, Serialize};

/// What one side has seen, under the names that iperf3 gives it. Of what the other side has seen, only the
/// bytes are read: the rest says nothing here, and iperf3 writes some of it in odd ways (2⁶⁴ − 1 for −1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Load of the CPU in percent. It is not measured here; iperf3 wants a number.
    #[serde(skip_deserializing)]
    pub cpu_util_total: f64,
    /// Of that, the part of programs.
    #[serde(skip_deserializing)]
    pub cpu_util_user: f64,
    /// Of that, the part of the system.
    #[serde(skip_deserializing)]
    pub cpu_util_system: f64,
    /// Whether the sender counts what it has to send again: 1, or 0.
    #[serde(skip_deserializing)]
    pub sender_has_retransmits: i32,
    /// Each stream.
    pub streams: Vec<StreamResult>,
}

/// What one side has seen of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamResult {
    /// Its number.
    #[serde(skip_deserializing)]
    pub id: u32,
    /// Bytes sent or received.
    #[serde(deserialize_with = "whole")]
    pub bytes: u64,
    /// What had to be sent again; −1: not counted.
    #[serde(skip_deserializing)]
    pub retransmits: i64,
    /// Of UDP.
    #[serde(skip_deserializing)]
    pub jitter: f64,
    /// Of UDP.
    #[serde(skip_deserializing)]
    pub errors: i64,
    /// Of UDP.
    #[serde(skip_deserializing)]
    pub packets: i64,
    /// Second in which the stream began.
    #[serde(skip_deserializing)]
    pub start_time: f64,
    /// Second in which it ended.
    #[serde(skip_deserializing)]
    pub end_time: f64,
}

impl Results {
    /// Of streams that have moved so many bytes, in so many seconds.
    pub(crate) fn new(bytes: &[u64], seconds: f64) -> Self {
        let stream = |(index, bytes): (usize, &u64)| StreamResult {
            id: stream_id(index),
            bytes: *bytes,
            retransmits: -1,
            jitter: 0.0,
            errors: 0,
            packets: 0,
            start_time: 0.0,
            end_time: seconds,
        };
        Self {
            cpu_util_total: 0.0,
            cpu_util_user: 0.0,
            cpu_util_system: 0.0,
            sender_has_retransmits: 0,
            streams: bytes.iter().enumerate().map(stream).collect(),
        }
    }

    /// Bytes of all streams.
    pub(crate) fn bytes(&self) -> u64 {
        self.streams.iter().map(|stream| stream.bytes).fold(0, u64::saturating_add)
    }
}

/// The number of a stream. iperf3 counts 1, 3, 4, …; its client looks its streams up by it.
fn stream_id(index: usize) -> u32 {
    let number = u32::try_from(index).unwrap_or(u32::MAX);
    if number == 0 { 1 } else { number.saturating_add(2) }
}

/// Reads a count that may be written like a real number, as iperf3 writes large ones.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    // Negative numbers and what is no number become 0.
    f64::deserialize(deserializer).map(|number| number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_streams_as_iperf3_does() {
        let results = Results::new(&[5, 6, 7], 1.0);
        let ids: Vec<_> = results.streams.iter().map(|stream| stream.id).collect();
        assert_eq!(ids, [1, 3, 4]);
    }

    #[test]
    fn reads_what_iperf3_sends() {
        let text = r#"{"cpu_util_total":12.5,"cpu_util_user":1e-05,"cpu_util_system":12,
            "sender_has_retransmits":18446744073709551615,"congestion_used":"cubic","streams":[{"id":1,
            "bytes":7.30857472e+08,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,
            "start_time":0,"end_time":5.000183}]}"#;
        let results: Results = serde_json::from_str(text).unwrap();
        assert_eq!(results.streams[0].bytes, 730_857_472);
    }
}
