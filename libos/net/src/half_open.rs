//! Connections that others have asked for and not made yet: they have been answered, and have not
//! acknowledged the answer (SYN-RECEIVED).
//!
//! Each of them takes a socket that listened, and costs the other side a segment, whose source address need
//! not be true. So they have little time; and if they have all sockets of a port, the oldest gives way to the
//! next. Whoever wants to keep others out has to ask as often as there are sockets in the time that an honest
//! answer takes.

use smoltcp::{
    iface::{SocketHandle, SocketSet},
    socket::{Socket, tcp},
};

use crate::{
    Micros,
    flows::Ends,
    stack::{Stack, connection},
};

/// How long the other side may take: its answer, or this side's, may be lost once or twice.
const PATIENCE: Micros = 3_000_000;

impl Stack {
    /// Somebody asks for a connection to a port: has a socket listen there, if one can be spared.
    pub(crate) fn make_way(&mut self, port: u16, now: Micros) {
        self.half_open_until.get_or_insert(now + PATIENCE);
        if self.sockets.iter().any(|(_, socket)| listens_on(socket, port)) {
            return;
        }
        let mut flows = self.device.flows.iter().filter(|(ends, _)| ends.local_port() == port);
        if let Some(oldest) = flows.find_map(|(ends, _)| half_open(&self.sockets, ends)) {
            listen_again(&mut self.sockets, oldest);
        }
    }

    /// Gives up connections that have taken too long.
    pub(crate) fn expire_half_open(&mut self, now: Micros) {
        if self.half_open_until.is_none_or(|until| now < until) {
            return;
        }
        self.half_open_until = None;
        for (ends, since) in self.device.flows.iter() {
            let until = since + PATIENCE;
            match half_open(&self.sockets, ends) {
                Some(socket) if until <= now => listen_again(&mut self.sockets, socket),
                // The flows are in the order of their time.
                Some(_) => {
                    self.half_open_until = Some(until);
                    return;
                }
                None => {}
            }
        }
    }
}

pub(crate) fn listens_on(socket: &Socket<'_>, port: u16) -> bool {
    let Socket::Tcp(socket) = socket else { return false };
    socket.is_listening() && socket.listen_endpoint().port == port
}

/// Has a closed socket listen. It can only refuse an open one, or port 0.
pub(crate) fn listen(socket: &mut tcp::Socket<'_>, port: u16) {
    let listens = socket.listen(port);
    debug_assert!(listens.is_ok(), "a closed socket can listen");
}

/// The socket of a connection that others have asked for and not made yet.
fn half_open(sockets: &SocketSet<'_>, ends: Ends) -> Option<SocketHandle> {
    connection(sockets, ends).filter(|socket| {
        let socket = sockets.get::<tcp::Socket<'_>>(*socket);
        // One that this side asked for can be in this state too, but never listened.
        socket.state() == tcp::State::SynReceived && socket.listen_endpoint().port != 0
    })
}

fn listen_again(sockets: &mut SocketSet<'_>, socket: SocketHandle) {
    let socket = sockets.get_mut::<tcp::Socket<'_>>(socket);
    let port = socket.listen_endpoint().port;
    socket.abort();
    listen(socket, port);
}
