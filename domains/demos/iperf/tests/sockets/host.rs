//! The host's own sockets and clock, for tests: nothing blocks, and what is not ready is tried again soon.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io::{ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    pin::pin,
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use image_machine::patience::Patience;
use iperf::{Clock, Connector, Datagrams, Error, Listener};

/// Longest time that a test may take; see [`Patience`].
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a future to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut patience = Patience::new();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        assert!(patience.counted(|| Some(Duration::ZERO)) < LIMIT, "the test has not ended after {LIMIT:?}");
        thread::sleep(Duration::from_micros(50));
    }
}

pub struct Socket(pub TcpStream);

pub struct Port(pub TcpListener);

pub struct Address(pub SocketAddr);

pub struct WallClock(pub Instant);

impl Port {
    /// A port that is free, and its address.
    pub fn open() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        (Self(listener), address)
    }
}

impl Listener for Port {
    type Stream = Socket;
    type Datagrams = DatagramSocket;

    async fn datagrams(&mut self) -> Result<DatagramSocket, Error> {
        let socket = UdpSocket::bind(self.0.local_addr().unwrap()).map_err(Error::network)?;
        socket.set_nonblocking(true).unwrap();
        Ok(DatagramSocket(socket))
    }

    fn host(stream: &Socket) -> Option<Ipv4Addr> {
        match stream.0.peer_addr() {
            Ok(SocketAddr::V4(address)) => Some(*address.ip()),
            _ => None,
        }
    }

    async fn accept(&mut self) -> Result<Socket, Error> {
        let (stream, _) = when_ready(|| self.0.accept()).await.map_err(Error::network)?;
        stream.set_nonblocking(true).unwrap();
        Ok(Socket(stream))
    }
}

pub struct DatagramSocket(UdpSocket);

impl Datagrams for DatagramSocket {
    async fn receive(&self, to: &mut [u8]) -> Result<(usize, SocketAddrV4), Error> {
        let (count, from) = when_ready(|| self.0.recv_from(to)).await.map_err(Error::network)?;
        let SocketAddr::V4(from) = from else { panic!("not IPv4") };
        Ok((count, from))
    }

    async fn send(&self, datagram: &[u8], to: SocketAddrV4) -> Result<(), Error> {
        when_ready(|| self.0.send_to(datagram, to)).await.map_err(Error::network).map(drop)
    }
}

impl Connector for Address {
    type Stream = Socket;

    async fn connect(&mut self) -> Result<Socket, Error> {
        let stream = TcpStream::connect(self.0).map_err(Error::network)?;
        stream.set_nonblocking(true).unwrap();
        Ok(Socket(stream))
    }
}

impl Clock for WallClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        let end = self.now() + time;
        poll_fn(|_| if self.now() >= end { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// Bytes that go through a thread's sockets in a second of its [`DataClock`]: several times what sockets hold between
/// them, so that most of what is sent in a second has to arrive in it.
const BYTES_PER_SECOND: u64 = 64 << 20;

thread_local! {
    /// Bytes that have gone through this thread's sockets.
    static MOVED: Cell<u64> = const { Cell::new(0) };
}

/// A clock by which time passes as data moves, however fast that is.
pub struct DataClock;

impl Clock for DataClock {
    fn now(&self) -> Duration {
        Duration::from_secs_f64(MOVED.get() as f64 / BYTES_PER_SECOND as f64)
    }

    async fn sleep(&self, time: Duration) {
        let end = self.now() + time;
        poll_fn(|_| if self.now() >= end { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// A clock by which no time passes.
pub struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}

impl embedded_io_async::ErrorType for Socket {
    type Error = std::io::Error;
}

impl embedded_io_async::Read for Socket {
    async fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        when_ready(|| self.0.read(to)).await.inspect(count_moved)
    }
}

impl embedded_io_async::Write for Socket {
    async fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        when_ready(|| self.0.write(from)).await.inspect(count_moved)
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn count_moved(bytes: &usize) {
    MOVED.set(MOVED.get() + *bytes as u64);
}

async fn when_ready<T>(mut attempt: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    poll_fn(|_| match attempt() {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    })
    .await
}
