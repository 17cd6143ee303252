//! Measures TCP with iperf3's protocol, as server or client.
//!
//! The library is the protocol; here it gets its connections and its clock.

#![no_std]
#![no_main]

use core::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use cloison_net::{Config, Net, TcpConfig, TcpListener, TcpStream, UdpConfig, UdpSocket};
use cloison_rt::{
    log,
    sys::{self, settings},
    task,
};
use iperf::{ClientOptions, Clock, Connector, Datagrams, Error, Listener, Newcomers, Role, Tally};

cloison_rt::entry!(main);

/// Connections that wait until they are accepted: what a client with the most streams makes at once.
const BACKLOG: usize = iperf::MAX_STREAMS + 1;

/// Room for the datagrams that come while this domain waits for its turn.
const UDP: UdpConfig = UdpConfig { bytes: 128 << 10, datagrams: 128 };

/// Pause after the network has failed.
const PAUSE: Duration = Duration::from_millis(100);

fn main() -> Result<(), Error> {
    let role = Role::parse(settings::arguments()).map_err(Error::network)?;
    let net = Net::attach("net", Config::default()).map_err(Error::network)?;
    match task::block_on(task::select(net.run(), play(&net, role))) {
        task::Either::First(never) => match never {},
        task::Either::Second(result) => result,
    }
}

async fn play(net: &Net, role: Role) -> Result<(), Error> {
    net.configured().await;
    match role {
        Role::Server(port) => serve(net, port).await,
        Role::Client(options) => call(net, &options).await,
    }
}

/// Serves for ever, one client after the other.
async fn serve(net: &Net, port: u16) -> Result<(), Error> {
    let listener = TcpListener::bind_with(net, port, BACKLOG, TcpConfig::BULK).map_err(Error::network)?;
    let clock = NetClock(net);
    let mut newcomers = Newcomers::new(Port { net, listener }, &clock);
    let mut failures = Tally::default();
    log!("server listening on {port}");
    loop {
        match iperf::serve(&mut newcomers).await {
            Ok(report) => log!("{report}"),
            Err(error) => {
                if let Some(count) = failures.count(&error) {
                    log!("no result: {error} ({count} so far)");
                }
                // Without a port, there is nothing to do but try again; not at once.
                if matches!(error, Error::Network(_)) {
                    net.sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn call(net: &Net, options: &ClientOptions) -> Result<(), Error> {
    log!("connecting to {}", options.server);
    let mut server = Server { net, address: options.server };
    let report = iperf::call(&mut server, &NetClock(net), options, sys::Instant::now().0).await?;
    log!("{report}");
    Ok(())
}

struct NetClock<'a>(&'a Net);

impl Clock for NetClock<'_> {
    fn now(&self) -> Duration {
        Duration::from_micros(self.0.now())
    }

    async fn sleep(&self, time: Duration) {
        self.0.sleep(time).await;
    }
}

struct Port<'a> {
    net: &'a Net,
    listener: TcpListener,
}

impl Listener for Port<'_> {
    type Stream = TcpStream;
    type Datagrams = Socket;

    async fn accept(&mut self) -> Result<TcpStream, Error> {
        self.listener.accept().await.map_err(Error::network)
    }

    async fn datagrams(&mut self) -> Result<Socket, Error> {
        UdpSocket::bind_with(self.net, self.listener.port(), UDP).map(Socket).map_err(Error::network)
    }

    fn host(stream: &TcpStream) -> Option<Ipv4Addr> {
        stream.remote().map(|address| *address.ip())
    }
}

struct Socket(UdpSocket);

impl Datagrams for Socket {
    async fn receive(&self, to: &mut [u8]) -> Result<(usize, SocketAddrV4), Error> {
        self.0.receive_from(to).await.map_err(Error::network)
    }

    async fn send(&self, datagram: &[u8], to: SocketAddrV4) -> Result<(), Error> {
        self.0.send_to(datagram, to).await.map_err(Error::network)
    }
}

struct Server<'a> {
    net: &'a Net,
    address: SocketAddrV4,
}

impl Connector for Server<'_> {
    type Stream = TcpStream;

    async fn connect(&mut self) -> Result<TcpStream, Error> {
        let connected = TcpStream::connect_with(self.net, self.address, TcpConfig::BULK).await;
        connected.map_err(Error::network)
    }
}
