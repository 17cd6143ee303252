//! Port 9 (RFC 863): takes what is sent, and does nothing with it.

use core::{cell::RefCell, future::poll_fn, net::SocketAddrV4, time::Duration};

use cloison_net::{Error, Net, TcpConfig, TcpListener, TcpStream};
use cloison_rt::task;

/// The TCP port of the discard protocol.
pub const PORT: u16 = 9;
/// Clients at a time.
const CLIENTS: usize = 2;
/// How long a client may send nothing.
const IDLE: Duration = Duration::from_secs(30);

/// Takes what is sent to the port, for ever.
pub async fn listen(net: &Net) -> Result<(), Error> {
    // Nothing is ever sent from here, so a small buffer does.
    let config =
        TcpConfig { send_bytes: 1024, keep_alive: Some(IDLE), timeout: Some(2 * IDLE), ..TcpConfig::BULK };
    let listener = RefCell::new(TcpListener::bind_with(net, PORT, CLIENTS, config)?);
    task::join_all((0..CLIENTS).map(|_| serve_next(net, &listener))).await;
    Ok(())
}

async fn serve_next(net: &Net, listener: &RefCell<TcpListener>) {
    loop {
        match poll_fn(|context| listener.borrow_mut().poll_accept(context)).await {
            // Whether the client ended or reset the connection, it has had its turn.
            Ok(stream) => drop(take(stream).await),
            // No room in the heap now.
            Err(_) => net.sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn take(stream: TcpStream) -> Result<(), Error> {
    while stream.read_with(|data| (data.len(), ())).await?.is_some() {}
    stream.close().await
}

/// Sends `bytes` bytes to a host's port 9. Returns how long it took, from the first byte until the last one
/// was acknowledged.
pub async fn send(net: &Net, to: SocketAddrV4, bytes: u64) -> Result<Duration, Error> {
    let stream =
        TcpStream::connect_with(net, to, TcpConfig { receive_bytes: 1024, ..TcpConfig::BULK }).await?;
    let start = net.now();
    let mut left = bytes;
    while left > 0 {
        let room = |room: &mut [u8]| {
            let count = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            (count, count)
        };
        left -= stream.write_with(room).await? as u64;
    }
    stream.close().await?;
    Ok(Duration::from_micros(net.now() - start))
}
