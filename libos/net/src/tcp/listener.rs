//! A port on which connections are accepted.

use alloc::vec::Vec;
use core::{
    future::poll_fn,
    task::{Context, Poll},
};

use smoltcp::{iface::SocketHandle, socket::tcp};

use super::{add, stream::TcpStream};
use crate::{
    Error, Net, TcpConfig,
    half_open::{listen, listens_on},
};

/// Accepts connections to a port. Dropped, it resets those that nobody has accepted.
pub struct TcpListener {
    net: Net,
    port: u16,
    backlog: usize,
    config: TcpConfig,
    /// Sockets that listen, or have a connection that is not accepted yet.
    waiting: Vec<SocketHandle>,
}

impl TcpListener {
    /// Listens on a port. `backlog` connections can be made before one is accepted; each takes its buffers
    /// from the heap now.
    ///
    /// # Errors
    /// [`Error::PortTaken`], [`Error::OutOfHeap`], [`Error::BadDestination`] for port 0.
    pub fn bind(net: &Net, port: u16, backlog: usize) -> Result<Self, Error> {
        Self::bind_with(net, port, backlog, net.config.tcp)
    }

    /// As [`TcpListener::bind`], with a configuration for the connections of this listener.
    ///
    /// # Errors
    /// As for [`TcpListener::bind`].
    pub fn bind_with(net: &Net, port: u16, backlog: usize, config: TcpConfig) -> Result<Self, Error> {
        if port == 0 {
            return Err(Error::BadDestination);
        }
        let is_taken = net.stack().sockets.iter().any(|(_, socket)| listens_on(socket, port));
        if is_taken {
            return Err(Error::PortTaken);
        }
        let backlog = backlog.max(1);
        let mut listener = Self { net: net.clone(), port, backlog, config, waiting: Vec::new() };
        listener.waiting.try_reserve_exact(backlog).map_err(|_| Error::OutOfHeap)?;
        while listener.waiting.len() < backlog {
            listener.add_one()?;
        }
        Ok(listener)
    }

    /// Waits for a connection and accepts it.
    ///
    /// # Errors
    /// [`Error::OutOfHeap`] if there is no room for a single socket that listens; later there may be again.
    pub async fn accept(&mut self) -> Result<TcpStream, Error> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    /// As [`TcpListener::accept`], for futures made by hand.
    pub fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<Result<TcpStream, Error>> {
        if let Err(error) = self.refill()
            && self.waiting.is_empty()
        {
            return Poll::Ready(Err(error));
        }
        let Some(place) = self.waiting.iter().position(|socket| self.is_connected(*socket, context)) else {
            return Poll::Pending;
        };
        let socket = self.waiting.remove(place);
        // If there is no room for another one now, the next call tries again.
        let _ = self.refill();
        self.net.stack().touch();
        Poll::Ready(Ok(TcpStream::new(self.net.clone(), socket)))
    }

    /// Port on which it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether a socket has a connection; asks to be woken if not.
    fn is_connected(&self, socket: SocketHandle, context: &Context<'_>) -> bool {
        let mut stack = self.net.stack();
        let socket = stack.socket::<tcp::Socket<'_>>(socket);
        if !socket.is_open() {
            // A connection that was reset, or timed out, before it was accepted.
            listen(socket, self.port);
        }
        let connected =
            !matches!(socket.state(), tcp::State::Listen | tcp::State::SynReceived | tcp::State::Closed);
        if !connected {
            socket.register_recv_waker(context.waker());
            socket.register_send_waker(context.waker());
        }
        connected
    }

    fn refill(&mut self) -> Result<(), Error> {
        while self.waiting.len() < self.backlog {
            self.add_one()?;
        }
        Ok(())
    }

    fn add_one(&mut self) -> Result<(), Error> {
        let handle = add(&self.net, &self.config)?;
        listen(self.net.stack().socket(handle), self.port);
        self.waiting.push(handle);
        Ok(())
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        let mut stack = self.net.stack();
        for handle in self.waiting.drain(..) {
            stack.socket::<tcp::Socket<'_>>(handle).abort();
            stack.let_go(handle);
        }
    }
}
