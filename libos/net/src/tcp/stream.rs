//! A connection.

use core::{
    cell::Cell,
    future::poll_fn,
    net::SocketAddrV4,
    task::{Context, Poll},
    time::Duration,
};

use embedded_io_async::{ErrorType, Read, Write};
use smoltcp::{
    iface::SocketHandle,
    socket::tcp::{self, State},
    wire::IpAddress,
};

use super::duration;
use crate::{
    Error, Net, TcpConfig,
    segment::Ends,
    stack::{Protocol, Stack},
};

/// How often a silent other side is asked once this side has ended.
const ASK_AFTER_END: Duration = Duration::from_secs(1);

/// A TCP connection.
///
/// Reading and writing need no exclusive access, so that one future can read while another one writes: the
/// traits are there for `&TcpStream` too. Dropped, a stream is closed: what was written still arrives, if
/// the other side takes it within 20 seconds.
pub struct TcpStream {
    net: Net,
    socket: SocketHandle,
    /// Whether this side has ended it.
    is_ended: Cell<bool>,
}

impl TcpStream {
    pub(super) fn new(net: Net, socket: SocketHandle) -> Self {
        Self { net, socket, is_ended: Cell::new(false) }
    }

    /// Connects to another host.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::TimedOut`], [`Error::NoAddress`], [`Error::BadDestination`],
    /// [`Error::OutOfHeap`].
    pub async fn connect(net: &Net, to: SocketAddrV4) -> Result<Self, Error> {
        Self::connect_with(net, to, net.config.tcp).await
    }

    /// As [`TcpStream::connect`], with a configuration for this connection.
    ///
    /// # Errors
    /// As for [`TcpStream::connect`].
    pub async fn connect_with(net: &Net, to: SocketAddrV4, config: TcpConfig) -> Result<Self, Error> {
        let stream = Self::new(net.clone(), net.stack().add_tcp(&config)?);
        let start = net.now();
        stream.start(to)?;
        poll_fn(|context| stream.poll_connected(context)).await.map_err(|error| {
            let waited = Duration::from_micros(net.now() - start);
            if config.timeout.is_some_and(|timeout| waited >= timeout) { Error::TimedOut } else { error }
        })?;
        Ok(stream)
    }

    /// Address and port of the other side; `None` once the connection is gone.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddrV4> {
        let end = self.net.stack().socket::<tcp::Socket<'_>>(self.socket).remote_endpoint()?;
        let IpAddress::Ipv4(address) = end.addr;
        Some(SocketAddrV4::new(address, end.port))
    }

    /// Reads in place: waits for data, shows `take` what has arrived in one piece, and removes as many bytes
    /// as it says it has taken. Returns `None` at the end of the data. `take` must not use the network.
    ///
    /// # Errors
    /// [`Error::Reset`].
    pub async fn read_with<R>(
        &self,
        mut take: impl FnMut(&mut [u8]) -> (usize, R),
    ) -> Result<Option<R>, Error> {
        poll_fn(|context| self.poll_read(context, |socket| socket.recv(&mut take))).await
    }

    /// Writes in place: waits for room, has `fill` put bytes into a piece of it, and sends as many as it
    /// says. `fill` must not use the network.
    ///
    /// # Errors
    /// [`Error::Reset`], [`Error::Closed`].
    pub async fn write_with<R>(&self, mut fill: impl FnMut(&mut [u8]) -> (usize, R)) -> Result<R, Error> {
        poll_fn(|context| self.poll_write(context, |socket| socket.send(&mut fill))).await
    }

    /// Ends this side of the connection: the other side will read to the end of what was written, and can
    /// still write.
    pub fn close_write(&self) {
        self.is_ended.set(true);
        let mut stack = self.net.stack();
        end(stack.socket(self.socket));
        stack.touch();
    }

    /// Closes the connection, and waits until the other side has acknowledged all that was written.
    ///
    /// # Errors
    /// [`Error::Reset`].
    pub async fn close(self) -> Result<(), Error> {
        self.close_write();
        poll_fn(|context| self.poll_written(context, |state| !sends_end(state))).await
    }

    /// Resets the connection. What has not been sent is lost.
    pub fn abort(self) {
        self.net.stack().socket::<tcp::Socket<'_>>(self.socket).abort();
    }

    /// The connection ends when the other side has owed an answer for so long.
    pub fn set_timeout(&self, timeout: Option<Duration>) {
        self.net.stack().socket::<tcp::Socket<'_>>(self.socket).set_timeout(timeout.map(duration));
    }

    /// A silent other side is asked after so long whether it is still there.
    pub fn set_keep_alive(&self, interval: Option<Duration>) {
        self.net.stack().socket::<tcp::Socket<'_>>(self.socket).set_keep_alive(interval.map(duration));
    }

    fn start(&self, to: SocketAddrV4) -> Result<(), Error> {
        let mut stack = self.net.stack();
        let address = stack.interface.ipv4_addr().ok_or(Error::NoAddress)?;
        if to.port() == 0 || !IpAddress::from(*to.ip()).is_unicast() {
            return Err(Error::BadDestination);
        }
        let port = stack.own_port(Protocol::Tcp)?;
        stack.open(Ends::new((address, port).into(), to.into()));
        stack.touch();
        let Stack { interface, sockets, .. } = &mut *stack;
        let socket = sockets.get_mut::<tcp::Socket<'_>>(self.socket);
        socket.connect(interface.context(), to, port).map_err(|_| Error::BadDestination)
    }

    fn poll_connected(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut stack = self.net.stack();
        let socket = stack.socket::<tcp::Socket<'_>>(self.socket);
        match socket.state() {
            State::SynSent | State::SynReceived => {
                socket.register_recv_waker(context.waker());
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            State::Closed => Poll::Ready(Err(Error::Refused)),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_read<R>(
        &self,
        context: &mut Context<'_>,
        receive: impl FnOnce(&mut tcp::Socket<'static>) -> Result<R, tcp::RecvError>,
    ) -> Poll<Result<Option<R>, Error>> {
        let mut stack = self.net.stack();
        let socket = stack.socket::<tcp::Socket<'_>>(self.socket);
        if socket.can_recv() || !socket.may_recv() {
            let result = match receive(socket) {
                Ok(result) => Ok(Some(result)),
                Err(tcp::RecvError::Finished) => Ok(None),
                Err(tcp::RecvError::InvalidState) => Err(Error::Reset),
            };
            // There is room again: the other side may have to be told.
            stack.touch();
            return Poll::Ready(result);
        }
        socket.register_recv_waker(context.waker());
        Poll::Pending
    }

    fn poll_write<R>(
        &self,
        context: &mut Context<'_>,
        send: impl FnOnce(&mut tcp::Socket<'static>) -> Result<R, tcp::SendError>,
    ) -> Poll<Result<R, Error>> {
        let mut stack = self.net.stack();
        let socket = stack.socket::<tcp::Socket<'_>>(self.socket);
        if !socket.may_send() {
            return Poll::Ready(Err(if self.is_ended.get() { Error::Closed } else { Error::Reset }));
        }
        if !socket.can_send() {
            socket.register_send_waker(context.waker());
            return Poll::Pending;
        }
        let result = send(socket).map_err(|_| Error::Closed);
        stack.touch();
        Poll::Ready(result)
    }

    /// Ready when all that was written has been acknowledged, and the connection's state is an `end`.
    fn poll_written(
        &self,
        context: &mut Context<'_>,
        end: impl Fn(State) -> bool,
    ) -> Poll<Result<(), Error>> {
        let mut stack = self.net.stack();
        let socket = stack.socket::<tcp::Socket<'_>>(self.socket);
        let (state, left) = (socket.state(), socket.send_queue());
        if left == 0 && end(state) {
            return Poll::Ready(Ok(()));
        }
        if state == State::Closed {
            return Poll::Ready(Err(Error::Reset));
        }
        socket.register_send_waker(context.waker());
        socket.register_recv_waker(context.waker());
        Poll::Pending
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        let mut stack = self.net.stack();
        end(stack.socket(self.socket));
        stack.let_go(self.socket);
    }
}

/// Ends this side of a connection.
fn end(socket: &mut tcp::Socket<'_>) {
    socket.close();
    // smoltcp 0.14 stops its timer, and sends nothing, when three duplicate acknowledgements come while only
    // the end (FIN) is under way; if that was lost, both sides would wait for ever. The next keep-alive then
    // takes the end along.
    let interval = socket.keep_alive().unwrap_or(duration(ASK_AFTER_END));
    socket.set_keep_alive(Some(interval));
}

/// Whether this side's end has been sent, or is to be, and is not acknowledged yet.
fn sends_end(state: State) -> bool {
    matches!(state, State::FinWait1 | State::Closing | State::LastAck)
}

impl ErrorType for TcpStream {
    type Error = Error;
}

impl ErrorType for &TcpStream {
    type Error = Error;
}

impl Read for &TcpStream {
    async fn read(&mut self, to: &mut [u8]) -> Result<usize, Error> {
        if to.is_empty() {
            return Ok(0);
        }
        let read = poll_fn(|context| self.poll_read(context, |socket| socket.recv_slice(to))).await?;
        Ok(read.unwrap_or(0))
    }
}

impl Write for &TcpStream {
    async fn write(&mut self, from: &[u8]) -> Result<usize, Error> {
        if from.is_empty() {
            return Ok(0);
        }
        poll_fn(|context| self.poll_write(context, |socket| socket.send_slice(from))).await
    }

    /// Waits until the other side has acknowledged all that was written.
    async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|context| self.poll_written(context, |_| true)).await
    }
}

impl Read for TcpStream {
    async fn read(&mut self, to: &mut [u8]) -> Result<usize, Error> {
        (&*self).read(to).await
    }
}

impl Write for TcpStream {
    async fn write(&mut self, from: &[u8]) -> Result<usize, Error> {
        (&*self).write(from).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        (&*self).flush().await
    }
}
