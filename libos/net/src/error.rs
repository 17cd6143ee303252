//! What can go wrong, in words.

use core::fmt;

use embedded_io_async::ErrorKind;

/// Why the network refused or gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The manifest gives this domain no port of the name.
    NoPort,
    /// The port has no memory to exchange frames in, or it is in use already.
    NoMemory,
    /// The domain's heap has no room for another socket.
    OutOfHeap,
    /// The domain has no address, or none yet.
    NoAddress,
    /// The destination cannot be one: zeros, or port 0.
    BadDestination,
    /// Another socket of this domain has the local port.
    PortTaken,
    /// The other side refused the connection.
    Refused,
    /// The other side did not answer in time.
    TimedOut,
    /// The connection was reset, or given up because the other side was silent for too long.
    Reset,
    /// The connection is closed for writing.
    Closed,
    /// The datagram does not fit into one packet on the way.
    TooLong,
    /// The port has no name server.
    NoNameServer,
    /// No name in the domain name system looks like this.
    BadName,
    /// The name server knows no address for the name, or does not answer.
    UnknownName,
}

impl Error {
    const fn text(self) -> &'static str {
        match self {
            Self::NoPort => "this domain has no such port; the manifest's [switch] gives ports",
            Self::NoMemory => "the port has too little memory for its frames, or is in use already",
            Self::OutOfHeap => "the heap has no room for another socket; `heap_kib` sets it",
            Self::NoAddress => "this domain has no IPv4 address, or none yet",
            Self::BadDestination => "the destination has no address or no port",
            Self::PortTaken => "another socket of this domain has the local port",
            Self::Refused => "the other side refused the connection",
            Self::TimedOut => "the other side did not answer in time",
            Self::Reset => "the connection was reset, or the other side was silent for too long",
            Self::Closed => "the connection is closed for writing",
            Self::TooLong => "the datagram does not fit into one packet",
            Self::NoNameServer => {
                "the port has no name server; `name_server` of the manifest's [switch] sets it"
            }
            Self::BadName => "no host can have this name",
            Self::UnknownName => "the name server knows no address for the name, or does not answer",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.text())
    }
}

impl core::error::Error for Error {}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::OutOfHeap | Self::NoMemory => ErrorKind::OutOfMemory,
            Self::NoAddress => ErrorKind::AddrNotAvailable,
            Self::PortTaken => ErrorKind::AddrInUse,
            Self::Refused => ErrorKind::ConnectionRefused,
            Self::TimedOut => ErrorKind::TimedOut,
            Self::Reset => ErrorKind::ConnectionReset,
            Self::Closed => ErrorKind::BrokenPipe,
            Self::BadDestination | Self::TooLong | Self::BadName => ErrorKind::InvalidInput,
            Self::NoPort | Self::NoNameServer | Self::UnknownName => ErrorKind::NotFound,
        }
    }
}
