//! Internet checksums of frames that leave the machine or come in.
//!
//! Domains on one switch neither compute nor check any: no bit can fall over between them. Where a frame
//! leaves, [`complete`] fills them in, whatever stood there; where one comes in, [`verify`] looks at them, so
//! that no domain has to.
//!
//! Covered are the header of IPv4, and TCP, UDP and ICMP over IPv4 and IPv6. Of a fragment only the header is
//! covered: the checksum of what it is a part of needs all parts. What is neither IPv4 nor IPv6 has none that
//! is known here, and passes.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests;

use core::{fmt, ops::Range};

pub use cloison_drivers::virtio::net::Checksum;

/// Bytes of an Ethernet header.
const ETHERNET_BYTES: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const IPV4_MIN_BYTES: usize = 20;
/// Offset of the checksum in an IPv4 header.
const IPV4_CHECKSUM: usize = 10;
/// More fragments follow, or this one is not the first.
const IPV4_IS_FRAGMENT: u16 = 0x3fff;
const IPV6_BYTES: usize = 40;
/// Headers between IPv6 and the transport that say nothing about where it begins or whom it is for.
const IPV6_HOP_BY_HOP: u8 = 0;
const IPV6_DESTINATION_OPTIONS: u8 = 60;
const MAX_EXTENSIONS: usize = 8;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Its headers are cut off, or their lengths contradict each other.
    Malformed,
    /// The checksum of its IPv4 header is wrong.
    Header,
    /// The checksum of the TCP, UDP or ICMP in it is wrong.
    Transport,
    /// The card says that a checksum is still to be computed, where the frame has none.
    Claim,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Malformed, Self::Header, Self::Transport, Self::Claim];
}

impl fmt::Display for Flaw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Malformed => "the lengths in its headers contradict each other",
            Self::Header => "the checksum of its IPv4 header is wrong",
            Self::Transport => "its TCP, UDP or ICMP checksum is wrong",
            Self::Claim => "the card leaves a checksum open where the frame has none",
        })
    }
}

/// Fills in the checksums of a frame that leaves the machine.
///
/// # Errors
/// [`Flaw::Malformed`]; the frame is then as it was.
pub fn complete(frame: &mut [u8]) -> Result<(), Flaw> {
    let packet = Packet::find(frame)?;
    packet.complete_header(frame);
    if let Some(transport) = packet.transport {
        transport.complete(frame);
    }
    Ok(())
}

/// The same for a card that computes checksums: that of TCP or UDP is left to it. Returns what to tell the card.
///
/// # Errors
/// As for [`complete`].
pub fn complete_but_one(frame: &mut [u8]) -> Result<Checksum, Flaw> {
    let packet = Packet::find(frame)?;
    packet.complete_header(frame);
    match packet.transport {
        Some(transport) if transport.may_be_left(frame) => {
            // The card adds up what begins there, this sum with it.
            put(frame, transport.checksum, fold(transport.pseudo_header));
            Ok(transport.left())
        }
        Some(transport) => {
            transport.complete(frame);
            Ok(Checksum::Unknown)
        }
        None => Ok(Checksum::Unknown),
    }
}

/// Checks the checksums of a frame that comes in, but for what the card knows of them.
///
/// # Errors
/// What is wrong with it.
pub fn verify(frame: &[u8], known: Checksum) -> Result<(), Flaw> {
    let packet = Packet::find(frame)?;
    let is_ipv4 = packet.ipv4_header.is_some();
    if packet.ipv4_header.is_some_and(|header| fold(sum(&frame[header])) != u16::MAX) {
        return Err(Flaw::Header);
    }
    match known {
        Checksum::Unknown => {}
        Checksum::Right => return Ok(()),
        Checksum::Open { .. } => {
            let is_there = packet.transport.is_some_and(|transport| transport.left() == known);
            return if is_there { Ok(()) } else { Err(Flaw::Claim) };
        }
    }
    let Some(Transport { protocol, bytes, checksum, pseudo_header }) = packet.transport else {
        return Ok(());
    };
    // UDP may go without, but over IPv6 it must not (RFC 8200, section 8.1).
    if protocol == UDP && frame[checksum..checksum + 2] == [0, 0] {
        return if is_ipv4 { Ok(()) } else { Err(Flaw::Transport) };
    }
    if fold(pseudo_header + sum(&frame[bytes])) == u16::MAX { Ok(()) } else { Err(Flaw::Transport) }
}

/// Where the checksums of a frame are.
#[derive(Default)]
struct Packet {
    ipv4_header: Option<Range<usize>>,
    transport: Option<Transport>,
}

/// A transport's header and data, and what its checksum covers besides.
struct Transport {
    protocol: u8,
    bytes: Range<usize>,
    /// Where the checksum stands.
    checksum: usize,
    /// Sum of addresses, protocol and length.
    pseudo_header: u64,
}

impl Packet {
    /// Fills in the checksum of the IPv4 header.
    fn complete_header(&self, frame: &mut [u8]) {
        if let Some(header) = self.ipv4_header.clone() {
            let at = header.start + IPV4_CHECKSUM;
            put(frame, at, 0);
            put(frame, at, !fold(sum(&frame[header])));
        }
    }

    /// Every range in the result lies in the frame.
    fn find(frame: &[u8]) -> Result<Self, Flaw> {
        match word(frame, ETHERNET_BYTES - 2)? {
            ETHERTYPE_IPV4 => Self::find_ipv4(frame),
            ETHERTYPE_IPV6 => Self::find_ipv6(frame),
            _ => Ok(Self::default()),
        }
    }

    fn find_ipv4(frame: &[u8]) -> Result<Self, Flaw> {
        let header = part(frame, ETHERNET_BYTES, IPV4_MIN_BYTES)?;
        let start = ETHERNET_BYTES + 4 * usize::from(header[0] & 0xf);
        let end = ETHERNET_BYTES + usize::from(word(header, 2)?);
        let whole = header[0] >> 4 == 4 && start >= ETHERNET_BYTES + IPV4_MIN_BYTES;
        if !whole || start > end || end > frame.len() {
            return Err(Flaw::Malformed);
        }
        let is_fragment = word(header, 6)? & IPV4_IS_FRAGMENT != 0;
        let protocol = header[9];
        let transport = if is_fragment || protocol == ICMPV6 {
            None
        } else {
            Transport::find(frame, protocol, start..end, sum(&header[12..20]))?
        };
        Ok(Self { ipv4_header: Some(ETHERNET_BYTES..start), transport })
    }

    fn find_ipv6(frame: &[u8]) -> Result<Self, Flaw> {
        let header = part(frame, ETHERNET_BYTES, IPV6_BYTES)?;
        let mut start = ETHERNET_BYTES + IPV6_BYTES;
        let end = start + usize::from(word(header, 4)?);
        if header[0] >> 4 != 6 || end > frame.len() {
            return Err(Flaw::Malformed);
        }
        let mut protocol = header[6];
        for _ in 0..MAX_EXTENSIONS {
            if ![IPV6_HOP_BY_HOP, IPV6_DESTINATION_OPTIONS].contains(&protocol) {
                break;
            }
            let extension = part(&frame[..end], start, 8)?;
            (protocol, start) = (extension[0], start + 8 * (1 + usize::from(extension[1])));
        }
        if start > end {
            return Err(Flaw::Malformed);
        }
        let transport = if protocol == ICMP {
            None
        } else {
            Transport::find(frame, protocol, start..end, sum(&header[8..40]))?
        };
        Ok(Self { ipv4_header: None, transport })
    }
}

impl Transport {
    fn complete(self, frame: &mut [u8]) {
        put(frame, self.checksum, 0);
        let value = !fold(self.pseudo_header + sum(&frame[self.bytes]));
        // Zero would mean that there is no checksum (RFC 768); its other form is all ones.
        put(frame, self.checksum, if self.protocol == UDP && value == 0 { u16::MAX } else { value });
    }

    /// Whether a card can compute the checksum: it takes all bytes up to the frame's end.
    fn may_be_left(&self, frame: &[u8]) -> bool {
        (self.protocol == TCP || self.protocol == UDP) && self.bytes.end == frame.len()
    }

    /// Where the checksum is that is still to be computed.
    fn left(&self) -> Checksum {
        Checksum::Open { start: self.bytes.start as u16, offset: (self.checksum - self.bytes.start) as u16 }
    }

    /// What is in `bytes` of a frame, between these addresses; `None` if it has no checksum that is known.
    fn find(
        frame: &[u8],
        protocol: u8,
        mut bytes: Range<usize>,
        addresses: u64,
    ) -> Result<Option<Self>, Flaw> {
        let (least, checksum) = match protocol {
            TCP => (20, 16),
            UDP => (8, 6),
            ICMP | ICMPV6 => (8, 2),
            _ => return Ok(None),
        };
        if protocol == UDP {
            // It states its own length; what is behind it is not covered.
            let end = bytes.start + usize::from(word(&frame[bytes.clone()], 4)?);
            if end > bytes.end {
                return Err(Flaw::Malformed);
            }
            bytes.end = end;
        }
        if bytes.end < bytes.start + least {
            return Err(Flaw::Malformed);
        }
        let length = (bytes.len() as u16).to_be();
        let pseudo_header = addresses + u64::from(u16::from(protocol).to_be()) + u64::from(length);
        // ICMP over IPv4 is the one that covers no addresses.
        let pseudo_header = if protocol == ICMP { 0 } else { pseudo_header };
        Ok(Some(Self { protocol, checksum: bytes.start + checksum, bytes, pseudo_header }))
    }
}

/// The sum of 16-bit words, in the byte order of this machine: the sum of swapped words is the swapped sum
/// (RFC 1071), so nothing has to be swapped. It is not folded yet.
///
/// Eight bytes a step, as an addition with carry does them; four steps a turn, as most frames are long.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let (turns, words) = words.as_chunks::<4>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let mut sum = wide(&last);
    for [a, b, c, d] in turns {
        sum = sum + wide(a) + wide(b) + wide(c) + wide(d);
    }
    let sum = words.iter().fold(sum, |sum, word| sum + wide(word));
    // What has been carried over 64 bits counts as a one, and so does each half of them.
    (sum >> 64) as u64 + (sum as u64 >> 32) + (sum as u64 & 0xffff_ffff)
}

fn wide(word: &[u8; 8]) -> u128 {
    u64::from_ne_bytes(*word).into()
}

/// Adds what has been carried over to what is left, until there is no carry. Below 2⁴⁸, and no frame has a sum beyond,
/// three steps are enough.
fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

/// Puts a checksum, which is in the machine's byte order, where it belongs.
fn put(frame: &mut [u8], at: usize, checksum: u16) {
    frame[at..at + 2].copy_from_slice(&checksum.to_ne_bytes());
}

fn part(bytes: &[u8], at: usize, count: usize) -> Result<&[u8], Flaw> {
    bytes.get(at..at + count).ok_or(Flaw::Malformed)
}

fn word(bytes: &[u8], at: usize) -> Result<u16, Flaw> {
    part(bytes, at, 2).map(|word| u16::from_be_bytes([word[0], word[1]]))
}
