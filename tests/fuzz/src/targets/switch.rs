//! A frame at each port of a switch: it goes where the port may send, only if what it says of its sender is
//! true, or it is counted for one cause.

use std::sync::LazyLock;

use cloison_abi::port::{PortFlags, PortSettings};
use ore_switch::{Header, PortSet, START_BYTES, Switch};

/// Two domains with an address, one without, an uplink, and a domain on another LAN.
const PORTS: usize = 5;
const UPLINK: usize = 3;
const ELSEWHERE: usize = 4;
/// The port of the domain without an address.
const FREE: usize = 2;

/// The input: a frame.
pub fn run(input: &[u8]) {
    static FRESH: LazyLock<Switch> =
        LazyLock::new(|| Switch::new(&core::array::from_fn::<_, PORTS, _>(settings), 1));
    let mut start = [0; START_BYTES];
    let read = input.len().min(START_BYTES);
    start[..read].copy_from_slice(&input[..read]);
    let Some(header) = Header::parse(&start, input.len()) else {
        assert!(input.len() < 14, "only what is too short has no header");
        return;
    };
    for from in 0..PORTS {
        let mut switch = FRESH.clone();
        let receivers = switch.take(from, &header, 0);
        let lan: PortSet = (0..PORTS).filter(|to| (*to == ELSEWHERE) == (from == ELSEWHERE)).collect();
        assert!((receivers & !(lan & !PortSet::of(from))).is_empty(), "to {receivers:?} from {from}");
        let dropped: u64 = switch.counters(from).map_or(0, |counters| counters.dropped.iter().sum());
        assert_eq!(dropped, u64::from(receivers.is_empty()), "dropped for one cause, or gone somewhere");
        assert!(receivers.is_empty() || is_honest(from, input), "a lie from {from} went to {receivers:?}");
    }
}

fn settings(port: usize) -> PortSettings {
    let number = port as u8 + 1;
    let has_address = port != FREE && port != UPLINK;
    PortSettings {
        mac: [2, 0, 0, 0, 0, number],
        address: if has_address { [192, 168, 0, number] } else { [0; 4] },
        gateway: if has_address { [192, 168, 0, 254] } else { [0; 4] },
        flags: if port == UPLINK { PortFlags::UPLINK.bits() } else { 0 },
        vlan: if port == ELSEWHERE { 2 } else { 1 },
        may_send_to: u32::MAX,
        mtu: 1500,
        ..PortSettings::default()
    }
}

/// Whether what a frame says of its sender may come from a port: read byte by byte, as a receiver does.
fn is_honest(from: usize, frame: &[u8]) -> bool {
    let own = settings(from);
    let byte = |at: usize| frame.get(at).copied().unwrap_or(0);
    let says = |at: usize| [byte(at), byte(at + 1), byte(at + 2), byte(at + 3)];
    let mac_at = |at: usize| (0..6).all(|index| byte(at + index) == own.mac[index]);
    let may_be_from = |address: [u8; 4]| {
        let taken = (0..PORTS).any(|port| settings(port).address == address);
        let fixed = own.address != [0; 4];
        let router = from != UPLINK && address == [192, 168, 0, 254];
        address == [0; 4] || address == own.address || !(fixed || taken || router)
    };
    match (byte(12), byte(13)) {
        _ if from != UPLINK && !mac_at(6) => false,
        (8, 6) => may_be_from(says(28)) && (from == UPLINK || mac_at(22)),
        (8, 0) => may_be_from(says(26)),
        _ => true,
    }
}
