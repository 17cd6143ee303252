//! The parameters of a test, which the client sends.

use core::fmt;

use serde::{
    Deserialize, Serialize,
    de::{Deserializer, Error as _, MapAccess, Visitor},
};

use crate::{Direction, Error, MAX_STREAMS, json::Scalar};

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
    /// Version of the client, which the server has no use for.
    pub client_version: &'static str,
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
            client_version: "",
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
    /// that comes twice, the last one counts.
    ///
    /// # Errors
    ///
    /// If it is no object of JSON, or a value is not what its name says.
    pub fn read(sent: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(sent).map_err(|_| Error::Garbage("its parameters make no sense"))
    }

    /// Sets one of them. `None`: it cannot have this value.
    fn set(&mut self, key: Key, value: Scalar) -> Option<()> {
        let default = Self::default();
        match key {
            Key::Tcp => self.tcp = value.is_set(),
            Key::Udp => self.udp = value.is_set(),
            Key::Sctp => self.sctp = value.is_set(),
            Key::Omit => self.omit = value.count_or(default.omit, u32::MAX)?,
            Key::Time => self.time = value.count_or(default.time, u32::MAX)?,
            Key::Num => self.num = value.count_or(default.num, u64::MAX)?,
            Key::Blockcount => self.blockcount = value.count_or(default.blockcount, u64::MAX)?,
            Key::Parallel => self.parallel = value.count_or(default.parallel, usize::MAX)?,
            Key::Len => self.len = value.count_or(default.len, usize::MAX)?,
            Key::Reverse => self.reverse = value.is_set(),
            Key::Bidirectional => self.bidirectional = value.is_set(),
            Key::Bandwidth => self.bandwidth = value.count_or(default.bandwidth, u64::MAX)?,
            Key::WideNumbers => self.has_wide_numbers = value.is_set(),
            Key::Other => {}
        }
        Some(())
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

/// What a parameter is called.
#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Tcp,
    Udp,
    Sctp,
    Omit,
    Time,
    Num,
    Blockcount,
    Parallel,
    Len,
    Reverse,
    Bidirectional,
    Bandwidth,
    #[serde(rename = "udp_counters_64bit")]
    WideNumbers,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Sent)
    }
}

struct Sent;

impl<'de> Visitor<'de> for Sent {
    type Value = Parameters;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the parameters of a test")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Parameters, A::Error> {
        let mut parameters = Parameters::default();
        while let Some((key, value)) = entries.next_entry()? {
            parameters.set(key, value).ok_or_else(|| A::Error::custom("not a value of this parameter"))?;
        }
        Ok(parameters)
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

    fn read(text: &str) -> Result<Parameters, Error> {
        Parameters::read(text.as_bytes())
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
