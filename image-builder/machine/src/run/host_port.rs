//! TCP ports of the host that are set aside for QEMU.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt},
};

/// A port that others do not get while this value lives, and that QEMU can listen on nevertheless.
#[derive(Debug)]
pub struct HostPort {
    /// The port.
    pub number: u16,
    _socket: OwnedFd,
}

impl HostPort {
    /// Sets a port aside, 0: one that is free. A socket that is bound and does not listen keeps the system from
    /// choosing its port for others, and lets one that listens on it in.
    ///
    /// # Errors
    ///
    /// When somebody listens on it, or the user may not.
    pub fn reserve(number: u16) -> io::Result<Self> {
        let reserve = || -> Result<Self, Errno> {
            let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            bind(&socket, &SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), number))?;
            let bound = SocketAddr::try_from(getsockname(&socket)?)?;
            Ok(Self { number: bound.port(), _socket: socket })
        };
        Ok(reserve()?)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_set_aside_is_for_one_who_listens() {
        let (first, second) = (HostPort::reserve(0).unwrap(), HostPort::reserve(0).unwrap());
        assert_ne!(first.number, second.number);
        let listener = TcpListener::bind(("127.0.0.1", first.number)).unwrap();
        let refusal = HostPort::reserve(first.number).unwrap_err();
        assert_eq!(refusal.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
    }
}
