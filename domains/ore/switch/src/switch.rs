//! The decision.

use core::net::Ipv4Addr;

use cloison_abi::port::{ETHERNET_HEADER_BYTES, MAX_PORTS, PortFlags, PortSettings};

use crate::{Cause, Counters, Header, Mac, Packet, PortSet, learned::Learned};

/// For how long an address outside of the machine is remembered, in seconds (IEEE 802.1D, table 7-5).
const AGE_SECONDS: u64 = 300;
/// Values of [`Mac::hash`].
const HASHES: usize = 64;

/// A switch: the rules of its ports, what it has learned, and what it has counted.
#[derive(Clone, Debug)]
pub struct Switch {
    ports: [Port; MAX_PORTS],
    /// A bit for the last six bits of each IPv4 address among the ports', so that most others need no search.
    addresses: u64,
    counters: [Counters; MAX_PORTS],
    /// The ports whose address has this hash.
    by_hash: [PortSet; HASHES],
    /// Routers and name servers of the ports' networks: a domain that has such an address has it from the
    /// manifest, as its port's.
    routers: [[Ipv4Addr; 2]; MAX_PORTS],
    mirrors: PortSet,
    uplinks: PortSet,
    learned: Learned,
}

/// The rules of a port, as sets, so that a decision is a few operations on words.
#[derive(Clone, Copy, Debug)]
struct Port {
    mac: Mac,
    /// Its IPv4 address; unspecified: none that the switch knows.
    address: Ipv4Addr,
    vlan: u16,
    uplink: bool,
    mirror: bool,
    /// Length of the longest frame that may go out here.
    longest: usize,
    /// The other ports of its VLAN.
    neighbours: PortSet,
    /// Those of them to which it may send, as the manifest says.
    granted: PortSet,
    /// Those to which it may send now.
    allowed: PortSet,
    /// Those of these that are uplinks.
    uplinks: PortSet,
}

impl Switch {
    /// A switch with these ports, as the manifest describes them; at most [`MAX_PORTS`], the rest is ignored.
    /// `hertz` is the frequency of the clock that the times given to [`take`](Self::take) are read from.
    #[must_use]
    pub fn new(settings: &[PortSettings], hertz: u64) -> Self {
        let settings = &settings[..settings.len().min(MAX_PORTS)];
        let none = Port::new(&PortSettings::default());
        let mut switch = Self {
            ports: [none; MAX_PORTS],
            addresses: 0,
            counters: [Counters::default(); MAX_PORTS],
            by_hash: [PortSet::EMPTY; HASHES],
            routers: [[Ipv4Addr::UNSPECIFIED; 2]; MAX_PORTS],
            mirrors: with_flag(settings, PortFlags::MIRROR),
            uplinks: with_flag(settings, PortFlags::UPLINK),
            learned: Learned::new(AGE_SECONDS.saturating_mul(hertz)),
        };
        for (number, port) in settings.iter().enumerate() {
            switch.add(number, port, settings);
        }
        switch
    }

    fn add(&mut self, number: usize, settings: &PortSettings, all: &[PortSettings]) {
        let mut port = Port::new(settings);
        self.routers[number] = [settings.gateway.into(), settings.name_server.into()];
        if !port.mirror {
            let same_vlan: PortSet =
                (0..all.len()).filter(|other| all[*other].vlan == settings.vlan).collect();
            port.neighbours = same_vlan & !PortSet::of(number) & !self.mirrors;
            port.granted = port.neighbours & PortSet(settings.may_send_to);
            port.allow(port.granted, self.uplinks);
            let bucket = &mut self.by_hash[port.mac.hash()];
            *bucket = *bucket | PortSet::of(number);
        }
        if !port.address.is_unspecified() {
            self.addresses |= bit_of(port.address);
        }
        self.ports[number] = port;
    }

    /// Keeps what comes in at one port from another one, or lets it pass again, if the manifest does.
    pub fn narrow(&mut self, from: usize, to: usize, is_closed: bool) {
        let uplinks = self.uplinks;
        if let Some(port) = self.ports.get_mut(from) {
            let to = PortSet::of(to);
            let allowed = if is_closed { port.allowed & !to } else { port.allowed | (port.granted & to) };
            port.allow(allowed, uplinks);
        }
    }

    /// Takes in a frame at a port. Returns the ports that get it; a mirror gets it even if nobody else does.
    #[inline]
    pub fn take(&mut self, from: usize, header: &Header, now: u64) -> PortSet {
        self.counters[from].count_in(header.bytes);
        match self.decide(from, header, now) {
            Ok(receivers) => receivers | self.mirrors,
            Err(cause) => self.refuse(from, cause),
        }
    }

    /// Counts a frame that is too short to be taken in.
    pub fn refuse_runt(&mut self, from: usize, bytes: usize) {
        self.counters[from].count_in(bytes);
        self.count_dropped(from, Cause::Runt);
    }

    /// Counts a frame that went out.
    #[inline]
    pub fn count_out(&mut self, to: usize, bytes: usize) {
        self.counters[to].count_out(bytes);
    }

    /// Counts a frame that was dropped.
    #[cold]
    pub fn count_dropped(&mut self, port: usize, cause: Cause) {
        self.counters[port].count_dropped(cause);
    }

    /// Length of the longest frame that may go out by a port.
    #[must_use]
    #[inline]
    pub fn longest(&self, port: usize) -> usize {
        self.ports[port].longest
    }

    /// What was counted at a port.
    #[must_use]
    pub fn counters(&self, port: usize) -> Option<&Counters> {
        self.counters.get(port)
    }

    /// Mirrors see what is refused too.
    #[cold]
    fn refuse(&mut self, from: usize, cause: Cause) -> PortSet {
        self.count_dropped(from, cause);
        self.mirrors & !PortSet::of(from)
    }

    #[inline]
    fn decide(&mut self, from: usize, header: &Header, now: u64) -> Result<PortSet, Cause> {
        if header.is_tagged() {
            return Err(Cause::Tagged);
        }
        let port = &self.ports[from];
        if port.uplink {
            self.admit_from_outside(from, header, now)?;
        } else if header.source != port.mac {
            return Err(if port.mirror { Cause::Denied } else { Cause::Spoofed });
        } else {
            self.admit(port, header)?;
        }
        if header.destination.is_group() {
            self.group(from, header.destination)
        } else {
            self.one(from, header.destination, now)
        }
    }

    /// Whether a domain may send this, which comes from its MAC address.
    #[inline]
    fn admit(&self, port: &Port, header: &Header) -> Result<(), Cause> {
        match header.packet {
            Packet::Other => Ok(()),
            Packet::Ipv4(address) => self.admit_address(port, address),
            Packet::Arp(address, mac) if mac == Some(port.mac) => self.admit_address(port, address),
            Packet::Arp(..) => Err(Cause::Forged),
            Packet::MayServeDhcp(_) => Err(Cause::DhcpServer),
        }
    }

    /// Whether a domain may say that a packet is from this address.
    #[inline]
    fn admit_address(&self, port: &Port, address: Ipv4Addr) -> Result<(), Cause> {
        // Unspecified: a client of DHCP that has none yet, or one that asks whether an address is free.
        if address == port.address || address.is_unspecified() {
            return Ok(());
        }
        let fixed = !port.address.is_unspecified();
        if fixed || self.is_domains(address) || self.routers.as_flattened().contains(&address) {
            return Err(Cause::Forged);
        }
        Ok(())
    }

    /// Remembers what an uplink says to be behind it, unless that cannot be.
    fn admit_from_outside(&mut self, from: usize, header: &Header, now: u64) -> Result<(), Cause> {
        let source = header.source;
        if source.is_group() || self.owner(source, !PortSet::of(from)).is_some() {
            return Err(Cause::Spoofed);
        }
        if let Packet::Arp(address, _) | Packet::Ipv4(address) | Packet::MayServeDhcp(address) = header.packet
            && self.is_domains(address)
        {
            return Err(Cause::Forged);
        }
        self.learned.learn(source, self.ports[from].vlan, from, now);
        Ok(())
    }

    /// Whether this is the IPv4 address of a port.
    fn is_domains(&self, address: Ipv4Addr) -> bool {
        let may_be = self.addresses & bit_of(address) != 0 && !address.is_unspecified();
        may_be && self.ports.iter().any(|port| port.address == address)
    }

    /// Who gets a frame for a group: all of the VLAN that the access list names.
    fn group(&self, from: usize, destination: Mac) -> Result<PortSet, Cause> {
        if destination.is_reserved() {
            return Err(Cause::Reserved);
        }
        let port = &self.ports[from];
        some(port.allowed, port.neighbours)
    }

    /// Who gets a frame for one address.
    #[inline]
    fn one(&self, from: usize, destination: Mac, now: u64) -> Result<PortSet, Cause> {
        let port = &self.ports[from];
        if let Some(to) = self.owner(destination, port.allowed) {
            return Ok(PortSet::of(to));
        }
        self.elsewhere(port, destination, now)
    }

    /// Who gets a frame for an address at none of the ports to which the sender may send: the uplinks, if it
    /// is not a domain's. No domain has it, so nobody else is to see it.
    fn elsewhere(&self, port: &Port, destination: Mac, now: u64) -> Result<PortSet, Cause> {
        if self.owner(destination, port.neighbours).is_some() {
            return Err(Cause::Denied);
        }
        if self.owner(destination, PortSet(u32::MAX)).is_some() {
            return Err(Cause::NoReceiver);
        }
        match self.learned.find(destination, port.vlan, now) {
            Some(uplink) => some(port.uplinks & PortSet::of(uplink), port.neighbours & PortSet::of(uplink)),
            None => some(port.uplinks, port.neighbours & self.uplinks),
        }
    }

    /// Which of these ports has this address.
    #[inline]
    fn owner(&self, mac: Mac, among: PortSet) -> Option<usize> {
        (self.by_hash[mac.hash()] & among).find(|number| self.ports[*number].mac == mac)
    }
}

impl Port {
    fn new(settings: &PortSettings) -> Self {
        let flags = PortFlags::from_bits_truncate(settings.flags);
        let mirror = flags.contains(PortFlags::MIRROR);
        let longest = settings.mtu.saturating_add(ETHERNET_HEADER_BYTES) as usize;
        Self {
            mac: if mirror { Mac::NOBODY } else { settings.mac.into() },
            address: settings.address.into(),
            vlan: settings.vlan,
            uplink: flags.contains(PortFlags::UPLINK),
            mirror,
            longest: if mirror { usize::MAX } else { longest },
            neighbours: PortSet::EMPTY,
            granted: PortSet::EMPTY,
            allowed: PortSet::EMPTY,
            uplinks: PortSet::EMPTY,
        }
    }

    /// To these ports it may send now.
    fn allow(&mut self, allowed: PortSet, uplinks: PortSet) {
        self.allowed = allowed;
        self.uplinks = allowed & uplinks;
    }
}

/// The receivers, if there is one. If not, the access list forbids those that there are, or there are none.
#[inline]
fn some(receivers: PortSet, present: PortSet) -> Result<PortSet, Cause> {
    match (receivers.is_empty(), present.is_empty()) {
        (false, _) => Ok(receivers),
        (true, false) => Err(Cause::Denied),
        (true, true) => Err(Cause::NoReceiver),
    }
}

/// The bit of an address in [`Switch::addresses`].
fn bit_of(address: Ipv4Addr) -> u64 {
    1 << (u32::from(address) % u64::BITS)
}

fn with_flag(settings: &[PortSettings], flag: PortFlags) -> PortSet {
    let has = |number: &usize| PortFlags::from_bits_truncate(settings[*number].flags).contains(flag);
    (0..settings.len()).filter(has).collect()
}
