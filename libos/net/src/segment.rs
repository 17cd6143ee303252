//! TCP segments: what their headers say, and how they are made. smoltcp makes all that belong to a connection;
//! those before it are made here.

use core::net::Ipv4Addr;

use smoltcp::{
    socket::tcp,
    wire::{IpAddress, IpEndpoint},
};

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

const PROTOCOL_TCP: u8 = 6;
/// An IPv4 header, or one of TCP, without options.
const HEADER_BYTES: usize = 20;
/// All options that are written here, each at a multiple of four bytes.
const MAX_OPTION_BYTES: usize = 12;
const OPTION_END: u8 = 0;
const OPTION_PAD: u8 = 1;
const OPTION_SEGMENT_BYTES: u8 = 2;
const OPTION_SCALE: u8 = 3;
const OPTION_PIECES: u8 = 4;
/// Largest shift of a window (RFC 7323, section 2.3).
const MAX_SCALE: u8 = 14;

/// Both ends of a connection: in the upper halves what the other side has, in the lower ones what this side
/// has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    addresses: u64,
    ports: u32,
}

impl Ends {
    pub(crate) fn new(local: IpEndpoint, remote: IpEndpoint) -> Self {
        let [local_address, remote_address] =
            [local.addr, remote.addr].map(|IpAddress::Ipv4(address)| address);
        Self {
            addresses: u64::from(remote_address.to_bits()) << 32 | u64::from(local_address.to_bits()),
            ports: u32::from(remote.port) << 16 | u32::from(local.port),
        }
    }

    /// The ends of a socket's connection, if it has one.
    pub(crate) fn of(socket: &tcp::Socket<'_>) -> Option<Self> {
        Some(Self::new(socket.local_endpoint()?, socket.remote_endpoint()?))
    }

    pub(crate) fn local_port(self) -> u16 {
        self.ports as u16
    }

    pub(crate) fn local_address(self) -> IpAddress {
        IpAddress::Ipv4((self.addresses as u32).into())
    }

    pub(crate) fn remote_address(self) -> Ipv4Addr {
        Ipv4Addr::from_bits((self.addresses >> 32) as u32)
    }

    /// Whether the other side can be somebody: it has an address and a port.
    pub(crate) fn has_other_side(self) -> bool {
        self.ports >> 16 != 0 && self.addresses >> 32 != 0
    }

    /// As the other side sees them.
    pub(crate) fn swapped(self) -> Self {
        Self { addresses: self.addresses.rotate_left(32), ports: self.ports.rotate_left(16) }
    }
}

/// A TCP segment in its packet.
pub(crate) struct Segment<'a> {
    header: &'a mut [u8; HEADER_BYTES],
    options: &'a [u8],
    /// Its length, by the packet that it is in.
    bytes: u16,
    /// As those of the side that receives it.
    pub(crate) ends: Ends,
}

/// The options that a side offers for a connection when it asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Most bytes of a segment that it takes.
    pub(crate) segment_bytes: Option<u16>,
    /// By how many bits its windows are shifted.
    pub(crate) scale: Option<u8>,
    /// It understands what is said of single pieces that have arrived (SACK).
    pub(crate) hears_of_pieces: bool,
}

impl<'a> Segment<'a> {
    /// The segment in a packet, if there is one. Whether it is well-formed, smoltcp finds out.
    pub(crate) fn of(packet: &'a mut [u8]) -> Option<Self> {
        let header = packet.first_chunk::<HEADER_BYTES>()?;
        if header[9] != PROTOCOL_TCP {
            return None;
        }
        let addresses = u64::from(word(header, 12)) << 32 | u64::from(word(header, 16));
        let length = u16::from(header[0] & 15) * 4;
        let bytes = u16::from_be_bytes([header[2], header[3]]).wrapping_sub(length);
        let (header, rest) = packet.get_mut(length.into()..)?.split_first_chunk_mut()?;
        let option_bytes = (usize::from(header[12] >> 4) * 4).saturating_sub(HEADER_BYTES);
        let options = rest.get(..option_bytes).unwrap_or_default();
        Some(Self { bytes, ends: Ends { addresses, ports: word(header, 0) }, header, options })
    }

    pub(crate) fn flags(&self) -> u8 {
        self.header[13]
    }

    pub(crate) fn number(&self) -> u32 {
        word(self.header, 4)
    }

    pub(crate) fn acknowledged(&self) -> u32 {
        word(self.header, 8)
    }

    pub(crate) fn window(&self) -> u16 {
        u16::from_be_bytes([self.header[14], self.header[15]])
    }

    pub(crate) fn data_bytes(&self) -> u32 {
        u32::from(self.bytes.saturating_sub(u16::from(self.header[12] >> 4) * 4))
    }

    /// The offer in its options. A senseless option counts as not offered, and ends the list.
    pub(crate) fn offer(&self) -> Offer {
        let mut offer = Offer::default();
        let mut options = self.options;
        loop {
            options = match options {
                [OPTION_PAD, rest @ ..] => rest,
                [OPTION_END, ..] => return offer,
                [kind, length, rest @ ..] => {
                    // The length counts the two bytes in front, too.
                    let bytes = usize::from(*length).checked_sub(2);
                    let Some((value, rest)) = bytes.and_then(|bytes| rest.split_at_checked(bytes)) else {
                        return offer;
                    };
                    match (*kind, value) {
                        (OPTION_SEGMENT_BYTES, &[high, low]) => {
                            offer.segment_bytes = Some(u16::from_be_bytes([high, low]));
                        }
                        (OPTION_SCALE, &[scale]) => offer.scale = Some(scale.min(MAX_SCALE)),
                        (OPTION_PIECES, []) => offer.hears_of_pieces = true,
                        _ => {}
                    }
                    rest
                }
                _ => return offer,
            };
        }
    }

    /// Makes of a window of 0 one of 1.
    pub(crate) fn open_window(&mut self) {
        if self.window() == 0 {
            self.header[15] = 1;
        }
    }

    pub(crate) fn set_number(&mut self, number: u32) {
        self.header[4..8].copy_from_slice(&number.to_be_bytes());
    }

    pub(crate) fn set_acknowledged(&mut self, number: u32) {
        self.header[8..12].copy_from_slice(&number.to_be_bytes());
    }
}

/// A segment without data that is about to be made: as its receiver sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bare {
    pub(crate) ends: Ends,
    pub(crate) flags: u8,
    pub(crate) number: u32,
    pub(crate) acknowledged: u32,
    pub(crate) window: u16,
    pub(crate) offer: Offer,
}

/// A packet with a segment without data.
pub(crate) struct BarePacket {
    bytes: [u8; 2 * HEADER_BYTES + MAX_OPTION_BYTES],
    length: usize,
}

impl Bare {
    /// The packet, without checksums.
    pub(crate) fn packet(&self) -> BarePacket {
        let mut packet = BarePacket { bytes: [0; _], length: 2 * HEADER_BYTES };
        let mut put = |at: usize, bytes: &[u8]| packet.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[0x45]);
        put(8, &[64, PROTOCOL_TCP]);
        put(12, &self.ends.addresses.to_be_bytes());
        put(20, &self.ends.ports.to_be_bytes());
        put(24, &self.number.to_be_bytes());
        put(28, &self.acknowledged.to_be_bytes());
        put(33, &[self.flags]);
        put(34, &self.window.to_be_bytes());
        if let Some(bytes) = self.offer.segment_bytes {
            let [high, low] = bytes.to_be_bytes();
            packet.push([OPTION_SEGMENT_BYTES, 4, high, low]);
        }
        if let Some(scale) = self.offer.scale {
            packet.push([OPTION_PAD, OPTION_SCALE, 3, scale]);
        }
        if self.offer.hears_of_pieces {
            packet.push([OPTION_PAD, OPTION_PAD, OPTION_PIECES, 2]);
        }
        let header_words = (packet.length - HEADER_BYTES) / 4;
        packet.bytes[2..4].copy_from_slice(&(packet.length as u16).to_be_bytes());
        packet.bytes[32] = (header_words as u8) << 4;
        packet
    }
}

impl BarePacket {
    fn push(&mut self, option: [u8; 4]) {
        self.bytes[self.length..self.length + 4].copy_from_slice(&option);
        self.length += 4;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn word(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::net::SocketAddrV4;

    use super::*;

    fn ends() -> Ends {
        let end = |number, port| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, number), port);
        Ends::new(end(1, 22).into(), end(2, 4096).into())
    }

    fn bare(offer: Offer) -> Bare {
        Bare { ends: ends(), flags: SYN, number: 7, acknowledged: 9, window: 0x1234, offer }
    }

    #[test]
    fn a_segment_is_read_as_it_was_made() {
        for segment_bytes in [None, Some(536), Some(65_495)] {
            for scale in [None, Some(0), Some(14)] {
                for hears_of_pieces in [false, true] {
                    let offer = Offer { segment_bytes, scale, hears_of_pieces };
                    let mut packet = Vec::from(bare(offer).packet().bytes());
                    let segment = Segment::of(&mut packet).unwrap();
                    assert_eq!((segment.ends, segment.flags(), segment.number()), (ends(), SYN, 7));
                    assert_eq!((segment.acknowledged(), segment.window()), (9, 0x1234));
                    assert_eq!((segment.data_bytes(), segment.offer()), (0, offer));
                }
            }
        }
    }

    #[test]
    fn options_without_sense_end_them() {
        for (options, segment_bytes) in [
            ([2, 4, 2, 24, 2, 1, 0, 0], Some(536)),
            ([1, 2, 4, 2, 24, 0, 3, 3], Some(536)),
            ([0, 2, 4, 2, 24, 0, 0, 0], None),
            ([2, 0, 2, 4, 2, 24, 0, 0], None),
            ([9, 200, 2, 4, 2, 24, 0, 0], None),
            ([9, 2, 2, 4, 2, 24, 2, 3], Some(536)),
            ([2, 3, 9, 2, 4, 2, 24, 2], Some(536)),
        ] {
            let mut packet = Vec::from(bare(Offer::default()).packet().bytes());
            packet.extend(options);
            packet[32] = 7 << 4;
            assert_eq!(Segment::of(&mut packet).unwrap().offer().segment_bytes, segment_bytes, "{options:?}");
        }
    }
}
