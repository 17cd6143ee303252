//! Echo requests, and who answers them.

use core::{
    future::poll_fn,
    net::Ipv4Addr,
    task::{Context, Poll},
    time::Duration,
};

use smoltcp::{
    iface::SocketHandle,
    phy::ChecksumCapabilities,
    socket::icmp,
    wire::{Icmpv4Packet, Icmpv4Repr, IpAddress},
};

use crate::{
    Error, Micros, Net,
    stack::{filled, zeroed},
};

/// Replies that can wait: as many hosts as one switch has ports can answer at once.
const REPLIES: usize = 32;
/// Data in a request, as much as other systems send.
const DATA_BYTES: usize = 56;
/// A request or reply, without its IP header.
const PACKET_BYTES: usize = 8 + DATA_BYTES;

/// A host has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoReply {
    /// Which one.
    pub from: Ipv4Addr,
    /// How long after the request.
    pub after: Duration,
}

impl Net {
    /// Sends one echo request and shows `each` who answers within `wait`. Returns how many did. One host is
    /// waited for only until it answers; to the broadcast address, each host of the network can answer.
    ///
    /// A host that does not know this one's MAC address has to ask for it first, and its first answer may be
    /// lost on that account.
    ///
    /// # Errors
    /// [`Error::NoAddress`], [`Error::BadDestination`], [`Error::OutOfHeap`].
    pub async fn ping(
        &self,
        to: Ipv4Addr,
        wait: Duration,
        mut each: impl FnMut(EchoReply),
    ) -> Result<usize, Error> {
        let addresses = self.addresses().ok_or(Error::NoAddress)?;
        let asks_all = to.is_broadcast() || to == addresses.broadcast;
        let echo = Echo::new(self)?;
        echo.request(to)?;
        let mut replies = 0;
        let collect = async {
            while replies == 0 || asks_all {
                each(poll_fn(|context| echo.poll_reply(context)).await);
                replies += 1;
            }
        };
        // That the time is over is no error: it is how a broadcast ends, and what the number 0 says.
        let _ = self.within(wait, collect).await;
        Ok(replies)
    }
}

/// One request and its replies.
struct Echo {
    net: Net,
    socket: SocketHandle,
    number: u16,
    sent: Micros,
}

impl Echo {
    fn new(net: &Net) -> Result<Self, Error> {
        let mut socket = icmp::Socket::new(buffer(REPLIES)?, buffer(1)?);
        let mut stack = net.stack();
        let number = stack.number();
        // A new socket can be bound to any number.
        socket.bind(icmp::Endpoint::Ident(number)).map_err(|_| Error::BadDestination)?;
        let sent = stack.device.link.now();
        Ok(Self { net: net.clone(), socket: stack.sockets.add(socket), number, sent })
    }

    fn request(&self, to: Ipv4Addr) -> Result<(), Error> {
        let request = Icmpv4Repr::EchoRequest { ident: self.number, seq_no: 1, data: &[0; DATA_BYTES] };
        let mut stack = self.net.stack();
        stack.touch();
        let socket = stack.socket::<icmp::Socket<'_>>(self.socket);
        let packet = socket.send(PACKET_BYTES, to.into()).map_err(|_| Error::BadDestination)?;
        request.emit(&mut Icmpv4Packet::new_unchecked(packet), &ChecksumCapabilities::ignored());
        Ok(())
    }

    fn poll_reply(&self, context: &mut Context<'_>) -> Poll<EchoReply> {
        let mut stack = self.net.stack();
        let now = stack.device.link.now();
        let socket = stack.socket::<icmp::Socket<'_>>(self.socket);
        while let Ok((packet, from)) = socket.recv() {
            let IpAddress::Ipv4(from) = from;
            if is_reply(packet) {
                return Poll::Ready(EchoReply { from, after: Duration::from_micros(now - self.sent) });
            }
        }
        socket.register_recv_waker(context.waker());
        Poll::Pending
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.net.stack().sockets.remove(self.socket);
    }
}

/// The socket takes packets with its number only, but errors about requests as well.
fn is_reply(packet: &[u8]) -> bool {
    let packet = Icmpv4Packet::new_checked(packet);
    let message = packet.and_then(|packet| Icmpv4Repr::parse(&packet, &ChecksumCapabilities::ignored()));
    matches!(message, Ok(Icmpv4Repr::EchoReply { .. }))
}

fn buffer(packets: usize) -> Result<icmp::PacketBuffer<'static>, Error> {
    let places = filled(packets, icmp::PacketMetadata::EMPTY)?;
    Ok(icmp::PacketBuffer::new(places, zeroed(packets * PACKET_BYTES)?))
}
