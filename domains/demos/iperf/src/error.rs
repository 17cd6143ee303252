//! What can go wrong in a test, in words.

use alloc::{format, string::String};
use core::fmt;

/// Why a test could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The network says this.
    Network(String),
    /// The other side ended the connection in the middle of the test.
    Ended,
    /// The other side does not speak iperf3's protocol: what is wrong.
    Garbage(&'static str),
    /// The other side asks for something that there is not.
    Unsupported(&'static str),
    /// The server has another test to make.
    Busy,
    /// The other side has given the test up, with this number of iperf3's for the reason.
    GivenUp(i32),
    /// Something did not happen in time.
    TimedOut(&'static str),
}

impl Error {
    /// An error of the network.
    pub fn network(error: impl fmt::Display) -> Self {
        Self::Network(format!("{error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(text) => out.write_str(text),
            Self::Ended => out.write_str("the other side ended the connection in the middle of the test"),
            Self::Garbage(what) => write!(out, "the other side does not speak iperf3's protocol: {what}"),
            Self::Unsupported(what) => write!(out, "the other side asks for {what}, which there is not"),
            Self::Busy => out.write_str("the server is busy with another test"),
            Self::GivenUp(0) => out.write_str("the other side has given the test up"),
            Self::GivenUp(number) => {
                write!(out, "the other side has given the test up, with iperf3's error {number}")
            }
            Self::TimedOut(what) => write!(out, "{what} in time"),
        }
    }
}

impl core::error::Error for Error {}
