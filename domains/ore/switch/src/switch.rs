//! The decision.

use cloison_abi::port::{ETHERNET_HEADER_BYTES, MAX_PORTS, PortFlags, PortSettings};

use crate::{Cause, Counters, Header, Mac, PortSet, bucket::Bucket, learned::Learned};

/// For how long an address outside of the machine is remembered, in seconds (IEEE 802.1D, table 7-5).
const AGE_SECONDS: u64 = 300;
/// Values of [`Mac::hash`].
const HASHES: usize = 64;

/// A switch: the rules of its ports, what it has learned, and what it has counted.
#[derive(Clone, Debug)]
pub struct Switch {
    ports: [Port; MAX_PORTS],
    counters: [Counters; MAX_PORTS],
    /// The ports whose address has this hash.
    by_hash: [PortSet; HASHES],
    mirrors: PortSet,
    uplinks: PortSet,
    learned: Learned,
}

/// The rules of a port, as sets, so that a decision is a few operations on words.
#[derive(Clone, Copy, Debug)]
struct Port {
    mac: Mac,
    vlan: u16,
    uplink: bool,
    mirror: bool,
    /// Length of the longest frame that may go out here.
    longest: usize,
    /// The other ports of its VLAN.
    neighbours: PortSet,
    /// Those of them to which it may send.
    allowed: PortSet,
    /// Those of these that are uplinks.
    uplinks: PortSet,
    bucket: Bucket,
}

impl Switch {
    /// A switch with these ports, as the manifest describes them; at most [`MAX_PORTS`], the rest is ignored.
    /// `hertz` is the frequency of the clock that the times given to [`take`](Self::take) are read from.
    #[must_use]
    pub fn new(settings: &[PortSettings], hertz: u64) -> Self {
        let settings = &settings[..settings.len().min(MAX_PORTS)];
        let none = Port::new(&PortSettings::default(), hertz);
        let mut switch = Self {
            ports: [none; MAX_PORTS],
            counters: [Counters::default(); MAX_PORTS],
            by_hash: [PortSet::EMPTY; HASHES],
            mirrors: with_flag(settings, PortFlags::MIRROR),
            uplinks: with_flag(settings, PortFlags::UPLINK),
            learned: Learned::new(AGE_SECONDS.saturating_mul(hertz)),
        };
        for (number, port) in settings.iter().enumerate() {
            switch.add(number, port, settings, hertz);
        }
        switch
    }

    fn add(&mut self, number: usize, settings: &PortSettings, all: &[PortSettings], hertz: u64) {
        let mut port = Port::new(settings, hertz);
        if !port.mirror {
            let same_vlan: PortSet =
                (0..all.len()).filter(|other| all[*other].vlan == settings.vlan).collect();
            port.neighbours = same_vlan & !PortSet::of(number) & !self.mirrors;
            port.allowed = port.neighbours & PortSet(settings.may_send_to);
            port.uplinks = port.allowed & self.uplinks;
            let bucket = &mut self.by_hash[port.mac.hash()];
            *bucket = *bucket | PortSet::of(number);
        }
        self.ports[number] = port;
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

    /// Mirrors see what is refused too, but not what is over the rate: the limit spares them as well.
    #[cold]
    fn refuse(&mut self, from: usize, cause: Cause) -> PortSet {
        self.count_dropped(from, cause);
        if cause == Cause::RateLimit { PortSet::EMPTY } else { self.mirrors & !PortSet::of(from) }
    }

    #[inline]
    fn decide(&mut self, from: usize, header: &Header, now: u64) -> Result<PortSet, Cause> {
        let port = &mut self.ports[from];
        if !port.bucket.take(header.bytes, now) {
            return Err(Cause::RateLimit);
        }
        if header.is_tagged() {
            return Err(Cause::Tagged);
        }
        if port.uplink {
            self.learn(from, header.source, now)?;
        } else if header.source != port.mac {
            return Err(if port.mirror { Cause::Denied } else { Cause::Spoofed });
        }
        if header.destination.is_group() {
            self.group(from, header.destination)
        } else {
            self.one(from, header.destination, now)
        }
    }

    /// Remembers what an uplink says to be behind it, unless that cannot be.
    fn learn(&mut self, from: usize, source: Mac, now: u64) -> Result<(), Cause> {
        if source.is_group() || self.owner(source, !PortSet::of(from)).is_some() {
            return Err(Cause::Spoofed);
        }
        self.learned.learn(source, self.ports[from].vlan, from, now);
        Ok(())
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
    fn new(settings: &PortSettings, hertz: u64) -> Self {
        let flags = PortFlags::from_bits_truncate(settings.flags);
        let mirror = flags.contains(PortFlags::MIRROR);
        let longest = settings.mtu.saturating_add(ETHERNET_HEADER_BYTES) as usize;
        Self {
            mac: if mirror { Mac::NOBODY } else { settings.mac.into() },
            vlan: settings.vlan,
            uplink: flags.contains(PortFlags::UPLINK),
            mirror,
            longest: if mirror { usize::MAX } else { longest },
            neighbours: PortSet::EMPTY,
            allowed: PortSet::EMPTY,
            uplinks: PortSet::EMPTY,
            bucket: Bucket::new(settings.rate_bytes, settings.burst_bytes, hertz),
        }
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

fn with_flag(settings: &[PortSettings], flag: PortFlags) -> PortSet {
    let has = |number: &usize| PortFlags::from_bits_truncate(settings[*number].flags).contains(flag);
    (0..settings.len()).filter(has).collect()
}
