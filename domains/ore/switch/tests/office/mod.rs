//! The ports of a small office, which the tests share.

use cloison_abi::port::{PortFlags, PortSettings};

/// Two domains and an uplink on one LAN, a third domain on another, with MAC addresses that end so.
pub fn office(ends: [u8; 4]) -> Vec<PortSettings> {
    let lans =
        [(1, PortFlags::empty()), (1, PortFlags::empty()), (1, PortFlags::UPLINK), (2, PortFlags::empty())];
    let port = |(end, (vlan, flags)): (u8, (u16, PortFlags))| PortSettings {
        mac: [2, 0, 0, 0, 0, end],
        vlan,
        flags: flags.bits(),
        may_send_to: u32::MAX,
        mtu: 1500,
        ..PortSettings::default()
    };
    ends.into_iter().zip(lans).map(port).collect()
}
