//! What a test needs of the world: connections and time.

use core::{future::Future, time::Duration};

use embedded_io_async::{Read, Write};

use crate::Error;

/// A port on which connections are accepted.
pub trait Listener {
    /// A connection.
    type Stream: Read + Write;

    /// Waits for a connection. Dropped before it is ready, it loses none.
    fn accept(&mut self) -> impl Future<Output = Result<Self::Stream, Error>>;
}

/// A way to a server.
pub trait Connector {
    /// A connection.
    type Stream: Read + Write;

    /// Makes a connection to the server.
    fn connect(&mut self) -> impl Future<Output = Result<Self::Stream, Error>>;
}

/// A clock.
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
