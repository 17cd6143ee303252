//! UDP.

use core::{
    future::poll_fn,
    net::{Ipv4Addr, SocketAddrV4},
    task::{Context, Poll},
};

use cloison_abi::port::UPLINK_MTU;
use smoltcp::{
    iface::SocketHandle,
    socket::udp,
    wire::{IPV4_HEADER_LEN, IpAddress, UDP_HEADER_LEN},
};

use crate::{
    Error, Net, UdpConfig,
    memory::{filled, zeroed},
    stack::{Protocol, has_port},
};

/// A socket for datagrams.
pub struct UdpSocket {
    net: Net,
    socket: SocketHandle,
}

impl UdpSocket {
    /// Takes a local port; 0: any that is free.
    ///
    /// # Errors
    /// [`Error::PortTaken`], [`Error::OutOfHeap`].
    pub fn bind(net: &Net, port: u16) -> Result<Self, Error> {
        Self::bind_with(net, port, net.config.udp)
    }

    /// As [`UdpSocket::bind`], with a configuration for this socket.
    ///
    /// # Errors
    /// As for [`UdpSocket::bind`].
    pub fn bind_with(net: &Net, port: u16, config: UdpConfig) -> Result<Self, Error> {
        let mut stack = net.stack();
        stack.make_room(2 * config.bytes)?;
        let mut socket = udp::Socket::new(buffer(config)?, buffer(config)?);
        let port = match port {
            0 => stack.own_port(Protocol::Udp)?,
            port => port,
        };
        if has_port(&stack.sockets, port, Protocol::Udp) {
            return Err(Error::PortTaken);
        }
        // A new socket can be bound, and the port is not 0.
        socket.bind(port).map_err(|_| Error::BadDestination)?;
        Ok(Self { net: net.clone(), socket: stack.sockets.add(socket) })
    }

    /// Sends a datagram; waits while there is no room for it.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::BadDestination`], [`Error::NoAddress`].
    pub async fn send_to(&self, datagram: &[u8], to: SocketAddrV4) -> Result<(), Error> {
        self.check(datagram.len(), *to.ip())?;
        poll_fn(|context| self.poll_send_to(context, datagram, to)).await
    }

    /// Waits for a datagram. Returns its length and who sent it; what does not fit into `to` is lost.
    ///
    /// # Errors
    /// None so far.
    pub async fn receive_from(&self, to: &mut [u8]) -> Result<(usize, SocketAddrV4), Error> {
        poll_fn(|context| self.poll_receive_from(context, to)).await
    }

    /// The local port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.net.stack().socket::<udp::Socket<'_>>(self.socket).endpoint().port
    }

    fn check(&self, bytes: usize, to: Ipv4Addr) -> Result<(), Error> {
        let stack = self.net.stack();
        let network = stack.interface.ip_addrs().first().ok_or(Error::NoAddress)?;
        // The path beyond this network is unknown; assume no more than the uplink carries.
        let is_near = to.is_broadcast() || network.contains_addr(&to.into());
        let mtu = if is_near { self.net.mtu() } else { self.net.mtu().min(UPLINK_MTU as usize) };
        if bytes + IPV4_HEADER_LEN + UDP_HEADER_LEN > mtu { Err(Error::TooLong) } else { Ok(()) }
    }

    fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddrV4,
    ) -> Poll<Result<(), Error>> {
        let mut stack = self.net.stack();
        let socket = stack.socket::<udp::Socket<'_>>(self.socket);
        if datagram.len() > socket.payload_send_capacity() {
            return Poll::Ready(Err(Error::TooLong));
        }
        match socket.send_slice(datagram, to) {
            Ok(()) => {
                stack.touch();
                Poll::Ready(Ok(()))
            }
            Err(udp::SendError::BufferFull) => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Err(udp::SendError::Unaddressable) => Poll::Ready(Err(Error::BadDestination)),
        }
    }

    fn poll_receive_from(
        &self,
        context: &mut Context<'_>,
        to: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddrV4), Error>> {
        let mut stack = self.net.stack();
        let socket = stack.socket::<udp::Socket<'_>>(self.socket);
        let Ok((datagram, from)) = socket.recv() else {
            socket.register_recv_waker(context.waker());
            return Poll::Pending;
        };
        let bytes = datagram.len().min(to.len());
        to[..bytes].copy_from_slice(&datagram[..bytes]);
        let IpAddress::Ipv4(address) = from.endpoint.addr;
        Poll::Ready(Ok((bytes, SocketAddrV4::new(address, from.endpoint.port))))
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.net.stack().sockets.remove(self.socket);
    }
}

fn buffer(config: UdpConfig) -> Result<udp::PacketBuffer<'static>, Error> {
    let places = filled(config.datagrams.max(1), udp::PacketMetadata::EMPTY)?;
    Ok(udp::PacketBuffer::new(places, zeroed(config.bytes)?))
}
