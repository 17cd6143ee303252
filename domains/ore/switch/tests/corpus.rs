//! Frames made by hand, and what becomes of them when a bit, a byte or the length changes: the switch always
//! comes to a decision, and never to a wrong port.

mod office;

use std::{fs, path::Path};

use cloison_abi::port::PortSettings;
use ore_switch::{Cause, Header, PortSet, START_BYTES, Switch};
use proptest::prelude::*;

use office::office;

/// The frames are as the domain at port 0 would send them, to the one at port 1.
fn ports() -> Vec<PortSettings> {
    let with_address = |port: PortSettings| PortSettings {
        address: if port.flags == 0 { [192, 168, 0, port.mac[5]] } else { [0; 4] },
        gateway: [192, 168, 0, 254],
        ..port
    };
    office([1, 2, 0x10, 3]).into_iter().map(with_address).collect()
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut frames: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect();
    frames.sort();
    frames
}

/// Takes a frame in as the domain `ore` does.
fn take(switch: &mut Switch, from: usize, frame: &[u8]) -> PortSet {
    let mut start = [0; START_BYTES];
    let read = frame.len().min(START_BYTES);
    start[..read].copy_from_slice(&frame[..read]);
    let Some(header) = Header::parse(&start, frame.len()) else {
        switch.refuse_runt(from, frame.len());
        return PortSet::EMPTY;
    };
    switch.take(from, &header, 0)
}

#[test]
fn the_corpus_goes_where_it_belongs() {
    let expected = [
        ("arp-for-the-gateway", Err(Cause::Forged)),
        ("arp-forged-address", Err(Cause::Forged)),
        ("arp-forged-mac", Err(Cause::Forged)),
        ("arp-other-hardware", Err(Cause::Forged)),
        ("arp-probe", Ok(0b110)),
        ("arp-reply", Err(Cause::Spoofed)),
        ("arp-request", Ok(0b110)),
        ("arp-short", Err(Cause::Forged)),
        ("dhcp-discover", Ok(0b110)),
        ("dhcp-offer", Err(Cause::DhcpServer)),
        ("empty", Err(Cause::Runt)),
        ("giant", Ok(0b010)),
        ("group-source", Err(Cause::Spoofed)),
        ("ipv4-forged-source", Err(Cause::Forged)),
        ("ipv4-tcp-syn", Ok(0b010)),
        ("ipv4-udp", Ok(0b010)),
        ("ipv6-neighbour", Ok(0b110)),
        ("lldp", Err(Cause::Reserved)),
        ("ones", Err(Cause::Spoofed)),
        ("runt", Err(Cause::Runt)),
        ("runt-13", Err(Cause::Runt)),
        ("shortest", Ok(0b010)),
        ("spanning-tree", Err(Cause::Reserved)),
        ("spoofed", Err(Cause::Spoofed)),
        ("to-itself", Err(Cause::NoReceiver)),
        ("udp-later-fragment", Ok(0b010)),
        ("udp-options", Err(Cause::DhcpServer)),
        ("unknown-destination", Ok(0b100)),
        ("vlan-8021ad", Err(Cause::Tagged)),
        ("vlan-8021q", Err(Cause::Tagged)),
        ("zeros", Err(Cause::Spoofed)),
    ];
    let frames = corpus();
    assert_eq!(
        frames.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        expected.map(|(name, _)| name).each_ref()
    );
    for ((name, frame), (_, expected)) in frames.iter().zip(expected) {
        let mut switch = Switch::new(&ports(), 1);
        let receivers = take(&mut switch, 0, frame);
        assert_eq!(receivers.0, expected.unwrap_or(0), "{name}");
        let dropped = switch.counters(0).unwrap().dropped;
        let cause = Cause::ALL.iter().find(|cause| dropped[**cause as usize] == 1).copied();
        assert_eq!(cause, expected.err(), "{name}");
    }
}

#[test]
fn a_changed_frame_goes_where_its_port_may_send_or_nowhere() {
    for (name, frame) in corpus() {
        for (at, mask) in (0..frame.len().min(40)).flat_map(|at| (0..8).map(move |bit| (at, 1 << bit))) {
            let mut changed = frame.clone();
            changed[at] ^= mask;
            check(&changed, &name);
            check(&changed[..at], &name);
        }
    }
}

fn check(frame: &[u8], name: &str) {
    for from in 0..4 {
        let mut switch = Switch::new(&ports(), 1);
        let receivers = take(&mut switch, from, frame);
        let lan = if from == 3 { PortSet::EMPTY } else { PortSet(0b0111) & !PortSet::of(from) };
        assert!((receivers & !lan).is_empty(), "{name}: {frame:02x?} from {from} went to {receivers:?}");
        let dropped: u64 = switch.counters(from).unwrap().dropped.iter().sum();
        assert_eq!(dropped == 0, !receivers.is_empty(), "{name}: dropped, or gone somewhere");
    }
}

proptest! {
    #[test]
    fn any_bytes_lead_to_a_decision(frame in proptest::collection::vec(any::<u8>(), 0..100)) {
        check(&frame, "any bytes");
    }
}
