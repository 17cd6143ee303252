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
//! IP, UDP and TCP are smoltcp's. What is here is the port ([`Link`]), what is below IP and beside it (ARP, DHCP,
//! names), memory within the domain's heap, and an interface of futures, with the traits of `embedded-io-async`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod device;
mod dhcp;
mod dns;
mod door;
mod doors;
mod error;
mod ethernet;
mod flows;
mod host;
mod line;
mod link;
mod memory;
mod names;
mod neighbours;
mod net;
mod ping;
mod port;
mod repeat;
mod segment;
mod stack;
mod tcp;
mod udp;

/// The parsers of messages that others have written, apart from any network, for tests.
pub mod messages {
    pub use crate::{
        dhcp::{Kind, Reply},
        dns::{NoAddress, answer, query},
    };
}

pub use config::{Config, TcpConfig, UdpConfig};
pub use device::Counters;
pub use embedded_io_async::{Read, Write};
pub use error::Error;
pub use link::{Link, Micros};
pub use net::{Addresses, Net};
pub use ping::EchoReply;
pub use tcp::{
    listener::TcpListener,
    seats::{Seat, Seats},
    stream::TcpStream,
};
pub use udp::UdpSocket;
