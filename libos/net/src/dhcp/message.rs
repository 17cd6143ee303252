//! DHCP's messages (RFC 2131, section 2; options: RFC 2132).

use alloc::{vec, vec::Vec};
use core::net::Ipv4Addr;

use crate::host::usable;

const CLIENT_PORT: [u8; 2] = [0, 68];
const SERVER_PORT: [u8; 2] = [0, 67];
const PROTOCOL_UDP: u8 = 17;
const UDP_BYTES: usize = 8;
const IPV4_BYTES: usize = 20;
/// Up to the options, the cookie that introduces them included.
const FIXED_BYTES: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Shortest message that all servers and relays take (RFC 1542, section 2.1).
const MIN_BYTES: usize = 300;
/// Where the fixed part has room for a server's name and a file, or for more options.
const FILE: core::ops::Range<usize> = 108..236;
const SERVER_NAME: core::ops::Range<usize> = 44..108;

mod option {
    pub(super) const PAD: u8 = 0;
    pub(super) const MASK: u8 = 1;
    pub(super) const ROUTER: u8 = 3;
    pub(super) const NAME_SERVER: u8 = 6;
    pub(super) const REQUESTED: u8 = 50;
    pub(super) const LEASE: u8 = 51;
    pub(super) const OVERLOAD: u8 = 52;
    pub(super) const KIND: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const WANTED: u8 = 55;
    pub(super) const MAX_BYTES: u8 = 57;
    pub(super) const RENEW: u8 = 58;
    pub(super) const REBIND: u8 = 59;
    pub(super) const CLIENT: u8 = 61;
    pub(super) const END: u8 = 255;
}

/// Kinds of messages that a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The client may have this.
    Offer,
    /// The client has this.
    Acknowledge,
    /// The client may not have this.
    Refuse,
}

/// A server's message. A field that it leaves out, or that makes no sense, is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The kind of the message.
    pub kind: Kind,
    /// The client's address.
    pub address: Option<Ipv4Addr>,
    /// How many bits of it name the network.
    pub prefix_bits: Option<u8>,
    /// The router.
    pub router: Option<Ipv4Addr>,
    /// The name server.
    pub name_server: Option<Ipv4Addr>,
    /// The address by which the server calls itself.
    pub server: Option<Ipv4Addr>,
    /// How long the client may have the address, in seconds.
    pub lease: Option<u32>,
    /// After how long it should ask this server for more time.
    pub renew: Option<u32>,
    /// After how long it should ask all servers.
    pub rebind: Option<u32>,
}

impl Reply {
    /// The message in a datagram, if it answers this client in this exchange.
    #[must_use]
    pub fn parse(message: &[u8], exchange: u32, mac: [u8; 6]) -> Option<Self> {
        let (fixed, options) = message.split_first_chunk::<FIXED_BYTES>()?;
        let is_meant = fixed[..3] == [2, 1, 6]
            && fixed[4..8] == exchange.to_be_bytes()
            && fixed[28..34] == mac
            && fixed[236..] == COOKIE;
        if !is_meant {
            return None;
        }
        let overload = find(options, option::OVERLOAD).and_then(|value| value.first()).copied().unwrap_or(0);
        let file = if overload & 1 != 0 { &fixed[FILE] } else { &[] };
        let server_name = if overload & 2 != 0 { &fixed[SERVER_NAME] } else { &[] };
        let find = |number| [options, file, server_name].iter().find_map(|area| find(area, number));
        let address = |number| find(number).and_then(first4).map(Ipv4Addr::from_octets);
        let seconds = |number| find(number).and_then(first4).map(u32::from_be_bytes);
        let host = |address: Option<Ipv4Addr>| address.filter(|address| usable(*address));
        Some(Self {
            kind: match find(option::KIND)? {
                [2] => Kind::Offer,
                [5] => Kind::Acknowledge,
                [6] => Kind::Refuse,
                _ => return None,
            },
            address: host(first4(&fixed[16..]).map(Ipv4Addr::from_octets)),
            prefix_bits: address(option::MASK).and_then(prefix_bits),
            router: host(address(option::ROUTER)),
            name_server: host(address(option::NAME_SERVER)),
            server: host(address(option::SERVER)),
            lease: seconds(option::LEASE),
            renew: seconds(option::RENEW),
            rebind: seconds(option::REBIND),
        })
    }
}

/// The value of the first option with this number.
fn find(mut options: &[u8], number: u8) -> Option<&[u8]> {
    loop {
        match options {
            [option::PAD, rest @ ..] => options = rest,
            [option::END, ..] => return None,
            [kind, length, rest @ ..] => {
                let (value, rest) = rest.split_at_checked((*length).into())?;
                if *kind == number {
                    return Some(value);
                }
                options = rest;
            }
            _ => return None,
        }
    }
}

fn first4(bytes: &[u8]) -> Option<[u8; 4]> {
    bytes.first_chunk().copied()
}

/// How many bits a mask has, if they are the first ones.
fn prefix_bits(mask: Ipv4Addr) -> Option<u8> {
    let (ones, mask) = (mask.to_bits().leading_ones(), mask.to_bits());
    (mask.count_ones() == ones && ones > 0).then_some(ones as u8)
}

/// A client's message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) kind: RequestKind,
    pub(crate) exchange: u32,
    pub(crate) mac: [u8; 6],
    /// Its address, if it has one.
    pub(crate) from: Ipv4Addr,
    pub(crate) to: Ipv4Addr,
    /// The address that it asks for, and the server.
    pub(crate) offer: Option<(Ipv4Addr, Ipv4Addr)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum RequestKind {
    Discover = 1,
    Request = 3,
}

impl Request {
    /// The packet, without checksums.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let message = self.message();
        let bytes = IPV4_BYTES + UDP_BYTES + message.len();
        let length = |bytes: usize| (bytes as u16).to_be_bytes();
        let mut packet = Vec::with_capacity(bytes);
        packet.extend([0x45, 0]);
        packet.extend(length(bytes));
        packet.extend([0, 0, 0, 0, 64, PROTOCOL_UDP, 0, 0]);
        packet.extend(self.from.octets());
        packet.extend(self.to.octets());
        packet.extend([CLIENT_PORT, SERVER_PORT].as_flattened());
        packet.extend(length(bytes - IPV4_BYTES));
        packet.extend([0, 0]);
        packet.extend(message);
        packet
    }

    fn message(&self) -> Vec<u8> {
        let mut message = vec![0; FIXED_BYTES];
        message[..3].copy_from_slice(&[1, 1, 6]);
        message[4..8].copy_from_slice(&self.exchange.to_be_bytes());
        message[12..16].copy_from_slice(&self.from.octets());
        message[28..34].copy_from_slice(&self.mac);
        message[236..].copy_from_slice(&COOKIE);
        message.extend([option::KIND, 1, self.kind as u8]);
        message.extend([option::CLIENT, 7, 1]);
        message.extend(self.mac);
        if let Some((address, server)) = self.offer {
            message.extend([option::REQUESTED, 4]);
            message.extend(address.octets());
            message.extend([option::SERVER, 4]);
            message.extend(server.octets());
        }
        // 576 bytes of a packet are what every host takes.
        message.extend([option::MAX_BYTES, 2, 2, 64]);
        let wanted =
            [option::MASK, option::ROUTER, option::NAME_SERVER, option::LEASE, option::RENEW, option::REBIND];
        message.extend([option::WANTED, wanted.len() as u8]);
        message.extend(wanted);
        message.push(option::END);
        message.resize(message.len().max(MIN_BYTES), option::PAD);
        message
    }
}

/// Where the message lies in a packet that is for a client, by its ports.
pub(crate) fn find_message(packet: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let header = packet.first_chunk::<IPV4_BYTES>()?;
    // A fragment is none: its beginning may be elsewhere.
    let is_whole = [header[6] & 0x3f, header[7]] == [0, 0];
    if header[9] != PROTOCOL_UDP || header[0] >> 4 != 4 || !is_whole {
        return None;
    }
    let bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let datagram = packet.get(usize::from(header[0] & 15) * 4..bytes)?;
    let (udp, message) = datagram.split_first_chunk::<UDP_BYTES>()?;
    let source = first4(&header[12..]).map(Ipv4Addr::from_octets)?;
    ([udp[0], udp[1]] == SERVER_PORT && [udp[2], udp[3]] == CLIENT_PORT).then_some((source, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 10, 0, 0, 0];

    fn reply(options: &[u8]) -> Vec<u8> {
        let mut message = vec![0; FIXED_BYTES];
        message[..8].copy_from_slice(&[2, 1, 6, 0, 0, 0, 0, 7]);
        message[28..34].copy_from_slice(&MAC);
        message[236..].copy_from_slice(&COOKIE);
        message.extend(options);
        message
    }

    #[test]
    fn options_are_found_in_all_three_places_behind_padding_and_not_behind_the_end() {
        let mut message = reply(&[0, 0, 52, 1, 3, 53, 1, 5, 255, 54, 4, 1, 1, 1, 1]);
        message[108..115].copy_from_slice(&[1, 4, 255, 255, 255, 0, 255]);
        message[44..51].copy_from_slice(&[51, 4, 0, 0, 0, 9, 255]);
        let parsed = Reply::parse(&message, 7, MAC).unwrap();
        assert_eq!((parsed.kind, parsed.prefix_bits, parsed.lease), (Kind::Acknowledge, Some(24), Some(9)));
        assert_eq!(parsed.server, None);
        message[242] = 52;
        message[244] = 0;
        assert_eq!(Reply::parse(&message, 7, MAC).unwrap().prefix_bits, None);
    }

    #[test]
    fn values_that_cannot_be_are_none() {
        for (options, ok) in [
            (&[1, 4, 255, 0, 255, 0][..], false),
            (&[1, 4, 0, 0, 0, 0], false),
            (&[1, 3, 255, 255, 0], false),
            (&[1, 4, 255, 255, 255, 252], true),
        ] {
            let message = reply(&[&[53, 1, 2], options].concat());
            assert_eq!(Reply::parse(&message, 7, MAC).unwrap().prefix_bits.is_some(), ok, "{options:?}");
        }
        for kind in [&[][..], &[53, 1, 1], &[53, 0], &[53, 2, 2, 2], &[53, 9, 2], &[255, 53, 1, 2]] {
            assert_eq!(Reply::parse(&reply(kind), 7, MAC), None, "{kind:?}");
        }
    }

    #[test]
    fn a_request_is_a_packet_from_a_client_to_a_server() {
        let offer = Some((Ipv4Addr::new(10, 0, 0, 7), Ipv4Addr::new(10, 0, 0, 1)));
        let (from, to) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
        let request = Request { kind: RequestKind::Request, exchange: 7, mac: MAC, from, to, offer };
        let mut packet = request.packet();
        assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
        assert_eq!(find_message(&packet), None);
        packet[20..24].copy_from_slice(&[0, 67, 0, 68]);
        let (source, message) = find_message(&packet).unwrap();
        assert_eq!((source, message.len() >= MIN_BYTES), (from, true));
        assert_eq!(find(&message[FIXED_BYTES..], option::REQUESTED), Some(&[10, 0, 0, 7][..]));
        assert!((0..28).all(|bytes| find_message(&packet[..bytes]).is_none()));
    }
}
