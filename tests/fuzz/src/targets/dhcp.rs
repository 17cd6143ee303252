//! A DHCP server's answer: whatever it says, what is read from it can be.

use std::net::Ipv4Addr;

use cloison_net::messages::Reply;

/// Reads a message as an answer to whom it names itself, and judges what was read.
pub fn run(bytes: &[u8]) {
    let exchange =
        bytes.get(4..8).and_then(|bytes| bytes.first_chunk()).copied().map_or(0, u32::from_be_bytes);
    let mac = bytes.get(28..34).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
    let Some(reply) = Reply::parse(bytes, exchange, mac) else { return };
    assert!(reply.prefix_bits.is_none_or(|bits| (1..=32).contains(&bits)));
    for address in [reply.address, reply.router, reply.name_server, reply.server].into_iter().flatten() {
        assert!(address != Ipv4Addr::UNSPECIFIED && !address.is_broadcast() && !address.is_multicast());
    }
    assert_eq!(Reply::parse(bytes, exchange.wrapping_add(1), mac), None);
}
