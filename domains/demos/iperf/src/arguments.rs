//! What the manifest's `arguments` of an iperf domain mean.

use core::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use crate::{MAX_STREAMS, PORT};

/// What an iperf domain does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Makes the tests that others ask for, on this port.
    Server(u16),
    /// Asks for one test and ends.
    Client(ClientOptions),
}

/// The test that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct ClientOptions {
    pub server: SocketAddrV4,
    /// How long data flows.
    pub time: Duration,
    /// The server sends.
    pub reverse: bool,
    pub streams: usize,
}

impl Role {
    /// What can be said, for a user who has said something else.
    pub const USAGE: &str =
        "say `server`, `server PORT`, or `client ADDRESS[:PORT] [5s] [reverse] [2 streams]`";

    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// If they are something else than [`Role::USAGE`] says.
    pub fn parse(arguments: &str) -> Result<Self, &'static str> {
        let mut words = arguments.split_whitespace();
        let role = match words.next() {
            Some("server") => words.next().map_or(Some(PORT), port).map(Self::Server),
            Some("client") => words.next().and_then(server).and_then(|server| {
                let options =
                    ClientOptions { server, time: Duration::from_secs(10), reverse: false, streams: 1 };
                options.with(&mut words).map(Self::Client)
            }),
            _ => None,
        };
        role.filter(|_| words.next().is_none()).ok_or(Self::USAGE)
    }
}

impl ClientOptions {
    fn with<'a>(mut self, words: &mut impl Iterator<Item = &'a str>) -> Option<Self> {
        while let Some(word) = words.next() {
            match word.strip_suffix('s').and_then(|seconds| seconds.parse().ok()) {
                Some(seconds @ 1..=86_400) => self.time = Duration::from_secs(seconds),
                Some(_) => return None,
                None if word == "reverse" => self.reverse = true,
                None => self.streams = streams(word, words.next()?)?,
            }
        }
        Some(self)
    }
}

fn streams(count: &str, unit: &str) -> Option<usize> {
    let count = count.parse().ok().filter(|count| (1..=MAX_STREAMS).contains(count))?;
    matches!(unit, "stream" | "streams").then_some(count)
}

fn server(word: &str) -> Option<SocketAddrV4> {
    let alone = || word.parse::<Ipv4Addr>().map(|address| SocketAddrV4::new(address, PORT));
    word.parse().or_else(|_| alone()).ok()
}

fn port(word: &str) -> Option<u16> {
    word.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_can_be_said() {
        let client = ClientOptions {
            server: "192.168.0.12:5201".parse().unwrap(),
            time: Duration::from_secs(10),
            reverse: false,
            streams: 1,
        };
        let cases = [
            ("server", Role::Server(PORT)),
            ("server 7", Role::Server(7)),
            ("client 192.168.0.12", Role::Client(client)),
            (
                "client 192.168.0.12 5s",
                Role::Client(ClientOptions { time: Duration::from_secs(5), ..client }),
            ),
            (
                "client 10.0.0.1:80 2 streams reverse 1s",
                Role::Client(ClientOptions {
                    server: "10.0.0.1:80".parse().unwrap(),
                    time: Duration::from_secs(1),
                    reverse: true,
                    streams: 2,
                }),
            ),
        ];
        for (arguments, role) in cases {
            assert_eq!(Role::parse(arguments), Ok(role), "{arguments}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        let wrong = [
            "",
            "both",
            "server 0",
            "server 1 2",
            "client",
            "client host",
            "client 10.0.0.1 0s",
            "client 10.0.0.1 forward",
            "client 10.0.0.1 2",
            "client 10.0.0.1 9 streams",
            "client 10.0.0.1 99999999999999999999s",
        ];
        for arguments in wrong {
            assert_eq!(Role::parse(arguments), Err(Role::USAGE), "{arguments}");
        }
    }
}
