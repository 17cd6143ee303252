//! This side as its network sees it: its addresses, its neighbours, and whom a packet goes to next.

use core::net::Ipv4Addr;

use smoltcp::wire::Ipv4Cidr;

use crate::{
    Micros,
    ethernet::{self, Arp, HEADER_BYTES, Mac},
    neighbours::Neighbours,
};

/// Whether a host can have this address.
pub(crate) fn usable(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_broadcast() || address.is_multicast())
}

/// A host of the network: this one.
pub(crate) struct Host {
    /// The time of this turn.
    pub(crate) now: Micros,
    pub(crate) neighbours: Neighbours,
    mac: Mac,
    address: Option<Ipv4Cidr>,
    /// That of all hosts of the network; with the address, what each packet is compared with.
    broadcast: Ipv4Addr,
    gateway: Option<Ipv4Addr>,
}

/// The fate of a frame that is to be sent.
pub(crate) enum Fate {
    /// It has its header and can go.
    Leaves,
    /// Its packet waits until somebody has said who has an address: this one, if nobody has been asked yet.
    Waits(Option<Ipv4Addr>),
    /// There is no way to where it should go.
    Ends,
}

impl Host {
    pub(crate) fn new(mac: [u8; 6], now: Micros) -> Self {
        Self {
            now,
            neighbours: Neighbours::default(),
            mac: Mac(mac),
            address: None,
            broadcast: Ipv4Addr::BROADCAST,
            gateway: None,
        }
    }

    /// Sets this side's address, and who knows the way to elsewhere.
    pub(crate) fn set_address(&mut self, address: Option<Ipv4Cidr>, gateway: Option<Ipv4Addr>) {
        (self.address, self.gateway) = (address, gateway);
        self.broadcast = address.and_then(|own| own.broadcast()).unwrap_or(Ipv4Addr::BROADCAST);
        self.neighbours.forget();
    }

    /// Sets who knows the way to elsewhere.
    pub(crate) fn set_gateway(&mut self, gateway: Option<Ipv4Addr>) {
        self.gateway = gateway;
    }

    /// Whether a host is in this side's network.
    pub(crate) fn is_near(&self, other: Ipv4Addr) -> bool {
        self.address.is_some_and(|own| own.contains_addr(&other))
    }

    /// Whether frames to this MAC address are for this side, perhaps among others.
    pub(crate) fn is_meant(&self, to: Mac) -> bool {
        to == self.mac || to.is_group()
    }

    /// A packet has come, to this side alone or to all. False: nobody sends from such an address, and an answer
    /// might go to everybody (RFC 1122, section 3.2.1.3).
    #[inline]
    pub(crate) fn hear(&mut self, packet: &[u8], [to, from]: [Mac; 2]) -> bool {
        let Some(source) = address_at(packet, 12).filter(|source| self.is_sender(*source)) else {
            return false;
        };
        if to == self.mac {
            self.neighbours.confirm(source, from, self.now);
        }
        true
    }

    /// Whether a packet can be from this address. One without an address of its own says zeros.
    #[inline]
    fn is_sender(&self, source: Ipv4Addr) -> bool {
        let is_own = self.address.is_some_and(|own| own.address() == source);
        let is_group = source.is_multicast() || source.is_broadcast() || source == self.broadcast;
        !is_own && !is_group && !source.is_loopback()
    }

    /// Writes the header of a frame with a packet.
    #[inline]
    pub(crate) fn address(&mut self, frame: &mut [u8]) -> Fate {
        let Some((header, packet)) = frame.split_first_chunk_mut::<HEADER_BYTES>() else { return Fate::Ends };
        let Some(to) = address_at(packet, 16) else { return Fate::Ends };
        let mac = match self.hop(to) {
            None => return Fate::Ends,
            Some(Hop::Group(mac)) => mac,
            Some(Hop::Neighbour(neighbour)) => match self.neighbours.mac(neighbour, self.now) {
                Some(mac) => mac,
                None => {
                    let is_new = self.neighbours.keep(neighbour, packet, self.now);
                    return Fate::Waits(is_new.then_some(neighbour));
                }
            },
        };
        ethernet::write_header(header, mac, self.mac);
        Fate::Leaves
    }

    /// Who has an address?
    pub(crate) fn question(&self, address: Ipv4Addr) -> Option<Arp> {
        let from = (self.address?.address(), self.mac);
        Some(Arp { is_request: true, from, to: (address, Mac::BROADCAST) })
    }

    /// Whether somebody who speaks ARP to this side is to be believed. A host that asks will be spoken to next,
    /// so that he counts as much as one who answers.
    pub(crate) fn believes(&self, arp: &Arp) -> bool {
        let (address, mac) = arp.from;
        self.address.is_some_and(|own| {
            arp.to.0 == own.address() && own.contains_addr(&address) && address != own.address()
        }) && usable(address)
            && !mac.is_group()
    }

    /// Whether somebody asks for this side's address; one without an address of his own asks whether he may have
    /// it (RFC 5227, section 2.1.1).
    pub(crate) fn is_asked(&self, arp: &Arp) -> bool {
        let is_ours = self.address.is_some_and(|own| own.address() == arp.to.0);
        let is_probe = arp.from.0.is_unspecified() && !arp.from.1.is_group();
        arp.is_request && is_ours && (is_probe || self.believes(arp))
    }

    /// This side's answer to a question.
    pub(crate) fn answer(&self, question: &Arp) -> Arp {
        Arp { is_request: false, from: (question.to.0, self.mac), to: question.from }
    }

    /// Whom a packet goes to next.
    fn hop(&self, to: Ipv4Addr) -> Option<Hop> {
        if to == self.broadcast || to.is_broadcast() {
            return Some(Hop::Group(Mac::BROADCAST));
        }
        if to.is_multicast() {
            return Some(Hop::Group(Mac::of_group(to)));
        }
        let own = self.address.filter(|own| own.address() != to && !to.is_unspecified())?;
        if own.contains_addr(&to) { Some(Hop::Neighbour(to)) } else { self.gateway.map(Hop::Neighbour) }
    }
}

enum Hop {
    Group(Mac),
    Neighbour(Ipv4Addr),
}

/// The IPv4 address at an offset of a packet.
fn address_at(packet: &[u8], at: usize) -> Option<Ipv4Addr> {
    packet.get(at..)?.first_chunk().copied().map(Ipv4Addr::from_octets)
}
