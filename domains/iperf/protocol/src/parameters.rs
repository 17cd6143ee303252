//! The parameters of a test, which the client sends.

use serde::{Deserialize, Serialize};

use crate::{Direction, Error, MAX_STREAMS};

/// The parameters, under the names that iperf3 gives them. What is not named here is the client's own
/// business, such as the size of its socket's buffers. iperf3 takes a flag that is there for one that is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameters {
    /// Over TCP.
    #[serde(skip_serializing_if = "is_off")]
    pub tcp: bool,
    /// Over UDP.
    #[serde(skip_serializing_if = "is_off")]
    pub udp: bool,
    /// Over SCTP.
    #[serde(skip_serializing_if = "is_off")]
    pub sctp: bool,
    /// Seconds at the beginning that do not count.
    pub omit: u32,
    /// Seconds that the test takes; 0: until the client has had enough.
    pub time: u32,
    /// Bytes after which the client has had enough; 0: no such limit.
    pub num: u64,
    /// Blocks after which the client has had enough; 0: no such limit.
    pub blockcount: u64,
    /// How many streams.
    pub parallel: usize,
    /// Bytes that are read or written at once.
    pub len: usize,
    /// The server sends.
    #[serde(skip_serializing_if = "is_off")]
    pub reverse: bool,
    /// Both sides send.
    #[serde(skip_serializing_if = "is_off")]
    pub bidirectional: bool,
    /// Bits per second at which the sender is to stop; 0: none.
    pub bandwidth: u64,
    /// Version of the client.
    pub client_version: alloc::string::String,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            tcp: false,
            udp: false,
            sctp: false,
            omit: 0,
            time: 0,
            num: 0,
            blockcount: 0,
            parallel: 1,
            len: 128 << 10,
            reverse: false,
            bidirectional: false,
            bandwidth: 0,
            client_version: alloc::string::String::new(),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_off(flag: &bool) -> bool {
    !flag
}

/// Why a server cannot make a test, and iperf3's number for the reason, which its client turns into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) what: &'static str,
    pub(crate) number: i32,
}

impl Refusal {
    const TOO_MANY_STREAMS: i32 = 6;
    const NOT_IMPLEMENTED: i32 = 13;
}

impl Parameters {
    /// Which way the data goes, as the server sees it.
    pub(crate) fn direction_of_server(&self) -> Direction {
        if self.reverse { Direction::Sent } else { Direction::Received }
    }

    /// Why a server cannot make this test.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let refuse = |what, number| Some(Refusal { what, number });
        if self.udp || self.sctp || !self.tcp {
            refuse("a test over something else than TCP", Refusal::NOT_IMPLEMENTED)
        } else if self.bidirectional {
            refuse("data in both directions at once", Refusal::NOT_IMPLEMENTED)
        } else if self.reverse && self.bandwidth != 0 {
            refuse("a limit to what the server sends", Refusal::NOT_IMPLEMENTED)
        } else if self.parallel == 0 || self.parallel > MAX_STREAMS {
            refuse("more streams than there is memory for", Refusal::TOO_MANY_STREAMS)
        } else {
            None
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Unsupported(refusal.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What iperf 3.12 sends for `-P 2 -R -O 1 -t 5`.
    const SENT: &str = r#"{"tcp":true,"omit":1,"time":5,"num":0,"blockcount":0,"parallel":2,"reverse":true,
        "len":131072,"pacing_timer":1000,"client_version":"3.12"}"#;

    #[test]
    fn reads_what_iperf3_sends() {
        let parameters: Parameters = serde_json::from_str(SENT).unwrap();
        assert_eq!(
            (parameters.parallel, parameters.omit, parameters.time, parameters.reverse),
            (2, 1, 5, true)
        );
        assert_eq!(parameters.refusal(), None);
        assert_eq!(parameters.direction_of_server(), Direction::Sent);
    }

    #[test]
    fn names_no_flag_that_is_not_set() {
        let sent = serde_json::to_string(&Parameters { tcp: true, ..Parameters::default() }).unwrap();
        assert!(sent.contains("\"tcp\":true") && !sent.contains("false"), "{sent}");
    }

    #[test]
    fn refuses_what_it_cannot_do() {
        let tcp = Parameters { tcp: true, ..Parameters::default() };
        let cases = [
            Parameters::default(),
            Parameters { udp: true, ..tcp.clone() },
            Parameters { bidirectional: true, ..tcp.clone() },
            Parameters { reverse: true, bandwidth: 1, ..tcp.clone() },
            Parameters { parallel: MAX_STREAMS + 1, ..tcp.clone() },
            Parameters { parallel: 0, ..tcp },
        ];
        for parameters in cases {
            assert!(parameters.refusal().is_some(), "{parameters:?}");
        }
    }
}
