use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;

/// A frame around a packet.
fn ethernet(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(packet);
    frame
}

/// An IPv4 packet without checksums. `options` is a multiple of 4 bytes long.
fn ipv4(protocol: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = 20 + options.len();
    let mut packet = vec![0x40 | (header / 4) as u8, 0];
    packet.extend(((header + payload.len()) as u16).to_be_bytes());
    packet.extend([0x12, 0x34]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0xaa, 0xbb, 192, 168, 0, 11, 192, 168, 0, 2]);
    packet.extend(options);
    packet.extend(payload);
    ethernet(ETHERTYPE_IPV4, &packet)
}

/// An IPv6 packet without checksums, with a number of extension headers of eight bytes.
fn ipv6(protocol: u8, extensions: usize, payload: &[u8]) -> Vec<u8> {
    let mut rest = Vec::new();
    for left in (0..extensions).rev() {
        rest.extend([if left == 0 { protocol } else { IPV6_DESTINATION_OPTIONS }, 0, 1, 4, 0, 0, 0, 0]);
    }
    rest.extend(payload);
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((rest.len() as u16).to_be_bytes());
    packet.extend([if extensions == 0 { protocol } else { IPV6_HOP_BY_HOP }, 255]);
    packet.extend((0..32).map(|at| at * 7));
    packet.extend(rest);
    ethernet(ETHERTYPE_IPV6, &packet)
}

/// A transport's bytes: a UDP header states its length.
fn transport(protocol: u8, mut bytes: Vec<u8>) -> Vec<u8> {
    if protocol == UDP {
        let length = (bytes.len() as u16).to_be_bytes();
        bytes[4..6].copy_from_slice(&length);
    }
    bytes
}

/// The checksum as RFC 1071 puts it into words, two bytes at a time.
fn plain(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

/// A query of a DNS client, with the checksums that another program has worked out.
const DNS_QUERY: [u8; 71] = [
    0x52, 0x55, 0x0a, 0x00, 0x02, 0x02, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x08, 0x00, 0x45, 0x00, 0x00,
    0x39, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x11, 0x06, 0x5d, 0x0a, 0x00, 0x02, 0x0f, 0x0a, 0x00, 0x02, 0x03,
    0x9c, 0x40, 0x00, 0x35, 0x00, 0x25, 0x66, 0x75, 0x12, 0x34, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x07, b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0x03, b'o', b'r', b'g', 0x00, 0x00,
    0x01, 0x00, 0x01,
];

#[test]
fn the_sum_is_that_of_the_specification() {
    let bytes: Vec<u8> = (0..200_u32).map(|at| ((at * at) >> 3) as u8 | 0xc0).collect();
    for (start, end) in (0..9).flat_map(|start| (start..200).map(move |end| (start, end))) {
        let part = &bytes[start..end];
        assert_eq!((!fold(sum(part))).to_ne_bytes(), plain(part).to_be_bytes(), "{start}..{end}");
    }
    assert_eq!(fold(sum(&[0xff; 65534])), u16::MAX, "the largest sum of a packet");
}

#[test]
fn every_carry_is_added() {
    let highs = (0..48).flat_map(|bits| [(1 << bits) - 1, 1 << bits, 3 << bits >> 1]);
    for sum in highs.flat_map(|high: u64| [high, high | 0xffff, high | 0xffff_0000, high | 0xffff_ffff]) {
        let rest = if sum > 0 && sum % 0xffff == 0 { 0xffff } else { sum % 0xffff };
        assert_eq!(u64::from(fold(sum)), rest, "{sum:#x}");
    }
}

#[test]
fn a_header_that_everybody_knows_is_right() {
    let mut frame = ethernet(ETHERTYPE_IPV4, &[0; 115]);
    frame[14..34].copy_from_slice(&[
        0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 192, 168, 0, 1, 192, 168, 0, 199,
    ]);
    frame[38..40].copy_from_slice(&95_u16.to_be_bytes());
    complete(&mut frame).unwrap();
    assert_eq!(frame[24..26], [0xb8, 0x61]);
}

#[test]
fn a_good_packet_stays_as_it_is() {
    let mut frame = DNS_QUERY;
    assert_eq!(verify(&frame, Checksum::Unknown), Ok(()));
    complete(&mut frame).unwrap();
    assert_eq!(frame, DNS_QUERY);
}

#[test]
fn what_a_checksum_does_not_cover_may_change() {
    let mut frame = ipv4(UDP, 0, &[], &transport(UDP, vec![1; 11]));
    frame.extend([7; 30]);
    complete(&mut frame).unwrap();
    frame[70] = 8;
    assert_eq!(verify(&frame, Checksum::Unknown), Ok(()), "padding behind the packet");
    frame[0] = 0xff;
    assert_eq!(verify(&frame, Checksum::Unknown), Ok(()), "the Ethernet header");
}

#[test]
fn fragments_have_a_header_only() {
    for fragment in [0x2000, 0x0001, 0x2010] {
        let mut frame = ipv4(UDP, fragment, &[], &[0; 64]);
        complete(&mut frame).unwrap();
        assert_eq!(frame[34..], [0; 64], "the transport stays");
        assert_eq!(verify(&frame, Checksum::Unknown), Ok(()));
        frame[22] ^= 1;
        assert_eq!(verify(&frame, Checksum::Unknown), Err(Flaw::Header));
    }
    let mut whole = ipv4(UDP, 0x4000, &[], &transport(UDP, vec![0; 64]));
    complete(&mut whole).unwrap();
    assert_ne!(whole[40..42], [0, 0], "must not be cut up is not cut up");
}

/// What follows a header may be nothing, or a header alone.
#[test]
fn a_packet_may_be_headers_only() {
    let unknown = 59;
    for mut frame in [
        ipv4(unknown, 0, &[], &[]),
        ipv6(unknown, 1, &[]),
        ipv4(TCP, 0, &[], &[0; 20]),
        ipv6(TCP, 0, &[0; 20]),
        ipv4(ICMP, 0, &[], &[0; 8]),
        ipv4(UDP, 0, &[], &transport(UDP, vec![0; 8])),
    ] {
        complete(&mut frame).unwrap();
        assert_eq!(verify(&frame, Checksum::Unknown), Ok(()), "{frame:x?}");
    }
}

#[test]
fn the_transport_begins_behind_an_extension_of_any_length() {
    for (length, units) in [(8, 0), (16, 1), (32, 3)] {
        let mut payload = vec![0; length];
        payload[..2].copy_from_slice(&[UDP, units]);
        payload.extend(transport(UDP, vec![5; 20]));
        let mut frame = ipv6(IPV6_HOP_BY_HOP, 0, &payload);
        complete(&mut frame).unwrap();
        let checksum = ETHERNET_BYTES + IPV6_BYTES + length + 6;
        assert_ne!(frame[checksum..checksum + 2], [5, 5], "it stands in the header of UDP");
        assert_eq!(verify(&frame, Checksum::Unknown), Ok(()));
    }
}

/// What a card vouches for is what it could have made up as well; what it cannot know, it is not believed.
#[test]
fn a_card_vouches_for_the_transport_alone() {
    let mut frame = ipv4(TCP, 0, &[], &[3; 40]);
    complete(&mut frame).unwrap();
    frame[60] ^= 1;
    assert_eq!(verify(&frame, Checksum::Unknown), Err(Flaw::Transport));
    assert_eq!(verify(&frame, Checksum::Right), Ok(()));
    let open = |start, offset| verify(&frame, Checksum::Open { start, offset });
    assert_eq!([open(34, 16), open(34, 18), open(14, 10)], [Ok(()), Err(Flaw::Claim), Err(Flaw::Claim)]);
    frame[22] ^= 1;
    for known in [Checksum::Right, Checksum::Open { start: 34, offset: 16 }] {
        assert_eq!(verify(&frame, known), Err(Flaw::Header));
        assert_eq!(verify(&frame[..50], known), Err(Flaw::Malformed));
    }
    let mut fragment = ipv4(TCP, 1, &[], &[3; 40]);
    complete(&mut fragment).unwrap();
    assert_eq!(verify(&fragment, Checksum::Open { start: 34, offset: 16 }), Err(Flaw::Claim));
    let mut other = ethernet(0x88b5, &[0; 60]);
    assert_eq!(verify(&other, Checksum::Open { start: 34, offset: 16 }), Err(Flaw::Claim));
    assert_eq!(complete_but_one(&mut other), Ok(Checksum::Unknown));
    for (protocol, is_left) in [(TCP, true), (UDP, true), (ICMP, false)] {
        let left = complete_but_one(&mut ipv4(protocol, 0, &[], &transport(protocol, vec![0; 24])));
        assert_eq!(matches!(left, Ok(Checksum::Open { .. })), is_left, "{protocol}");
    }
}

#[test]
fn every_flaw_is_said_in_words_of_its_own() {
    let words = Flaw::ALL.map(|flaw| std::format!("{flaw}"));
    assert!(words.iter().all(|word| word.len() > 20));
    assert!(words[0] != words[1] && words[1] != words[2] && words[2] != words[0]);
}

#[test]
fn udp_may_go_without_over_ipv4_only() {
    let none = transport(UDP, vec![0; 12]);
    let mut frame = ipv4(UDP, 0, &[], &none);
    complete(&mut frame).unwrap();
    frame[40..42].fill(0);
    assert_eq!(verify(&frame, Checksum::Unknown), Ok(()));
    assert_eq!(verify(&ipv6(UDP, 0, &none), Checksum::Unknown), Err(Flaw::Transport));
}

#[test]
fn a_udp_checksum_is_never_zero() {
    // The two bytes of data take every value, so that for one of them the sum comes out as zero.
    let zeros = (0..=u16::MAX).filter(|value| {
        let mut bytes = transport(UDP, vec![0; 10]);
        bytes[8..].copy_from_slice(&value.to_be_bytes());
        let mut frame = ipv4(UDP, 0, &[], &bytes);
        complete(&mut frame).unwrap();
        assert_eq!(verify(&frame, Checksum::Unknown), Ok(()));
        assert_ne!(frame[40..42], [0, 0]);
        frame[40..42] == [0xff, 0xff]
    });
    assert!(zeros.count() > 0);
}

#[test]
fn what_is_not_known_passes_untouched() {
    let cases = [
        ethernet(0x0806, &[1; 28]),
        ethernet(0x8100, &[1; 60]),
        ipv6(44, 0, &[1; 40]),
        ipv6(43, 2, &[1; 40]),
        ipv6(ICMP, 0, &[1; 40]),
    ];
    for frame in cases {
        let mut completed = frame.clone();
        assert_eq!((complete(&mut completed), verify(&frame, Checksum::Unknown)), (Ok(()), Ok(())));
        assert_eq!(completed, frame);
    }
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    let good = ipv4(UDP, 0, &[], &transport(UDP, vec![1; 20]));
    let with = |at: usize, value: u8| {
        let mut frame = good.clone();
        frame[at] = value;
        frame
    };
    let (mut of_another_version, mut cut_off) = (ipv6(TCP, 0, &[0; 20]), ipv6(59, 0, &[0; 20]));
    of_another_version[14] = 0x50;
    cut_off.pop();
    let cases = [
        vec![0; 13],
        good[..33].to_vec(),
        good[..good.len() - 1].to_vec(),
        with(14, 0x44),
        with(14, 0x65),
        with(14, 0x4f),
        with(17, 19),
        with(17, 27),
        with(39, 21),
        with(39, 7),
        ipv4(TCP, 0, &[], &[0; 19]),
        ipv4(ICMP, 0, &[], &[0; 7]),
        ipv6(TCP, 1, &[0; 19]),
        ipv6(UDP, 0, &[0; 3]),
        ipv6(IPV6_HOP_BY_HOP, 0, &[6, 1, 0, 0, 0, 0, 0, 0]),
        ipv6(IPV6_HOP_BY_HOP, 0, &[59, 1, 0, 0, 0, 0, 0, 0]),
        of_another_version,
        cut_off,
    ];
    for mut frame in cases {
        let before = frame.clone();
        assert_eq!(verify(&frame, Checksum::Unknown), Err(Flaw::Malformed), "{frame:x?}");
        assert_eq!(complete(&mut frame), Err(Flaw::Malformed));
        assert_eq!(frame, before);
    }
}

fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let protocol = prop::sample::select(vec![TCP, UDP, ICMP, ICMPV6]);
    let payload = prop::collection::vec(any::<u8>(), 24..1500);
    (protocol, payload, 0..11_usize, any::<bool>()).prop_map(|(protocol, payload, more, is_ipv6)| {
        let payload = transport(protocol, payload);
        match (is_ipv6, protocol) {
            (true, ICMP) => ipv6(ICMPV6, more % 8, &payload),
            (true, _) => ipv6(protocol, more % 8, &payload),
            (false, ICMPV6) => ipv4(ICMP, 0, &vec![1; 4 * more], &payload),
            (false, _) => ipv4(protocol, 0, &vec![1; 4 * more], &payload),
        }
    })
}

proptest! {
    #[test]
    fn what_is_completed_is_verified(mut frame in any_packet()) {
        complete(&mut frame).unwrap();
        prop_assert_eq!(verify(&frame, Checksum::Unknown), Ok(()));
        let before = frame.clone();
        complete(&mut frame).unwrap();
        prop_assert_eq!(frame, before);
    }

    /// One wrong bit in the data is always found.
    #[test]
    fn what_is_left_to_a_card_it_makes_right(mut frame in any_packet(), padding in 0..3_usize) {
        frame.resize(frame.len() + padding, 9);
        let left = complete_but_one(&mut frame).unwrap();
        if let Checksum::Open { start, offset } = left {
            prop_assert_eq!(verify(&frame, left), Ok(()), "the same, coming in");
            let wrong = Checksum::Open { start: start + 1, offset };
            prop_assert_eq!(verify(&frame, wrong), Err(Flaw::Claim));
            prop_assert_eq!(padding, 0, "a card would take the padding along");
            let (start, place) = (usize::from(start), usize::from(start + offset));
            let value = plain(&frame[start..]);
            frame[place..place + 2].copy_from_slice(&(if value == 0 { u16::MAX } else { value }).to_be_bytes());
        }
        prop_assert_eq!(verify(&frame, Checksum::Unknown), Ok(()));
    }

    #[test]
    fn one_wrong_bit_is_found(mut frame in any_packet(), back in 1..=4_usize, bit in 0..8_u8) {
        complete(&mut frame).unwrap();
        let at = frame.len() - back;
        frame[at] ^= 1_u8 << bit;
        prop_assert_eq!(verify(&frame, Checksum::Unknown), Err(Flaw::Transport));
    }

    #[test]
    fn any_bytes_are_borne(mut frame in prop::collection::vec(any::<u8>(), 0..200), kind in 0..3_u8, version in any::<u8>()) {
        if frame.len() > 20 && kind < 2 {
            let ethertype = [ETHERTYPE_IPV4, ETHERTYPE_IPV6][usize::from(kind)];
            frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
            frame[14] = if kind == 0 { 0x40 | version & 0xf } else { 0x60 };
            frame[16] = 0;
            frame[18] = 0;
        }
        let first = verify(&frame, Checksum::Unknown);
        if complete(&mut frame).is_ok() {
            prop_assert_eq!(verify(&frame, Checksum::Unknown), Ok(()));
        } else {
            prop_assert_eq!(first, Err(Flaw::Malformed));
        }
    }
}
