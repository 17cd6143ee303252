//! Names of hosts.

use core::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use crate::{Error, Net, UdpConfig, UdpSocket, dns};

/// Port of name servers.
const PORT: u16 = 53;
/// How long an answer may take, for each time that the server is asked.
const PATIENCE: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(6)];
/// Longest answer: what a name server says to those who do not ask for more.
const ANSWER_BYTES: usize = 512;
/// Room for the answers that are waited for, and some that are not.
const BUFFERS: UdpConfig = UdpConfig { bytes: 4 * ANSWER_BYTES, datagrams: 4 };

impl Net {
    /// The address of a host: what the name server says of its name. An address in dots is taken as it is.
    ///
    /// # Errors
    /// [`Error::NoNameServer`], [`Error::BadName`], [`Error::UnknownName`], [`Error::NoAddress`],
    /// [`Error::OutOfHeap`].
    pub async fn resolve(&self, name: &str) -> Result<Ipv4Addr, Error> {
        if let Ok(address) = name.parse() {
            return Ok(address);
        }
        let server = self.stack().name_server.ok_or(Error::NoNameServer)?;
        let number = self.stack().device.wire.link.random() as u16;
        let query = dns::query(name, number).ok_or(Error::BadName)?;
        let socket = UdpSocket::bind_with(self, 0, BUFFERS)?;
        let server = SocketAddrV4::new(server, PORT);
        for patience in PATIENCE {
            socket.send_to(&query, server).await?;
            if let Ok(answer) = self.within(patience, answer(&socket, &query, server)).await {
                return answer;
            }
        }
        Err(Error::UnknownName)
    }
}

/// Waits for an answer of the server to this query, whatever else may come.
async fn answer(socket: &UdpSocket, query: &[u8], server: SocketAddrV4) -> Result<Ipv4Addr, Error> {
    let mut message = [0; ANSWER_BYTES];
    loop {
        let (bytes, from) = socket.receive_from(&mut message).await?;
        if from == server
            && let Some(answer) = dns::answer(&message[..bytes], query)
        {
            return answer.map_err(|_| Error::UnknownName);
        }
    }
}
