//! The start of a frame, parsed once: the Ethernet header, and who the packet behind it says that it is from.

use core::net::Ipv4Addr;

/// Bytes of a frame that the switch looks at: the Ethernet header, and behind it an ARP packet, or an IPv4
/// header and the ports of UDP. Behind a shorter frame stand zeros.
pub const START_BYTES: usize = 48;

/// Bytes of an Ethernet header.
const HEADER_BYTES: usize = 14;
/// Ethertypes.
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
/// How an ARP packet for IPv4 on Ethernet begins: hardware, protocol, and the lengths of their addresses.
const PLAIN_ARP: [u8; 6] = [0, 1, 0x08, 0, 6, 4];
/// First byte of an IPv4 header without options.
const NO_OPTIONS: u8 = 0x45;
/// What follows an IPv4 header: UDP.
const UDP: u8 = 17;
/// UDP port of a DHCP server.
const DHCP_SERVER: [u8; 2] = [0, 67];

/// Ethertypes that say that a VLAN tag follows: IEEE 802.1Q, 802.1ad, and the number used before 802.1ad.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// A MAC address. Its first byte is the number's lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mac(u64);

impl Mac {
    /// What no frame has for its source.
    pub(crate) const NOBODY: Self = Self(u64::MAX);

    /// The address of a group of receivers, the broadcast address included.
    #[must_use]
    #[inline]
    pub fn is_group(self) -> bool {
        self.0 & 1 != 0
    }

    /// One of those that a switch never forwards: 01:80:c2:00:00:00 to 0f (IEEE 802.1D, table 7-10).
    #[must_use]
    #[inline]
    pub fn is_reserved(self) -> bool {
        const FIRST: u64 = 0x0000_00c2_8001;
        self.0 & 0xf0ff_ffff_ffff == FIRST
    }

    /// The address as a number below 2⁴⁸.
    #[must_use]
    #[inline]
    pub fn number(self) -> u64 {
        self.0
    }

    /// A number below 64 that differs for most addresses that differ.
    #[must_use]
    #[inline]
    pub(crate) fn hash(self) -> usize {
        // The last bytes differ most; an odd factor carries every bit of them to the top.
        (self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
    }
}

impl From<[u8; 6]> for Mac {
    fn from([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }
}

impl core::fmt::Display for Mac {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, f, ..] = self.0.to_le_bytes();
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// What the switch knows of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whom it is for.
    pub destination: Mac,
    /// Whom it says that it is from.
    pub source: Mac,
    /// What is in it.
    pub ethertype: u16,
    /// What that says.
    pub packet: Packet,
    /// Length of the whole frame, in bytes.
    pub bytes: usize,
}

/// What the switch knows of what is in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// An ARP packet that says who has an address. Without a MAC address it is of another kind than the one
    /// for IPv4 on Ethernet; some receivers take it nevertheless.
    Arp(Ipv4Addr, Option<Mac>),
    /// An IPv4 packet from an address.
    Ipv4(Ipv4Addr),
    /// One that a DHCP server may have sent: UDP from its port, or with options in front of the port.
    MayServeDhcp(Ipv4Addr),
    /// Anything else.
    Other,
}

impl Header {
    /// The header of a frame that starts so and is `bytes` bytes long. `None` if it is too short for one.
    #[must_use]
    #[inline]
    pub fn parse(start: &[u8; START_BYTES], bytes: usize) -> Option<Self> {
        let ethertype = u16::from_be_bytes(at(start, 12));
        let packet = match ethertype {
            IPV4 => Packet::ipv4(start),
            ARP => Packet::arp(start),
            _ => Packet::Other,
        };
        let [destination, source] = [0, 6].map(|place| Mac::from(at(start, place)));
        (bytes >= HEADER_BYTES).then_some(Self { destination, source, ethertype, packet, bytes })
    }

    /// Whether a VLAN tag follows.
    #[must_use]
    #[inline]
    pub fn is_tagged(&self) -> bool {
        TAGS.contains(&self.ethertype)
    }
}

impl Packet {
    fn arp(start: &[u8; START_BYTES]) -> Self {
        let plain = at(start, 14) == PLAIN_ARP;
        Self::Arp(at(start, 28).into(), plain.then(|| at(start, 22).into()))
    }

    #[inline]
    fn ipv4(start: &[u8; START_BYTES]) -> Self {
        let source = at(start, 26).into();
        // A later fragment begins with anything; without the first, which has the ports, nobody gets it.
        let is_first = u16::from_be_bytes(at(start, 20)) & 0x1fff == 0;
        let may_serve = || start[14] != NO_OPTIONS || at(start, 34) == DHCP_SERVER;
        if start[23] == UDP && is_first && may_serve() {
            return Self::MayServeDhcp(source);
        }
        Self::Ipv4(source)
    }
}

/// The bytes from a place on.
#[inline]
fn at<const BYTES: usize>(start: &[u8; START_BYTES], place: usize) -> [u8; BYTES] {
    core::array::from_fn(|index| start[place + index])
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    /// A start of these bytes at these places.
    fn start(parts: &[(usize, &[u8])]) -> [u8; START_BYTES] {
        let mut start = [0; START_BYTES];
        for (place, bytes) in parts {
            start[*place..][..bytes.len()].copy_from_slice(bytes);
        }
        start
    }

    #[test]
    fn a_frame_is_parsed() {
        let start = start(&[(0, b"\x01\x02\x03\x04\x05\x06\x0a\x0b\x0c\x0d\x0e\x0f\x88\xb5xx")]);
        let header = Header::parse(&start, 60).unwrap();
        assert_eq!(header.destination.to_string(), "01:02:03:04:05:06");
        assert_eq!(header.source, Mac::from([10, 11, 12, 13, 14, 15]));
        assert_eq!((header.ethertype, header.bytes, header.packet), (0x88b5, 60, Packet::Other));
        assert!(!header.is_tagged());
        assert!(Header { ethertype: 0x8100, ..header }.is_tagged());
        assert!(Header { ethertype: 0x88a8, ..header }.is_tagged());
        assert_eq!(Header::parse(&start, 13), None);
        assert!(Header::parse(&start, 14).is_some());
    }

    #[test]
    fn who_a_packet_is_from_is_parsed() {
        let packet = |parts: &[(usize, &[u8])]| Header::parse(&start(parts), 60).unwrap().packet;
        let (sender, address) = ([2, 0, 0, 0, 0, 7], Ipv4Addr::new(10, 0, 0, 7));
        let arp: &[(usize, &[u8])] =
            &[(12, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]), (22, &sender), (28, &[10, 0, 0, 7])];
        assert_eq!(packet(arp), Packet::Arp(address, Some(sender.into())));
        assert_eq!(
            packet(&[arp, &[(15, &[6][..])]].concat()),
            Packet::Arp(address, None),
            "IEEE 802 hardware"
        );
        let udp: &[(usize, &[u8])] =
            &[(12, &[8, 0, 0x45]), (23, &[17]), (26, &[10, 0, 0, 7]), (34, &[0, 67])];
        let with = |place, bytes: &[u8]| packet(&[udp, &[(place, bytes)]].concat());
        assert_eq!(packet(udp), Packet::MayServeDhcp(address));
        assert_eq!(with(34, &[0, 68]), Packet::Ipv4(address), "a client");
        assert_eq!(with(14, &[0x46]), Packet::MayServeDhcp(address), "behind options");
        assert_eq!(with(20, &[0x20, 0]), Packet::MayServeDhcp(address), "the first fragment");
        assert_eq!(with(20, &[0, 1]), Packet::Ipv4(address), "a later fragment");
        assert_eq!(with(23, &[6]), Packet::Ipv4(address), "TCP");
    }

    /// Else all ports share one set, and each frame is compared with each port.
    #[test]
    fn neighbouring_addresses_are_spread_over_all_sets() {
        let mut count = [0; 64];
        for number in 0..640_u16 {
            let [high, low] = number.to_be_bytes();
            count[Mac::from([2, 0, 0, 0, high, low]).hash()] += 1;
        }
        assert!(count.iter().all(|count| (4..=20).contains(count)), "{count:?}");
    }

    #[test]
    fn addresses_are_of_one_or_of_a_group() {
        assert!(!Mac::from([2, 0, 0, 0, 0, 1]).is_group());
        assert!(Mac::from([0xff; 6]).is_group());
        for last in 0..=255 {
            assert_eq!(Mac::from([1, 0x80, 0xc2, 0, 0, last]).is_reserved(), last < 16, "{last}");
        }
        assert!(!Mac::from([1, 0x80, 0xc2, 0, 1, 0]).is_reserved());
    }
}
