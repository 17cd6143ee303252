//! The protocol of iperf3: the server's side of a test over TCP or UDP, and the client's over TCP. It reaches the network
//! through [`Listener`], [`Connector`] and [`Clock`], so all of it runs in tests on the host, against the real iperf3 too.
//!
//! A test has a *control connection* and one *stream* or several. On the control connection the server leads
//! with states, each one byte, and both sides send objects of JSON, each after its length:
//!
//! ```text
//! client                             server
//! cookie            ───────────────→
//!                   ←─────────────── ParamExchange
//! parameters        ───────────────→
//!                   ←─────────────── CreateStreams
//! cookie, on each new stream ──────→
//!                   ←─────────────── TestStart, TestRunning
//!        data, on the streams, one way or the other, or both
//! TestEnd           ───────────────→
//!                   ←─────────────── ExchangeResults
//! results           ───────────────→
//!                   ←─────────────── results
//!                   ←─────────────── DisplayResults
//! IperfDone         ───────────────→
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod amount;
mod arguments;
mod client;
mod control;
mod cookie;
mod datagrams;
mod error;
mod host;
mod json;
mod newcomers;
mod parameters;
mod report;
mod results;
mod server;
mod state;
mod tally;
mod transfer;

pub use arguments::{ClientOptions, Role};
pub use client::call;
pub use cookie::Cookie;
pub use error::Error;
pub use host::{Clock, Connector, Datagrams, Listener};
pub use newcomers::Newcomers;
pub use parameters::Parameters;
pub use report::{Direction, Report};
pub use results::{Results, StreamResult};
pub use server::serve;
pub use state::State;
pub use tally::Tally;

/// The port on which an iperf3 server listens.
pub const PORT: u16 = 5201;
/// Most streams that a test may have. Each takes its buffers from the domain's heap.
pub const MAX_STREAMS: usize = 4;
