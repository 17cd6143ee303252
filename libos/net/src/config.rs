//! What a domain can choose about its sockets.

use core::time::Duration;

/// Sizes and habits of a domain's network.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// For streams, unless they are opened with a configuration of their own.
    pub tcp: TcpConfig,
    /// Room for the datagrams of a socket.
    pub udp: UdpConfig,
    /// How much of the heap all sockets together may take. The rest is for the program's own use: most
    /// programs end if they find no room, and how many sockets there are is for others to say. `None`: three
    /// quarters of what is free when the network is attached.
    pub socket_bytes: Option<usize>,
}

/// How a TCP connection behaves, and how much of the heap it takes.
#[derive(Clone, Copy, Debug)]
pub struct TcpConfig {
    /// Received and not yet read; at the same time what the other side may send without hearing from this
    /// one. More than the memory of a port holds (`one_way_pages` of the switch) invites losses: while a
    /// domain waits for its turn, its port is all the room that there is.
    pub receive_bytes: usize,
    /// Written, and not yet acknowledged by the other side.
    pub send_bytes: usize,
    /// A connection ends when the other side has owed an answer for so long. `None`: never.
    pub timeout: Option<Duration>,
    /// A silent other side is asked after so long whether it is still there.
    pub keep_alive: Option<Duration>,
    /// Small writes wait until what was sent before has been acknowledged, so that they leave together.
    pub gathers_small_writes: bool,
    /// How long an acknowledgement may wait for data that it can travel with.
    pub acknowledge_delay: Option<Duration>,
    /// Sends less when packets are lost. Of use where a connection leaves the machine; between domains, what
    /// bounds a sender is `receive_bytes` of the other side.
    pub avoids_congestion: bool,
}

impl TcpConfig {
    /// For data in bulk between domains. Acknowledgements wait for nothing: what comes in at one turn is
    /// acknowledged together anyway.
    pub const BULK: Self = Self {
        receive_bytes: 96 << 10,
        send_bytes: 96 << 10,
        avoids_congestion: false,
        gathers_small_writes: true,
        acknowledge_delay: None,
        ..Self::DEFAULT
    };

    /// The default for a connection.
    pub const DEFAULT: Self = Self {
        receive_bytes: 16 << 10,
        send_bytes: 16 << 10,
        timeout: Some(Duration::from_secs(60)),
        keep_alive: None,
        gathers_small_writes: false,
        acknowledge_delay: Some(Duration::from_millis(10)),
        avoids_congestion: true,
    };
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How much of the heap a UDP socket takes, for each direction.
#[derive(Clone, Copy, Debug)]
pub struct UdpConfig {
    /// Bytes of all datagrams that wait.
    pub bytes: usize,
    /// How many datagrams wait.
    pub datagrams: usize,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self { bytes: 16 << 10, datagrams: 16 }
    }
}
