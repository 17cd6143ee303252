//! TCP: listeners, streams, and places for clients.

pub(crate) mod listener;
pub(crate) mod seats;
pub(crate) mod stream;

use core::time::Duration;

use smoltcp::{iface::SocketHandle, socket::tcp};

use crate::{Error, TcpConfig, memory::zeroed, stack::Stack};

impl Stack {
    /// Adds a socket. If memory is short, connections that are only waiting for their end make room for it.
    pub(crate) fn add_tcp(&mut self, config: &TcpConfig) -> Result<SocketHandle, Error> {
        self.make_room(config.receive_bytes + config.send_bytes)?;
        let sockets = self.sockets.iter().count() + 1;
        self.device.wire.flows.reserve(sockets)?;
        loop {
            match socket(config) {
                Ok(socket) => return Ok(self.sockets.add(socket)),
                Err(error) if !self.drop_oldest() => return Err(error),
                Err(_) => {}
            }
        }
    }
}

fn socket(config: &TcpConfig) -> Result<tcp::Socket<'static>, Error> {
    let (receive, send) = (zeroed(config.receive_bytes)?, zeroed(config.send_bytes)?);
    let mut socket = tcp::Socket::new(tcp::SocketBuffer::new(receive), tcp::SocketBuffer::new(send));
    socket.set_timeout(config.timeout.map(duration));
    socket.set_keep_alive(config.keep_alive.map(duration));
    socket.set_ack_delay(config.acknowledge_delay.map(duration));
    socket.set_nagle_enabled(config.gathers_small_writes);
    socket.set_congestion_control(match config.avoids_congestion {
        true => tcp::CongestionControl::Reno,
        false => tcp::CongestionControl::None,
    });
    Ok(socket)
}

fn duration(duration: Duration) -> smoltcp::time::Duration {
    smoltcp::time::Duration::from_micros(crate::net::micros(duration))
}
