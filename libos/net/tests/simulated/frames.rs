//! Frames made by hand: from a peer, host 3, to its victim, host 1.

use cloison_net::Link;

use crate::world::host;

const VICTIM: [u8; 6] = [2, 0, 10, 0, 0, 1];
const PEER: [u8; 6] = [2, 0, 10, 0, 0, 3];

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// A TCP segment. Ports of 0 stand for one of the peer's, and the victim's port 22.
#[derive(Default)]
pub struct Segment {
    /// The host that it says it is from; 0: the peer.
    pub from: u8,
    pub ports: (u16, u16),
    pub number: u32,
    pub acknowledged: u32,
    pub flags: u8,
    pub window: u16,
    /// What the header says of its length, if it lies.
    pub length: Option<u8>,
    pub options: Vec<u8>,
    pub data: usize,
}

impl Segment {
    pub fn frame(&self) -> Vec<u8> {
        let bytes = 40 + self.options.len() + self.data;
        let (source, destination) = if self.ports.0 == 0 { (4096, 22) } else { self.ports };
        let length = self.length.unwrap_or((5 + self.options.len() / 4) as u8 * 16);
        let mut frame = [&VICTIM[..], &PEER, &[8, 0, 0x45, 0], &(bytes as u16).to_be_bytes()].concat();
        frame.extend([0, 0, 0, 0, 64, 6, 0, 0]);
        let from = if self.from == 0 { 3 } else { self.from };
        frame.extend(host(from).octets().iter().chain(&host(1).octets()));
        frame.extend(source.to_be_bytes().iter().chain(&destination.to_be_bytes()));
        frame.extend(self.number.to_be_bytes().iter().chain(&self.acknowledged.to_be_bytes()));
        frame.extend([length, self.flags]);
        frame.extend(self.window.to_be_bytes().iter().chain(&[0; 4]).chain(&self.options));
        frame.resize(14 + bytes, 9);
        frame
    }
}

pub fn put(link: &mut impl Link, frame: &[u8]) {
    link.reserve(frame.len()).unwrap().copy_from_slice(frame);
    link.publish(frame.len());
}

/// A request (1) or reply (2) that tells the victim the peer's MAC address.
pub fn arp(operation: u8) -> Vec<u8> {
    let mut frame = [&VICTIM[..], &PEER, &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation], &PEER].concat();
    frame.extend(host(3).octets());
    frame.extend(VICTIM.iter().chain(&host(1).octets()));
    frame
}
