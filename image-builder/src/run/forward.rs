//! Ports of the host that lead into the system, open while it runs.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
    str::FromStr,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt},
};

use crate::{
    Failure, System,
    system::{DomainId, Forward},
};

/// A forward that the user asks for: `HOST:DOMAIN:PORT`, with `HOST` 0 for a port that is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardRequest {
    host_port: u16,
    domain: String,
    port: u16,
}

impl FromStr for ForwardRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form =
            || "not HOST:DOMAIN:PORT, such as 2211:alice:22, with HOST 0 for a port that is free".to_owned();
        let [host, domain, port] = text.split(':').collect::<Vec<_>>()[..] else { return Err(form()) };
        let host_port = host.parse().map_err(|_| form())?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(form)?;
        Ok(Self { host_port, domain: domain.to_owned(), port })
    }
}

impl ForwardRequest {
    /// The forward in this system. It is named after where it leads.
    fn find(&self, system: &System) -> Result<Forward, Failure> {
        let Self { host_port, domain, port } = self;
        let Some((to, _)) = system.domains().find(|(_, known)| known.name == *domain) else {
            let reason = format!("there is no domain `{domain}` in this system");
            return Err(Failure::Usage(format!("cannot forward to `{domain}`: {reason}")));
        };
        let host_port = (*host_port != 0).then_some(*host_port);
        Ok(Forward { name: format!("{domain}-{port}"), host_port, to, port: *port })
    }
}

/// Which port of the host a forward begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPorts {
    /// The one that is stated, if one is.
    AsStated,
    /// One that is free, so that several machines can run at the same time.
    Free,
}

/// A forward whose port of the host is set aside for it.
#[derive(Debug)]
pub struct OpenForward {
    /// Its name.
    pub name: String,
    /// The host's port.
    pub host_port: u16,
    /// Name of the domain.
    pub domain: String,
    /// The domain's address.
    pub address: Ipv4Addr,
    /// The domain's port.
    pub port: u16,
    /// Keeps others from choosing the port; QEMU can listen on it nevertheless.
    _reserved: OwnedFd,
}

impl OpenForward {
    /// Sets ports aside for the forwards of a system and for those that the user asks for.
    ///
    /// # Errors
    ///
    /// When a domain does not exist or is not reached, or when a port is in use.
    pub fn open_all(
        system: &System,
        requests: &[ForwardRequest],
        host_ports: HostPorts,
    ) -> Result<Vec<Self>, Failure> {
        let requested: Result<Vec<Forward>, Failure> = requests.iter().map(|one| one.find(system)).collect();
        let all = system.forwards().iter().cloned().chain(requested?);
        all.map(|forward| Self::open(system, forward, host_ports)).collect()
    }

    fn open(system: &System, forward: Forward, host_ports: HostPorts) -> Result<Self, Failure> {
        let domain = name_of(system, forward.to);
        let address = system.reach(forward.to);
        let address =
            address.map_err(|why| Failure::Usage(format!("cannot forward to `{domain}`: {why}")))?;
        let wanted = forward.host_port.filter(|_| host_ports == HostPorts::AsStated);
        let (reserved, host_port) =
            reserve(wanted.unwrap_or(0)).map_err(|error| refused(wanted, &domain, error))?;
        Ok(Self { name: forward.name, host_port, domain, address, port: forward.port, _reserved: reserved })
    }

    /// As QEMU's user network wants it. Nobody but the host itself can connect.
    #[must_use]
    pub fn option(&self) -> String {
        format!("hostfwd=tcp:{}:{}-{}:{}", Ipv4Addr::LOCALHOST, self.host_port, self.address, self.port)
    }
}

impl fmt::Display for OpenForward {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host_port, domain, address, port, .. } = self;
        write!(out, "forward: {}:{host_port} leads to {domain}, {address}:{port}", Ipv4Addr::LOCALHOST)
    }
}

fn name_of(system: &System, id: DomainId) -> String {
    system.domain(id).name.clone()
}

fn refused(wanted: Option<u16>, domain: &str, error: Errno) -> Failure {
    let port = wanted.map_or("no port".to_owned(), |port| format!("port {port}"));
    let what = format!(
        "{port} of the host cannot lead to `{domain}` (--forward 0:DOMAIN:PORT chooses one that is free)"
    );
    Failure::machine(&what, &error.into())
}

/// Sets a port of the host aside, 0: one that is free. A socket that is bound and does not listen keeps the
/// system from choosing its port for others, and lets one that listens on it in.
fn reserve(port: u16) -> Result<(OwnedFd, u16), Errno> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))?;
    let bound = SocketAddr::try_from(getsockname(&socket)?)?;
    Ok((socket, bound.port()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn reads_what_the_user_asks_for() {
        let request: ForwardRequest = "2211:alice:22".parse().unwrap();
        assert_eq!(request, ForwardRequest { host_port: 2211, domain: "alice".into(), port: 22 });
        for text in ["", "22", "alice:22", "1:alice:0", "1:alice:x", "70000:alice:22", "1:2:3:4"] {
            assert!(text.parse::<ForwardRequest>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_set_aside_is_for_one_who_listens() {
        let (_one, first) = reserve(0).unwrap();
        let (_other, second) = reserve(0).unwrap();
        assert_ne!(first, second);
        let listener = TcpListener::bind(("127.0.0.1", first)).unwrap();
        assert_eq!(reserve(first).unwrap_err(), Errno::ADDRINUSE);
        drop(listener);
    }
}
