//! Echo requests, and who answers them.

use alloc::vec::Vec;
use core::{
    cell::Cell,
    future::poll_fn,
    net::Ipv4Addr,
    task::{Context, Poll},
    time::Duration,
};

use cloison_rt::task;
use smoltcp::{
    iface::SocketHandle,
    phy::ChecksumCapabilities,
    socket::icmp,
    wire::{Icmpv4Packet, Icmpv4Repr, IpAddress},
};

use crate::{
    Error, Micros, Net,
    memory::{filled, zeroed},
};

/// Replies that can wait: as many hosts as one switch has ports can answer at once.
const REPLIES: usize = 32;
/// Hosts that one call tells of, at most.
const MAX_HOSTS: usize = 256;
/// Data in a request, as much as other systems send.
const DATA_BYTES: usize = 56;
/// A request or reply, without its IP header.
const PACKET_BYTES: usize = 8 + DATA_BYTES;

/// A host has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoReply {
    /// The host that answered.
    pub from: Ipv4Addr,
    /// How long after the request.
    pub after: Duration,
}

impl Net {
    /// Sends an echo request and shows `each` who answers within `wait`, a host once. Returns how many did. A
    /// single host is waited for only until it answers.
    ///
    /// To the broadcast address, each host of the network can answer. Those that do not know this one's MAC
    /// address have to ask for it first, and lose their answer over it; so all are asked a second time after
    /// half the time.
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
        echo.request(to, 0)?;
        let ask_again = async {
            self.sleep(if asks_all { wait / 2 } else { wait }).await;
            // The same as before, which went out.
            let _ = echo.request(to, 1);
            core::future::pending::<()>().await
        };
        let mut known = Vec::new();
        let collect = async {
            while (known.is_empty() || asks_all) && known.len() < MAX_HOSTS {
                let reply = poll_fn(|context| echo.poll_reply(context)).await;
                if !known.contains(&reply.from) {
                    known.push(reply.from);
                    each(reply);
                }
            }
        };
        // That the time is over is no error: it is how a broadcast ends, and what the number 0 says.
        let _ = self.within(wait, task::select(collect, ask_again)).await;
        Ok(known.len())
    }
}

/// Two requests and their replies.
struct Echo {
    net: Net,
    socket: SocketHandle,
    number: u16,
    /// When each was sent, if it was.
    sent: [Cell<Option<Micros>>; 2],
}

impl Echo {
    fn new(net: &Net) -> Result<Self, Error> {
        let mut stack = net.stack();
        stack.make_room((REPLIES + 1) * PACKET_BYTES)?;
        let mut socket = icmp::Socket::new(buffer(REPLIES)?, buffer(1)?);
        let number = stack.number();
        // A new socket can be bound to any number.
        socket.bind(icmp::Endpoint::Ident(number)).map_err(|_| Error::BadDestination)?;
        Ok(Self { net: net.clone(), socket: stack.sockets.add(socket), number, sent: Default::default() })
    }

    fn request(&self, to: Ipv4Addr, which: u16) -> Result<(), Error> {
        let request = Icmpv4Repr::EchoRequest { ident: self.number, seq_no: which, data: &[0; DATA_BYTES] };
        let mut stack = self.net.stack();
        stack.touch();
        self.sent[usize::from(which)].set(Some(stack.device.wire.link.now()));
        let socket = stack.socket::<icmp::Socket<'_>>(self.socket);
        let packet = socket.send(PACKET_BYTES, to.into()).map_err(|_| Error::BadDestination)?;
        request.emit(&mut Icmpv4Packet::new_unchecked(packet), &ChecksumCapabilities::ignored());
        Ok(())
    }

    fn poll_reply(&self, context: &mut Context<'_>) -> Poll<EchoReply> {
        let mut stack = self.net.stack();
        let now = stack.device.wire.link.now();
        let socket = stack.socket::<icmp::Socket<'_>>(self.socket);
        while let Ok((packet, IpAddress::Ipv4(from))) = socket.recv() {
            if let Some(sent) = reply_to(packet).and_then(|which| self.sent.get(which)?.get()) {
                return Poll::Ready(EchoReply { from, after: Duration::from_micros(now - sent) });
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

/// Which request a packet replies to, if it does: the socket takes what has its number, errors about requests
/// among them.
fn reply_to(packet: &[u8]) -> Option<usize> {
    let packet = Icmpv4Packet::new_checked(packet).ok()?;
    match Icmpv4Repr::parse(&packet, &ChecksumCapabilities::ignored()).ok()? {
        Icmpv4Repr::EchoReply { seq_no, .. } => Some(seq_no.into()),
        _ => None,
    }
}

fn buffer(packets: usize) -> Result<icmp::PacketBuffer<'static>, Error> {
    let places = filled(packets, icmp::PacketMetadata::EMPTY)?;
    Ok(icmp::PacketBuffer::new(places, zeroed(packets * PACKET_BYTES)?))
}
