//! TCP/IP for a domain, on one port of a virtual switch.
//!
//! [`Net::attach`] makes a [`Net`] of the port; its [`Net::run`] moves the packets and is joined with the
//! program's own futures. Everything runs in the domain's one thread, on the executor of `cloison_rt::task`.
//!
//! ```ignore
//! let net = Net::attach("net", Config::default())?;
//! task::block_on(task::select(net.run(), serve(&net)));
//!
//! async fn serve(net: &Net) -> Result<(), Error> {
//!     let mut listener = TcpListener::bind(net, 7, 4)?;
//!     loop {
//!         let mut stream = listener.accept().await?;
//!         stream.write_all(b"hello\n").await?;
//!     }
//! }
//! ```
//!
//! The protocols are smoltcp's. What is here is the port ([`Link`]), memory within the domain's heap, and an
//! interface of futures, with the traits of `embedded-io-async`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod device;
mod error;
mod flows;
mod half_open;
mod link;
mod names;
mod net;
mod ping;
mod port;
mod stack;
mod tcp;
mod udp;

pub use config::{Config, TcpConfig, UdpConfig};
pub use device::Counters;
pub use embedded_io_async::{Read, Write};
pub use error::Error;
pub use link::{Link, Micros};
pub use net::{Addresses, Net};
pub use ping::EchoReply;
pub use tcp::{listener::TcpListener, stream::TcpStream};
pub use udp::UdpSocket;
