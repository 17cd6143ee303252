//! The parameters of a test, which the client sends.

use alloc::string::{String, ToString};

use serde::Serialize;
use serde_json::Value;

use crate::{Direction, Error, MAX_STREAMS};

/// The parameters, under the names that iperf3 gives them. What is not named here is the client's own
/// business, such as the size of its socket's buffers. iperf3 takes a flag that is there for one that is set.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// How many streams, each way.
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
    /// Datagrams have numbers of 64 bits.
    #[serde(rename = "udp_counters_64bit", skip_serializing_if = "is_off")]
    pub has_wide_numbers: bool,
    /// Version of the client.
    pub client_version: String,
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
            has_wide_numbers: false,
            client_version: String::new(),
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
    /// It did not understand the parameters, or the results.
    pub(crate) const PARAMETERS: i32 = 114;
    pub(crate) const RESULTS: i32 = 117;
}

impl Parameters {
    /// Reads them as they were sent: numbers as iperf3's JSON has them, `1.0` and `1e+15` among them. Of a key
    /// that comes twice, one counts.
    ///
    /// # Errors
    ///
    /// If a value is not what its name says.
    pub fn read(sent: &Value) -> Result<Self, Error> {
        let default = Self::default();
        let sent = sent.as_object().ok_or(NO_PARAMETERS)?;
        let flag = |name: &str| sent.get(name).is_some_and(|value| !matches!(value, Value::Bool(false)));
        let count = |name: &str, default: u64| match sent.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => whole(value).ok_or(NO_PARAMETERS),
        };
        let seconds =
            |name: &str| -> Result<u32, Error> { Ok(u32::try_from(count(name, 0)?).unwrap_or(u32::MAX)) };
        let size = |name: &str, default: usize| -> Result<usize, Error> {
            Ok(usize::try_from(count(name, default as u64)?).unwrap_or(usize::MAX))
        };
        Ok(Self {
            tcp: flag("tcp"),
            udp: flag("udp"),
            sctp: flag("sctp"),
            omit: seconds("omit")?,
            time: seconds("time")?,
            num: count("num", 0)?,
            blockcount: count("blockcount", 0)?,
            parallel: size("parallel", default.parallel)?,
            len: size("len", default.len)?,
            reverse: flag("reverse"),
            bidirectional: flag("bidirectional"),
            bandwidth: count("bandwidth", 0)?,
            has_wide_numbers: flag("udp_counters_64bit"),
            client_version: sent.get("client_version").and_then(Value::as_str).unwrap_or("").to_string(),
        })
    }

    /// Which way the data goes, as the server sees it.
    pub(crate) fn direction_of_server(&self) -> Direction {
        match (self.bidirectional, self.reverse) {
            (true, _) => Direction::Both,
            (false, true) => Direction::Sent,
            (false, false) => Direction::Received,
        }
    }

    /// Why a server cannot make this test.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let refuse = |what, number| Some(Refusal { what, number });
        let streams = self.parallel.saturating_mul(if self.bidirectional { 2 } else { 1 });
        if self.sctp || self.tcp == self.udp {
            refuse("a test over something else than TCP or UDP", Refusal::NOT_IMPLEMENTED)
        } else if streams == 0 || streams > MAX_STREAMS {
            refuse("more streams than there is memory for", Refusal::TOO_MANY_STREAMS)
        } else {
            None
        }
    }
}

const NO_PARAMETERS: Error = Error::Garbage("its parameters make no sense");

/// A count, that may be written like a real number.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    let number = value.as_f64().filter(|number| *number >= 0.0)?;
    Some(value.as_u64().unwrap_or(number as u64))
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Unsupported(refusal.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Parameters, Error> {
        Parameters::read(&serde_json::from_str(text).unwrap())
    }

    /// What iperf 3.12 sends for `-P 2 -R -O 1 -t 5`.
    const SENT: &str = r#"{"tcp":true,"omit":1,"time":5,"num":0,"blockcount":0,"parallel":2,"reverse":true,
        "len":131072,"pacing_timer":1000,"client_version":"3.12"}"#;

    #[test]
    fn reads_what_iperf3_sends() {
        let parameters = read(SENT).unwrap();
        assert_eq!(
            (parameters.parallel, parameters.omit, parameters.time, parameters.reverse),
            (2, 1, 5, true)
        );
        assert_eq!(parameters.refusal(), None);
        assert_eq!(parameters.direction_of_server(), Direction::Sent);
    }

    #[test]
    fn reads_numbers_and_keys_as_they_come() {
        let text = r#"{"tcp":true,"tcp":true,"num":1e+15,"time":1.0,"parallel":2e0,"bandwidth":1.8446744073709552e+19,
            "len":1400,"len":1400.0,"omit":null,"time":2,"reverse":false,"window":[{}],"title":{"a":null}}"#;
        let read = read(text).unwrap();
        assert_eq!((read.num, read.time, read.parallel, read.len), (1_000_000_000_000_000, 2, 2, 1400));
        assert_eq!((read.bandwidth, read.reverse, read.refusal()), (u64::MAX, false, None));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for value in ["-1", "\"1\"", "[1]", "{}", "true", "-1e300"] {
            let text = ["{\"tcp\":true,\"parallel\":", value, "}"].concat();
            assert!(read(&text).is_err(), "{text}");
        }
        for text in ["null", "[]", "7", "\"tcp\""] {
            assert!(read(text).is_err(), "{text}");
        }
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
            Parameters { sctp: true, ..tcp.clone() },
            Parameters { parallel: MAX_STREAMS + 1, ..tcp.clone() },
            Parameters { bidirectional: true, parallel: MAX_STREAMS / 2 + 1, ..tcp.clone() },
            Parameters { bidirectional: true, parallel: usize::MAX, ..tcp.clone() },
            Parameters { parallel: 0, ..tcp },
        ];
        for parameters in cases {
            assert!(parameters.refusal().is_some(), "{parameters:?}");
        }
    }
}
