//! A DHCP client (RFC 2131): gets the domain an address, and keeps it.
//!
//! smoltcp's own believes any server, and begins again without a pause.

mod message;

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::wire::Ipv4Cidr;

pub use message::{Kind, Reply};
use message::{Request, RequestKind, find_message};

use crate::{Micros, host::usable};

const SECOND: Micros = 1_000_000;
/// How long the first answer may take; it doubles with each request without one, up to [`MAX_DOUBLINGS`] (RFC
/// 2131, section 4.1).
const PATIENCE: Micros = 4 * SECOND;
const MAX_DOUBLINGS: u32 = 4;
/// How often an offer is asked for.
const REQUESTS: u32 = 4;
/// How long an address is kept of which its server has not said how long, in seconds.
const DEFAULT_LEASE: u32 = 120;
/// A lease that never ends.
const FOREVER: u32 = u32::MAX;

/// A lease that a server has granted, or offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    pub(crate) router: Option<Ipv4Addr>,
    pub(crate) name_server: Option<Ipv4Addr>,
    prefix_bits: Option<u8>,
    /// The address by which the server calls itself, and the one from which its messages come.
    server: Ipv4Addr,
    server_address: Ipv4Addr,
    seconds: Option<u32>,
    renew: Option<u32>,
    rebind: Option<u32>,
}

pub(crate) struct Client {
    mac: [u8; 6],
    exchange: u32,
    state: State,
    /// Requests without an answer, and exchanges without success.
    tries: u32,
    failures: u32,
    /// When it has something to do.
    due: Micros,
}

#[derive(Clone, Copy)]
enum State {
    /// It has no address, and waits before it asks for one.
    Resting,
    /// It has asked who has one.
    Selecting,
    /// It has asked for one that it was offered.
    Requesting(Lease),
    /// It has one, until `end`.
    Bound { lease: Lease, rebind: Micros, end: Micros },
}

/// The outcome of a turn.
#[derive(Default)]
pub(crate) struct Outcome {
    /// To be sent.
    pub(crate) packet: Option<Vec<u8>>,
    /// The lease that is valid from now on, or that there is none any more.
    pub(crate) lease: Option<Option<Lease>>,
}

/// Whether a packet is a DHCP server's to a client.
pub(crate) fn is_for_client(packet: &[u8]) -> bool {
    find_message(packet).is_some()
}

impl Client {
    /// A client that asks at once.
    pub(crate) fn new(mac: [u8; 6]) -> Self {
        Self { mac, exchange: 0, state: State::Resting, tries: 0, failures: 0, due: 0 }
    }

    /// When the next turn is due.
    pub(crate) fn due(&self) -> Micros {
        self.due
    }

    /// Does what is due. `random` is a number that nobody guesses.
    pub(crate) fn turn(&mut self, now: Micros, random: u64) -> Outcome {
        if now < self.due {
            return Outcome::default();
        }
        match self.state {
            State::Resting => {
                (self.state, self.tries, self.exchange) = (State::Selecting, 0, random as u32);
                self.ask(now, random)
            }
            State::Selecting => self.ask(now, random),
            State::Requesting(_) if self.tries == REQUESTS => {
                self.fail(now, random);
                Outcome::default()
            }
            State::Requesting(_) => self.ask(now, random),
            State::Bound { end, .. } if now >= end => {
                self.state = State::Resting;
                self.due = now;
                Outcome { lease: Some(None), packet: None }
            }
            State::Bound { lease, rebind, end } => self.ask_for_more(&lease, [rebind, end], now, random),
        }
    }

    /// Takes in a packet that is for a client.
    pub(crate) fn take(&mut self, packet: &[u8], now: Micros, random: u64) -> Outcome {
        let reply = find_message(packet)
            .and_then(|(from, message)| Some((from, Reply::parse(message, self.exchange, self.mac)?)));
        let Some((from, reply)) = reply else { return Outcome::default() };
        match (self.state, reply.kind) {
            (State::Selecting, Kind::Offer) => {
                if let Some(lease) = Lease::offered(&reply, from) {
                    (self.state, self.tries) = (State::Requesting(lease), 0);
                    return self.ask(now, random);
                }
            }
            (State::Requesting(lease), Kind::Acknowledge) if lease.is_from(&reply, None) => {
                return self.bind(lease.with(&reply), now, random);
            }
            (State::Requesting(lease), Kind::Refuse) if lease.is_from(&reply, Some(from)) => {
                self.fail(now, random);
            }
            // The exchange is known to those alone who were asked.
            (State::Bound { lease, rebind, .. }, Kind::Acknowledge) => {
                let lease = if now < rebind { lease } else { lease.moved(&reply, from) };
                return self.bind(lease.with(&reply), now, random);
            }
            (State::Bound { lease, .. }, Kind::Refuse) if lease.is_from(&reply, Some(from)) => {
                self.fail(now, random);
                return Outcome { lease: Some(None), packet: None };
            }
            _ => {}
        }
        Outcome::default()
    }

    /// Asks all servers: who has an address, or for the one that was offered.
    fn ask(&mut self, now: Micros, random: u64) -> Outcome {
        let (kind, offer) = match self.state {
            State::Requesting(lease) => (RequestKind::Request, Some((lease.address, lease.server))),
            _ => (RequestKind::Discover, None),
        };
        self.due = now + pause(self.tries, random);
        self.tries += 1;
        let (from, to) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
        self.say(Request { kind, exchange: self.exchange, mac: self.mac, from, to, offer })
    }

    /// Asks for more time: the server, and when that has not answered for long, all.
    fn ask_for_more(
        &mut self,
        lease: &Lease,
        [rebind, end]: [Micros; 2],
        now: Micros,
        random: u64,
    ) -> Outcome {
        let (to, next) = if now < rebind { (lease.server, rebind) } else { (Ipv4Addr::BROADCAST, end) };
        // Section 4.4.5: after half of the time that is left, and not more often than once a minute; more
        // often where a lease is short.
        let shortest = (Micros::from(lease.seconds()) * SECOND / 16).clamp(SECOND, 60 * SECOND);
        self.due = (now + ((next - now) / 2).max(shortest)).min(next);
        self.exchange = random as u32;
        let (kind, exchange, mac, from) = (RequestKind::Request, self.exchange, self.mac, lease.address);
        self.say(Request { kind, exchange, mac, from, to, offer: None })
    }

    fn say(&self, request: Request) -> Outcome {
        Outcome { packet: Some(request.packet()), lease: None }
    }

    /// The address is the domain's.
    fn bind(&mut self, lease: Lease, now: Micros, random: u64) -> Outcome {
        let seconds = lease.seconds();
        if seconds == 0 {
            // It would be over before it is of use.
            let had_one = matches!(self.state, State::Bound { .. });
            self.fail(now, random);
            return Outcome { lease: had_one.then_some(None), packet: None };
        }
        let [renew, rebind, end] = if seconds == FOREVER {
            [Micros::MAX; 3]
        } else {
            let [renew, rebind] = lease.times();
            [renew, rebind, Micros::from(seconds) * SECOND].map(|time| now.saturating_add(time))
        };
        (self.failures, self.due) = (0, renew);
        self.state = State::Bound { lease, rebind, end };
        Outcome { lease: Some(Some(lease)), packet: None }
    }

    /// Begins again, after a pause that grows.
    fn fail(&mut self, now: Micros, random: u64) {
        self.due = now + pause(self.failures, random);
        self.failures += 1;
        self.state = State::Resting;
    }
}

/// How long to wait after this many attempts, give or take a second.
fn pause(attempts: u32, random: u64) -> Micros {
    (PATIENCE << attempts.min(MAX_DOUBLINGS)) - SECOND + (random >> 32) % (2 * SECOND)
}

impl Lease {
    fn offered(reply: &Reply, from: Ipv4Addr) -> Option<Self> {
        let server = reply.server.or(Some(from).filter(|from| usable(*from)))?;
        let lease = Self {
            address: reply.address?,
            router: None,
            name_server: None,
            prefix_bits: None,
            server,
            server_address: from,
            seconds: None,
            renew: None,
            rebind: None,
        };
        Some(lease.with(reply))
    }

    /// The same as a reply changes it. What the reply leaves out stays.
    fn with(self, reply: &Reply) -> Self {
        Self {
            address: reply.address.unwrap_or(self.address),
            router: reply.router.or(self.router),
            name_server: reply.name_server.or(self.name_server),
            prefix_bits: reply.prefix_bits.or(self.prefix_bits),
            seconds: reply.lease.or(self.seconds),
            renew: reply.renew.or(self.renew),
            rebind: reply.rebind.or(self.rebind),
            ..self
        }
    }

    /// The same at the server that sends this reply.
    fn moved(self, reply: &Reply, from: Ipv4Addr) -> Self {
        Self { server: reply.server.unwrap_or(from), server_address: from, ..self }
    }

    /// Whether a reply is from this lease's server. One that does not say who it is from is judged by its
    /// `source`.
    fn is_from(&self, reply: &Reply, source: Option<Ipv4Addr>) -> bool {
        match reply.server {
            Some(server) => server == self.server,
            None => source.is_none_or(|source| source == self.server_address),
        }
    }

    /// The address, with its network. That of its class (RFC 791) if the server does not know it.
    pub(crate) fn cidr(&self) -> Ipv4Cidr {
        let class = match self.address.octets()[0] {
            0..128 => 8,
            128..192 => 16,
            192.. => 24,
        };
        Ipv4Cidr::new(self.address, self.prefix_bits.unwrap_or(class))
    }

    fn seconds(&self) -> u32 {
        self.seconds.unwrap_or(DEFAULT_LEASE)
    }

    /// After how long to ask the server for more time, and after how long all servers (section 4.4.5).
    fn times(&self) -> [Micros; 2] {
        let micros = |seconds: u32| Micros::from(seconds) * SECOND;
        let all = micros(self.seconds());
        let renew = self.renew.map(micros).filter(|time| (SECOND / 2..all).contains(time)).unwrap_or(all / 2);
        let rebind = self.rebind.map(micros).filter(|time| (renew..all).contains(time));
        [renew, rebind.unwrap_or((all / 8 * 7).max(renew + (all - renew) / 4 * 3))]
    }
}
