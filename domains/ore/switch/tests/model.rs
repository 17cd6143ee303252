//! The switch against a naive one, which looks everything up each time in what the manifest says.

mod office;

use cloison_abi::port::{PortFlags, PortSettings};
use ore_switch::{Cause, Header, Mac, PortSet, START_BYTES, Switch};
use proptest::{collection::vec as some, prelude::*};

use office::office;

/// Addresses of the test: those of ports 0 to 7, and of others.
fn mac(number: u8) -> [u8; 6] {
    match number {
        0..20 => [2, 0, 0, 0, 0, number],
        20 => [0xff; 6],
        21 => [0x01, 0x00, 0x5e, 0, 0, 1],
        22 => [0x01, 0x80, 0xc2, 0, 0, 0x0e],
        _ => [0; 6],
    }
}

/// IPv4 addresses of the test: those of ports 0 to 7, the router's and the name server's, others, and none.
fn address(number: u8) -> [u8; 4] {
    if number == NOBODY { [0; 4] } else { [10, 0, 0, number] }
}

const ROUTER: u8 = 8;
const NAME_SERVER: u8 = 9;
const NOBODY: u8 = 12;

/// What is in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    Tag(u16),
    Arp,
    /// ARP with another MAC address in it than the frame's.
    ForgedArp,
    /// ARP for hardware that is not Ethernet.
    OtherArp,
    Tcp,
    Udp(u16),
    UdpWithOptions,
    Other,
}

#[derive(Clone, Debug)]
struct Sent {
    from: usize,
    destination: u8,
    source: u8,
    content: Content,
    /// Number of the IPv4 address that it says it is from.
    sender: u8,
    /// Since the frame before.
    ticks: u64,
}

fn any_port() -> impl Strategy<Value = PortSettings> {
    let flags = prop_oneof![
        5 => Just(PortFlags::empty()),
        2 => Just(PortFlags::UPLINK),
        1 => Just(PortFlags::MIRROR)
    ];
    (1..3_u16, flags, any::<u32>(), any::<bool>(), any::<bool>()).prop_map(
        |(vlan, flags, list, listed, fixed)| PortSettings {
            vlan,
            flags: flags.bits(),
            // Made into the port's own below.
            address: if fixed && flags.is_empty() { [1; 4] } else { [0; 4] },
            may_send_to: if listed { list } else { u32::MAX },
            mtu: 1500,
            ..PortSettings::default()
        },
    )
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let content = prop_oneof![
        1 => prop_oneof![Just(0x8100_u16), Just(0x88a8)].prop_map(Content::Tag),
        3 => Just(Content::Arp),
        1 => Just(Content::ForgedArp),
        1 => Just(Content::OtherArp),
        3 => Just(Content::Tcp),
        3 => prop_oneof![Just(67_u16), any::<u16>()].prop_map(Content::Udp),
        1 => Just(Content::UdpWithOptions),
        3 => Just(Content::Other),
    ];
    // Mostly from the port's own addresses.
    let source = prop_oneof![3 => Just(u8::MAX), 2 => 0..24_u8];
    let sender = prop_oneof![3 => Just(u8::MAX), 2 => 0..=NOBODY];
    (0..8_usize, 0..24_u8, source, content, sender, 0..150_u64).prop_map(
        |(from, destination, source, content, sender, ticks)| Sent {
            from,
            destination,
            source: if source == u8::MAX { from as u8 } else { source },
            content,
            sender: if sender == u8::MAX { from as u8 } else { sender },
            ticks,
        },
    )
}

/// What the model knows of an address outside: where it was seen, and when.
type Seen = Vec<([u8; 6], u16, usize, u64)>;

struct Model {
    ports: Vec<PortSettings>,
    seen: Seen,
    /// From where nothing passes to where, whatever the manifest says.
    closed: Vec<(usize, usize)>,
}

impl Model {
    fn is(&self, port: usize, flag: PortFlags) -> bool {
        self.ports[port].flags & flag.bits() != 0
    }

    fn neighbours(&self, from: usize) -> Vec<usize> {
        let same = |port: &usize| {
            *port != from
                && self.ports[*port].vlan == self.ports[from].vlan
                && !self.is(*port, PortFlags::MIRROR)
        };
        (0..self.ports.len()).filter(same).collect()
    }

    fn owner(&self, mac: [u8; 6]) -> Option<usize> {
        (0..self.ports.len()).find(|port| !self.is(*port, PortFlags::MIRROR) && self.ports[*port].mac == mac)
    }

    /// Who gets the frame, or why nobody does.
    fn decide(&mut self, sent: &Sent, now: u64) -> Result<Vec<usize>, Cause> {
        let (from, source, destination) = (sent.from, mac(sent.source), mac(sent.destination));
        if matches!(sent.content, Content::Tag(_)) {
            return Err(Cause::Tagged);
        }
        if self.is(from, PortFlags::MIRROR) {
            return Err(Cause::Denied);
        }
        if self.is(from, PortFlags::UPLINK) {
            if source[0] & 1 != 0 || self.owner(source).is_some_and(|owner| owner != from) {
                return Err(Cause::Spoofed);
            }
            if self.says_address(sent) && self.is_ports(address(sent.sender)) {
                return Err(Cause::Forged);
            }
            let vlan = self.ports[from].vlan;
            self.seen.retain(|(mac, seen_vlan, ..)| (*mac, *seen_vlan) != (source, vlan));
            self.seen.push((source, vlan, from, now));
        } else if source != self.ports[from].mac {
            return Err(Cause::Spoofed);
        } else {
            self.content(sent)?;
        }
        if destination[..5] == [0x01, 0x80, 0xc2, 0, 0] && destination[5] < 16 {
            return Err(Cause::Reserved);
        }
        self.receivers(from, destination, now)
    }

    fn says_address(&self, sent: &Sent) -> bool {
        !matches!(sent.content, Content::Other | Content::Tag(_)) && sent.sender != NOBODY
    }

    fn is_ports(&self, address: [u8; 4]) -> bool {
        self.ports.iter().any(|port| port.address == address)
    }

    /// What a domain may not say.
    fn content(&self, sent: &Sent) -> Result<(), Cause> {
        match sent.content {
            Content::Udp(67) | Content::UdpWithOptions => return Err(Cause::DhcpServer),
            Content::ForgedArp | Content::OtherArp => return Err(Cause::Forged),
            _ => {}
        }
        let (own, said) = (self.ports[sent.from].address, address(sent.sender));
        let is_free = own == [0; 4] && !self.is_ports(said) && !self.is_router(sent.sender);
        let allowed = !self.says_address(sent) || said == own || is_free;
        if allowed { Ok(()) } else { Err(Cause::Forged) }
    }

    /// As far as the settings say so.
    fn is_router(&self, sender: u8) -> bool {
        let stated = self.ports.iter().any(|port| port.gateway != [0; 4]);
        stated && (sender == ROUTER || sender == NAME_SERVER)
    }

    fn receivers(&self, from: usize, destination: [u8; 6], now: u64) -> Result<Vec<usize>, Cause> {
        let neighbours = self.neighbours(from);
        let meant: Vec<usize> = if destination[0] & 1 != 0 {
            neighbours
        } else if let Some(owner) = self.owner(destination) {
            neighbours.into_iter().filter(|port| *port == owner).collect()
        } else {
            let key = (destination, self.ports[from].vlan);
            let seen =
                self.seen.iter().find(|(mac, vlan, _, when)| (*mac, *vlan) == key && now - when <= 300);
            neighbours
                .into_iter()
                .filter(|port| self.is(*port, PortFlags::UPLINK))
                .filter(|port| seen.is_none_or(|(_, _, uplink, _)| port == uplink))
                .collect()
        };
        let may =
            |to: &usize| self.ports[from].may_send_to >> to & 1 != 0 && !self.closed.contains(&(from, *to));
        let allowed: Vec<usize> = meant.iter().copied().filter(may).collect();
        match (meant.is_empty(), allowed.is_empty()) {
            (true, _) => Err(Cause::NoReceiver),
            (_, true) => Err(Cause::Denied),
            _ => Ok(allowed),
        }
    }
}

/// The header of a frame, by way of its bytes.
fn header(sent: &Sent, bytes: usize) -> Header {
    let mut start = [0; START_BYTES];
    let mut put = |at: usize, bytes: &[u8]| start[at..][..bytes.len()].copy_from_slice(bytes);
    put(0, &mac(sent.destination));
    put(6, &mac(sent.source));
    let hardware = if sent.content == Content::OtherArp { 6 } else { 1 };
    let sender_mac = if sent.content == Content::ForgedArp { mac(19) } else { mac(sent.source) };
    match sent.content {
        Content::Tag(tag) => put(12, &tag.to_be_bytes()),
        Content::Other => put(12, &[0x88, 0xb5]),
        Content::Arp | Content::ForgedArp | Content::OtherArp => {
            put(12, &[8, 6, 0, hardware, 8, 0, 6, 4, 0, 1]);
            put(22, &sender_mac);
            put(28, &address(sent.sender));
        }
        Content::Tcp | Content::Udp(_) | Content::UdpWithOptions => {
            let first = if sent.content == Content::UdpWithOptions { 0x46 } else { 0x45 };
            put(12, &[8, 0, first]);
            put(23, &[if sent.content == Content::Tcp { 6 } else { 17 }]);
            put(26, &address(sent.sender));
            put(34, &if let Content::Udp(port) = sent.content { port } else { 67 }.to_be_bytes());
        }
    }
    Header::parse(&start, bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn the_switch_decides_as_the_model_does(
        mut ports in some(any_port(), 1..8),
        frames in some((any_sent(), proptest::option::weighted(0.3, (0..8_usize, 0..8_usize, any::<bool>()))), 0..100),
    ) {
        for (number, port) in ports.iter_mut().enumerate() {
            port.mac = mac(number as u8);
            if port.address != [0; 4] {
                port.address = address(number as u8);
                (port.gateway, port.name_server) = (address(ROUTER), address(NAME_SERVER));
            }
        }
        let mirrors: PortSet =
            (0..ports.len()).filter(|port| ports[*port].flags & PortFlags::MIRROR.bits() != 0).collect();
        let mut switch = Switch::new(&ports, 1);
        let mut model = Model { ports, seen: Vec::new(), closed: Vec::new() };
        let mut now = 0;
        for (sent, narrowed) in &frames {
            now += sent.ticks;
            if let Some((from, to, is_closed)) = *narrowed {
                switch.narrow(from, to, is_closed);
                model.closed.retain(|pair| *pair != (from, to));
                model.closed.extend(is_closed.then_some((from, to)));
            }
            if sent.from >= model.ports.len() {
                continue;
            }
            let before = *switch.counters(sent.from).unwrap();
            let receivers = switch.take(sent.from, &header(sent, 100), now);
            let after = *switch.counters(sent.from).unwrap();
            prop_assert_eq!((after.frames_in, after.bytes_in), (before.frames_in + 1, before.bytes_in + 100));
            match model.decide(sent, now) {
                Ok(expected) => {
                    let expected: PortSet = expected.into_iter().collect();
                    prop_assert_eq!(receivers, expected | mirrors, "{:?} at {}", sent, now);
                    prop_assert_eq!(after.dropped, before.dropped);
                }
                Err(cause) => {
                    prop_assert_eq!(receivers, mirrors & !PortSet::of(sent.from), "{:?}: {}", sent, cause);
                    prop_assert_eq!(after.dropped(cause), before.dropped(cause) + 1, "{:?}: {}", sent, cause);
                }
            }
        }
    }
}

fn frame(from: usize, source: u8, destination: u8) -> Sent {
    Sent { from, destination, source, content: Content::Other, sender: NOBODY, ticks: 0 }
}

#[test]
fn a_frame_for_nobody_here_leaves_by_the_uplink_only() {
    let mut switch = Switch::new(&office([0, 1, 2, 3]), 1);
    assert_eq!(switch.take(0, &header(&frame(0, 0, 1), 60), 0), PortSet::of(1));
    assert_eq!(switch.take(0, &header(&frame(0, 0, 9), 60), 0), PortSet::of(2));
    assert_eq!(switch.take(0, &header(&frame(0, 0, 20), 60), 0), PortSet(0b110));
    assert_eq!(switch.take(2, &header(&frame(2, 9, 8), 60), 0), PortSet::EMPTY, "from outside, for nobody");
}

#[test]
fn another_lan_is_out_of_reach() {
    let mut switch = Switch::new(&office([0, 1, 2, 3]), 1);
    for destination in [3, 20, 9] {
        let receivers = switch.take(0, &header(&frame(0, 0, destination), 60), 0);
        assert!(!receivers.has(3), "for {destination}");
        let receivers = switch.take(3, &header(&frame(3, 3, destination), 60), 0);
        assert!(receivers.is_empty(), "for {destination}");
    }
    assert_eq!(switch.counters(0).unwrap().dropped(Cause::NoReceiver), 1);
    assert_eq!(switch.counters(3).unwrap().dropped(Cause::NoReceiver), 3);
}

#[test]
fn what_goes_out_is_counted_at_its_port() {
    let mut switch = Switch::new(&office([0, 1, 2, 3]), 1);
    for bytes in [60, 1514] {
        switch.count_out(1, bytes);
    }
    let counted = |port| switch.counters(port).map(|counters| (counters.frames_out, counters.bytes_out));
    assert_eq!([0, 1].map(counted), [Some((0, 0)), Some((2, 1574))]);
}

#[test]
fn every_cause_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = Cause::ALL.iter().map(Cause::to_string).collect();
    assert_eq!(names.len(), Cause::ALL.len());
    assert!(Cause::ALL.iter().enumerate().all(|(number, cause)| *cause as usize == number));
    assert_eq!(Mac::from(mac(7)).to_string(), "02:00:00:00:00:07");
}
