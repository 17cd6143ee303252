//! The switch against a naive one, which looks everything up anew in what the manifest says.

use cloison_abi::port::{PortFlags, PortSettings};
use ore_switch::{Cause, Header, Mac, PortSet, START_BYTES, Switch};
use proptest::{collection::vec as some, prelude::*};

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

#[derive(Clone, Debug)]
struct Sent {
    from: usize,
    destination: u8,
    source: u8,
    ethertype: u16,
    /// Since the frame before.
    ticks: u64,
}

fn any_port() -> impl Strategy<Value = PortSettings> {
    let flags = prop_oneof![
        5 => Just(PortFlags::empty()),
        2 => Just(PortFlags::UPLINK),
        1 => Just(PortFlags::MIRROR)
    ];
    (1..3_u16, flags, any::<u32>(), any::<bool>()).prop_map(|(vlan, flags, list, listed)| PortSettings {
        vlan,
        flags: flags.bits(),
        may_send_to: if listed { list } else { u32::MAX },
        mtu: 1500,
        ..PortSettings::default()
    })
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let ethertype = prop_oneof![8 => Just(0x0800), 1 => Just(0x8100), 1 => Just(0x88a8)];
    // Mostly from the port's own address.
    let source = prop_oneof![3 => Just(u8::MAX), 2 => 0..24_u8];
    (0..8_usize, 0..24_u8, source, ethertype, 0..150_u64).prop_map(
        |(from, destination, source, ethertype, ticks)| Sent {
            from,
            destination,
            source: if source == u8::MAX { from as u8 } else { source },
            ethertype,
            ticks,
        },
    )
}

/// What the model knows of an address outside: where it was seen, and when.
type Seen = Vec<([u8; 6], u16, usize, u64)>;

struct Model {
    ports: Vec<PortSettings>,
    seen: Seen,
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
        if sent.ethertype != 0x0800 {
            return Err(Cause::Tagged);
        }
        if self.is(from, PortFlags::MIRROR) {
            return Err(Cause::Denied);
        }
        if self.is(from, PortFlags::UPLINK) {
            if source[0] & 1 != 0 || self.owner(source).is_some_and(|owner| owner != from) {
                return Err(Cause::Spoofed);
            }
            let vlan = self.ports[from].vlan;
            self.seen.retain(|(mac, seen_vlan, ..)| (*mac, *seen_vlan) != (source, vlan));
            self.seen.push((source, vlan, from, now));
        } else if source != self.ports[from].mac {
            return Err(Cause::Spoofed);
        }
        if destination[..5] == [0x01, 0x80, 0xc2, 0, 0] && destination[5] < 16 {
            return Err(Cause::Reserved);
        }
        self.receivers(from, destination, now)
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
        let allowed: Vec<usize> =
            meant.iter().copied().filter(|to| self.ports[from].may_send_to >> to & 1 != 0).collect();
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
    start[..6].copy_from_slice(&mac(sent.destination));
    start[6..12].copy_from_slice(&mac(sent.source));
    start[12..14].copy_from_slice(&sent.ethertype.to_be_bytes());
    Header::parse(&start, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn the_switch_decides_as_the_model_does(
        mut ports in some(any_port(), 1..8),
        frames in some(any_sent(), 0..100),
    ) {
        for (number, port) in ports.iter_mut().enumerate() {
            port.mac = mac(number as u8);
        }
        let mirrors: PortSet =
            (0..ports.len()).filter(|port| ports[*port].flags & PortFlags::MIRROR.bits() != 0).collect();
        let mut switch = Switch::new(&ports, 1);
        let mut model = Model { ports, seen: Vec::new() };
        let mut now = 0;
        for sent in &frames {
            now += sent.ticks;
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

/// Two domains and an uplink on one LAN, a third domain on another.
fn office() -> Vec<PortSettings> {
    let port = |number: u8, vlan, flags: PortFlags| PortSettings {
        mac: mac(number),
        vlan,
        flags: flags.bits(),
        may_send_to: u32::MAX,
        mtu: 1500,
        ..PortSettings::default()
    };
    vec![
        port(0, 1, PortFlags::empty()),
        port(1, 1, PortFlags::empty()),
        port(2, 1, PortFlags::UPLINK),
        port(3, 2, PortFlags::empty()),
    ]
}

fn frame(from: usize, source: u8, destination: u8) -> Sent {
    Sent { from, destination, source, ethertype: 0x0800, ticks: 0 }
}

#[test]
fn a_frame_for_nobody_here_leaves_by_the_uplink_only() {
    let mut switch = Switch::new(&office(), 1);
    assert_eq!(switch.take(0, &header(&frame(0, 0, 1), 60), 0), PortSet::of(1));
    assert_eq!(switch.take(0, &header(&frame(0, 0, 9), 60), 0), PortSet::of(2));
    assert_eq!(switch.take(0, &header(&frame(0, 0, 20), 60), 0), PortSet(0b110));
    assert_eq!(switch.take(2, &header(&frame(2, 9, 8), 60), 0), PortSet::EMPTY, "from outside, for nobody");
}

#[test]
fn another_lan_is_out_of_reach() {
    let mut switch = Switch::new(&office(), 1);
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
fn what_is_over_the_rate_is_dropped_before_anything_else() {
    let mut ports = office();
    (ports[0].rate_bytes, ports[0].burst_bytes) = (1000, 1000);
    let mut switch = Switch::new(&ports, 1_000_000);
    let passed = |switch: &mut Switch, now| {
        (0..100).filter(|_| !switch.take(0, &header(&frame(0, 0, 1), 100), now).is_empty()).count()
    };
    assert_eq!((passed(&mut switch, 0), passed(&mut switch, 500_000)), (10, 5));
    assert_eq!(switch.counters(0).unwrap().dropped(Cause::RateLimit), 185);
}

#[test]
fn every_cause_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.name()).collect();
    assert_eq!(names.len(), Cause::ALL.len());
    assert!(Cause::ALL.iter().enumerate().all(|(number, cause)| *cause as usize == number));
    assert_eq!(Mac::from(mac(7)).to_string(), "02:00:00:00:00:07");
}
