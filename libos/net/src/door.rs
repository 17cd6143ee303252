//! A port on which connections are accepted.

use alloc::vec::Vec;

use smoltcp::iface::SocketHandle;

use crate::TcpConfig;

/// A port with somebody who accepts.
pub(crate) struct Door {
    pub(crate) port: u16,
    /// How many connections may wait to be accepted.
    pub(crate) backlog: usize,
    pub(crate) config: TcpConfig,
    /// Sockets that listen, or have a connection that is not accepted yet.
    pub(crate) waiting: Vec<SocketHandle>,
    /// How many of them have had a connection since they began to listen. Looked at in each turn of a program.
    pub(crate) made: usize,
}
