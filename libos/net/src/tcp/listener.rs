//! A port on which connections are accepted.

use core::{
    future::poll_fn,
    task::{Context, Poll},
};

use super::stream::TcpStream;
use crate::{Error, Net, TcpConfig};

/// Accepts connections to a port. Dropped, it resets those that nobody has accepted.
pub struct TcpListener {
    net: Net,
    port: u16,
}

impl TcpListener {
    /// Listens on a port. `backlog` connections can be made before one is accepted; more are refused. Four of
    /// them have their buffers already, which are taken from the heap now; the others stand in line for
    /// them, and may send when they have got them.
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
        net.stack().open_door(port, backlog, config)?;
        Ok(Self { net: net.clone(), port })
    }

    /// Waits for a connection and accepts it.
    ///
    /// # Errors
    /// [`Error::OutOfHeap`] if there is no room for a single socket that listens; later there may be again.
    pub async fn accept(&mut self) -> Result<TcpStream, Error> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    /// As [`TcpListener::accept`], for futures made by hand. They are polled again when a connection has been
    /// made: whatever comes in has all futures polled.
    pub fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<Result<TcpStream, Error>> {
        let mut stack = self.net.stack();
        let made = stack.take_made(self.port);
        // If there is no room for another socket now, the next call tries again.
        let refilled = stack.refill(self.port);
        match (made, refilled) {
            (Some(socket), _) => {
                stack.touch();
                Poll::Ready(Ok(TcpStream::new(self.net.clone(), socket)))
            }
            (None, Err(error)) if stack.is_barred(self.port) => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    }

    /// How many connections have been made, and wait to be accepted.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.net.stack().waiting(self.port)
    }

    /// Port on which it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.net.stack().close_door(self.port);
    }
}
