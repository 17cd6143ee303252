//! Ports of the host that lead into the system, open while it runs.

use std::{
    collections::BTreeSet,
    fmt, iter,
    net::{Ipv4Addr, UdpSocket},
    str::FromStr,
};

use cloison_abi::Name;
use image_compiler::{
    manifest::Addition,
    system::{Forward, System},
};

use super::HostPort;
use crate::Failure;

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
        let [host, domain, port] = text.split(':').collect::<Vec<_>>()[..] else {
            return Err(
                "not HOST:DOMAIN:PORT, such as 2211:alice:22, with HOST 0 for a port that is free".into()
            );
        };
        let host_port = number(host).ok_or_else(|| {
            format!(
                "{host:?} is no port of the host: a number from 1 to {}, or 0 for one that is free",
                u16::MAX
            )
        })?;
        let port = number(port)
            .filter(|port| *port != 0)
            .ok_or_else(|| format!("{port:?} is no port of a domain: a number from 1 to {}", u16::MAX))?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let begins = domain.starts_with(|first: char| first.is_ascii_alphabetic());
        if !begins || !domain.bytes().all(is_plain) {
            return Err(format!("{domain:?} is no name of a domain: letters, digits and -, a letter first"));
        }
        Ok(Self { host_port, domain: domain.to_owned(), port })
    }
}

/// A port as a person writes it: digits alone.
fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl ForwardRequest {
    /// What to add to the system's manifest for such requests; `None` if there are none. A forward is named after
    /// where it leads.
    #[must_use]
    pub fn addition(requests: &[Self], system: &System) -> Option<Addition> {
        let mut names: BTreeSet<String> =
            system.forwards().iter().map(|forward| forward.name.clone()).collect();
        let mut text = String::new();
        for Self { host_port, domain, port } in requests {
            let numbered = (2..).map(|number| format!("-{port}-{number}"));
            let endings = iter::once(format!("-{port}")).chain(numbered);
            let name =
                endings.map(|ending| named(domain, &ending)).find(|name| names.insert(name.clone()))?;
            text += &format!("[forward.{name}]\n");
            if *host_port != 0 {
                text += &format!("host_port = {host_port}\n");
            }
            text += &format!("to = \"{domain}\"\nport = {port}\n");
        }
        (!text.is_empty()).then_some(Addition { name: "forward", text })
    }
}

/// A name that fits: the domain's, cut if it has to be, and an ending.
fn named(domain: &str, ending: &str) -> String {
    let domain: String = domain.chars().take(Name::BYTES.saturating_sub(ending.len())).collect();
    domain.to_ascii_lowercase() + ending
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
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct OpenForward {
    pub name: String,
    pub host_port: u16,
    /// Name of the domain.
    pub domain: String,
    /// The domain's address.
    pub address: Ipv4Addr,
    /// The domain's port.
    pub port: u16,
    /// The port carries UDP as well as TCP: nobody else has it there.
    carries_datagrams: bool,
    /// Keeps others from choosing the port; QEMU can listen on it nevertheless.
    _reserved: HostPort,
}

impl OpenForward {
    /// Sets ports aside for the forwards of a system.
    ///
    /// # Errors
    ///
    /// When a port is in use.
    pub fn open_all(system: &System, host_ports: HostPorts) -> Result<Vec<Self>, Failure> {
        system.forwards().iter().map(|forward| Self::open(system, forward, host_ports)).collect()
    }

    fn open(system: &System, forward: &Forward, host_ports: HostPorts) -> Result<Self, Failure> {
        let domain = system.domain(forward.to).name.clone();
        let port = forward.port;
        let address = system.reach(forward.to);
        let address =
            address.map_err(|why| Failure::Usage(format!("cannot forward to `{domain}`: {why}")))?;
        let wanted = forward.host_port.filter(|_| host_ports == HostPorts::AsStated);
        let reserved = HostPort::reserve(wanted.unwrap_or(0)).map_err(|error| {
            let what = wanted.map_or("no port".to_owned(), |port| format!("port {port}"));
            let remedy = format!("--forward 0:{domain}:{port} chooses one that is free");
            Failure::machine(&format!("{what} of the host cannot lead to `{domain}` ({remedy})"), &error)
        })?;
        Ok(Self {
            name: forward.name.clone(),
            carries_datagrams: UdpSocket::bind((Ipv4Addr::LOCALHOST, reserved.number)).is_ok(),
            host_port: reserved.number,
            domain,
            address,
            port,
            _reserved: reserved,
        })
    }

    /// As QEMU's user network wants it. Nobody but the host itself can connect.
    #[must_use]
    pub fn option(&self) -> String {
        let ends = format!("{}:{}-{}:{}", Ipv4Addr::LOCALHOST, self.host_port, self.address, self.port);
        let datagrams = if self.carries_datagrams { format!(",hostfwd=udp:{ends}") } else { String::new() };
        format!("hostfwd=tcp:{ends}{datagrams}")
    }
}

impl fmt::Display for OpenForward {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host_port, domain, address, port, .. } = self;
        write!(out, "forward: {}:{host_port} leads to {domain}, {address}:{port}", Ipv4Addr::LOCALHOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_user_asks_for() {
        let request: ForwardRequest = "2211:alice:22".parse().unwrap();
        assert_eq!(request, ForwardRequest { host_port: 2211, domain: "alice".into(), port: 22 });
        let request: ForwardRequest = "65535:Bob-2:65535".parse().unwrap();
        assert_eq!(request, ForwardRequest { host_port: 65535, domain: "Bob-2".into(), port: 65535 });
    }

    #[test]
    fn names_the_part_that_is_wrong() {
        let cases = [
            ("", "not HOST:DOMAIN:PORT"),
            ("22", "not HOST:DOMAIN:PORT"),
            ("alice:22", "not HOST:DOMAIN:PORT"),
            ("1:2:3:4", "not HOST:DOMAIN:PORT"),
            ("99999:alice:22", "\"99999\" is no port of the host: a number from 1 to 65535, or 0"),
            ("65536:alice:22", "\"65536\" is no port of the host"),
            ("99999999999999999999:alice:22", "\"99999999999999999999\" is no port of the host"),
            ("-1:alice:22", "\"-1\" is no port of the host"),
            ("+1:alice:22", "\"+1\" is no port of the host"),
            (":alice:22", "\"\" is no port of the host"),
            ("http:alice:22", "\"http\" is no port of the host"),
            ("1:alice:0", "\"0\" is no port of a domain: a number from 1 to 65535"),
            ("1:alice:65536", "\"65536\" is no port of a domain"),
            ("1:alice:x", "\"x\" is no port of a domain"),
            ("1:alice:", "\"\" is no port of a domain"),
            ("1::22", "\"\" is no name of a domain"),
            ("1:2nd:22", "\"2nd\" is no name of a domain: letters, digits and -, a letter first"),
            ("1:a\"b:22", "\"a\\\"b\" is no name of a domain"),
            ("1:a\nb:22", "\"a\\nb\" is no name of a domain"),
        ];
        for (text, reason) in cases {
            let refusal = text.parse::<ForwardRequest>().unwrap_err();
            assert!(refusal.starts_with(reason), "{text}: {refusal}");
        }
    }
}
