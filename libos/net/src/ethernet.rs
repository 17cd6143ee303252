//! Ethernet headers, and ARP's packets in them.

use core::net::Ipv4Addr;

/// Bytes of an Ethernet header.
pub(crate) const HEADER_BYTES: usize = cloison_abi::port::ETHERNET_HEADER_BYTES as usize;
/// Bytes of a frame with an ARP packet in it.
pub(crate) const ARP_FRAME_BYTES: usize = HEADER_BYTES + 28;

/// An IPv4 header without options.
const IPV4_BYTES: usize = 20;

const TYPE_IPV4: [u8; 2] = [0x08, 0x00];
const TYPE_ARP: [u8; 2] = [0x08, 0x06];
/// ARP's first bytes: Ethernet, IPv4, and how long their addresses are.
const ARP_KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];
const ARP_REQUEST: u8 = 1;
const ARP_REPLY: u8 = 2;

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mac(pub(crate) [u8; 6]);

/// The protocol of a frame's content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Ipv4,
    Arp(Arp),
}

/// An ARP packet: who says so, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arp {
    pub(crate) is_request: bool,
    pub(crate) from: (Ipv4Addr, Mac),
    pub(crate) to: (Ipv4Addr, Mac),
}

impl Mac {
    pub(crate) const BROADCAST: Self = Self([0xff; 6]);

    /// The address of a group of hosts (RFC 1112, 6.4).
    pub(crate) const fn of_group(address: Ipv4Addr) -> Self {
        let [_, a, b, c] = address.octets();
        Self([1, 0, 0x5e, a & 0x7f, b, c])
    }

    pub(crate) const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }
}

/// Where a frame goes, and where it comes from.
pub(crate) fn ends(frame: &[u8]) -> Option<[Mac; 2]> {
    let (macs, _) = frame.first_chunk::<12>()?.as_chunks::<6>();
    Some([Mac(macs[0]), Mac(macs[1])])
}

/// A frame's content, if it is of use here.
pub(crate) fn content(frame: &[u8]) -> Option<Content> {
    let (header, body) = frame.split_first_chunk::<HEADER_BYTES>()?;
    match [header[12], header[13]] {
        TYPE_IPV4 => Some(Content::Ipv4),
        TYPE_ARP => Arp::parse(body).map(Content::Arp),
        _ => None,
    }
}

/// The length of the IPv4 packet in a frame that carries one, if all of it is there. A fragment is none: nobody
/// here puts fragments together, and what one begins with may be anything.
pub(crate) fn packet_bytes(frame: &[u8]) -> Option<usize> {
    let (header, _) = frame.get(HEADER_BYTES..)?.split_first_chunk::<IPV4_BYTES>()?;
    let bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let header_bytes = usize::from(header[0] & 15) * 4;
    let is_version_4 = header[0] >> 4 == 4;
    let is_fragment = [header[6] & 0x3f, header[7]] != [0, 0];
    let fits = IPV4_BYTES <= header_bytes && header_bytes <= bytes && bytes <= frame.len() - HEADER_BYTES;
    (is_version_4 && !is_fragment && fits).then_some(bytes)
}

/// Writes the header of a frame that carries an IPv4 packet.
pub(crate) fn write_header(frame: &mut [u8], to: Mac, from: Mac) {
    write_ends(frame, to, from, TYPE_IPV4);
}

fn write_ends(frame: &mut [u8], to: Mac, from: Mac, kind: [u8; 2]) {
    frame[..6].copy_from_slice(&to.0);
    frame[6..12].copy_from_slice(&from.0);
    frame[12..14].copy_from_slice(&kind);
}

impl Arp {
    fn parse(packet: &[u8]) -> Option<Self> {
        let packet = packet.first_chunk::<28>()?;
        let is_request = match packet[6..8] {
            [0, ARP_REQUEST] => true,
            [0, ARP_REPLY] => false,
            _ => return None,
        };
        let end = |at: usize| {
            let [a, b, c, d, e, f, address @ ..]: [u8; 10] = core::array::from_fn(|byte| packet[at + byte]);
            (Ipv4Addr::from(address), Mac([a, b, c, d, e, f]))
        };
        (packet[..6] == ARP_KIND).then(|| Self { is_request, from: end(8), to: end(18) })
    }

    /// Writes the frame, which goes to whom it names.
    pub(crate) fn write(&self, frame: &mut [u8]) {
        write_ends(frame, self.to.1, self.from.1, TYPE_ARP);
        let packet = &mut frame[HEADER_BYTES..];
        packet[..6].copy_from_slice(&ARP_KIND);
        packet[6..8].copy_from_slice(&[0, if self.is_request { ARP_REQUEST } else { ARP_REPLY }]);
        for (at, (address, mac)) in [(8, self.from), (18, self.to)] {
            packet[at..at + 6].copy_from_slice(&mac.0);
            packet[at + 6..at + 10].copy_from_slice(&address.octets());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arp_packet_is_read_as_it_was_written_and_nothing_shorter_is_one() {
        let (here, there) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        for is_request in [true, false] {
            let arp = Arp { is_request, from: (here, Mac([2; 6])), to: (there, Mac::BROADCAST) };
            let mut frame = [0; ARP_FRAME_BYTES];
            arp.write(&mut frame);
            assert_eq!(content(&frame), Some(Content::Arp(arp)));
            assert_eq!(ends(&frame), Some([Mac::BROADCAST, Mac([2; 6])]));
            assert!((0..ARP_FRAME_BYTES).all(|bytes| content(&frame[..bytes]).is_none()));
            for at in [15, 17, 19, 21] {
                frame[at] ^= 0x40;
                assert_eq!(content(&frame), None, "byte {at}");
                frame[at] ^= 0x40;
            }
        }
    }

    #[test]
    fn a_packet_is_one_whose_header_says_so_and_that_is_there_whole() {
        let frame = |header: &[u8]| [&[0; 12][..], &TYPE_IPV4, header, &[0; 40]].concat();
        let good = [0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6];
        assert_eq!(packet_bytes(&frame(&good)), Some(40));
        for (at, byte, bytes) in [
            (0, 0x44, None),
            (0, 0x4a, Some(40)),
            (0, 0x4b, None),
            (0, 0x55, None),
            (0, 0x65, None),
            (2, 1, None),
            (3, 19, None),
            (3, 20, Some(20)),
            (3, 50, Some(50)),
            (3, 51, None),
            (6, 0x20, None),
            (6, 0x80, Some(40)),
            (6, 0x41, None),
            (7, 1, None),
        ] {
            let mut header = good;
            header[at] = byte;
            assert_eq!(packet_bytes(&frame(&header)), bytes, "byte {at} is {byte:#x}");
        }
        assert!((0..34).all(|bytes| packet_bytes(&frame(&good)[..bytes]).is_none()));
    }
}
