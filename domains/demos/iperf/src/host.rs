//! What a test needs of the world: connections and time.

use core::{
    future::Future,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use embedded_io_async::{Read, Write};

use crate::Error;

/// A port on which connections are accepted.
pub trait Listener {
    /// A connection.
    type Stream: Read + Write;
    /// A socket for datagrams.
    type Datagrams: Datagrams;

    /// A socket for datagrams to the same port.
    fn datagrams(&mut self) -> impl Future<Output = Result<Self::Datagrams, Error>>;

    /// The host at the other end of a connection, if it is known.
    fn host(stream: &Self::Stream) -> Option<Ipv4Addr>;

    /// Waits for a connection. Dropped before it is ready, it loses none.
    fn accept(&mut self) -> impl Future<Output = Result<Self::Stream, Error>>;
}

/// A socket for datagrams.
pub trait Datagrams {
    /// Waits for a datagram. Dropped before it is ready, it loses none.
    fn receive(&self, to: &mut [u8]) -> impl Future<Output = Result<(usize, SocketAddrV4), Error>>;

    /// Sends a datagram.
    fn send(&self, datagram: &[u8], to: SocketAddrV4) -> impl Future<Output = Result<(), Error>>;
}

/// A way to a server.
pub trait Connector {
    /// A connection.
    type Stream: Read + Write;

    /// Makes a connection to the server.
    fn connect(&mut self) -> impl Future<Output = Result<Self::Stream, Error>>;
}

/// A clock, and sleep by it.
pub trait Clock {
    /// The time since some moment before the test.
    fn now(&self) -> Duration;

    /// Waits for so long.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()>;
}

/// Waits for a future, but not longer than `limit`. `what` says what did not happen then.
pub(crate) async fn within<T>(
    clock: &impl Clock,
    limit: Duration,
    what: &'static str,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    use embassy_futures::select::{Either, select};
    match select(future, clock.sleep(limit)).await {
        Either::First(result) => result,
        Either::Second(()) => Err(Error::TimedOut(what)),
    }
}
