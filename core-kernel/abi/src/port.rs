//! Ports of a virtual switch: what the manifest says of each, for the switch and for the domain at the port.
//!
//! They travel as [settings](crate::info::SETTINGS_PORTS). The switch sees those of all its ports; their order
//! numbers the ports. A domain sees its own, with what is the switch's business left zero.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Badge, Name};

/// Ports that one switch can have: its mappings are the limit, two for each port. A set of ports is a `u32`.
pub const MAX_PORTS: usize = 28;
/// VLAN of a port for which the manifest states none.
pub const DEFAULT_VLAN: u16 = 1;
/// Largest VLAN number (IEEE 802.1Q, table 9-2: 0xfff is reserved).
pub const MAX_VLAN: u16 = 0xffe;
/// Largest IP packet that a link which leaves the machine carries, in bytes.
pub const UPLINK_MTU: u32 = 1500;
/// Bytes of an Ethernet header, in front of each packet.
pub const ETHERNET_HEADER_BYTES: u32 = 14;

/// What the manifest says of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PortSettings {
    /// At the switch: the domain at the port. At that domain: what its component calls the gate.
    pub name: Name,
    /// Name of the switch, which is that of the domain that runs it.
    pub switch: Name,
    /// At the switch: badge of the client whose port it is.
    pub badge: Badge,
    /// [`PortFlags`].
    pub flags: u32,
    /// The port's MAC address: what the domain sends from, and the only one that it may send from.
    pub mac: [u8; 6],
    /// The VLAN of all that enters and leaves by the port.
    pub vlan: u16,
    /// The domain's IPv4 address; zeros: none.
    pub address: [u8; 4],
    /// How many bits of the address name the network.
    pub prefix_bits: u32,
    /// IPv4 address of the router to elsewhere; zeros: none.
    pub gateway: [u8; 4],
    /// IPv4 address of a name server; zeros: none.
    pub name_server: [u8; 4],
    /// Largest IP packet that may leave by the port, in bytes.
    pub mtu: u32,
    /// At the switch: ports to which this one may send, one bit each.
    pub may_send_to: u32,
    /// At the switch: bytes that the port may send each second, and how many at once after a rest. 0: no
    /// limit.
    pub rate_bytes: u64,
    /// See `rate_bytes`.
    pub burst_bytes: u64,
}

bitflags! {
    /// What is special about a port.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct PortFlags: u32 {
        /// Behind it lies a network outside of the machine: any source address may enter, the switch learns
        /// them, and checksums are complete on that side.
        const UPLINK = 1 << 0;
        /// The domain asks a DHCP server for its address.
        const DHCP = 1 << 1;
        /// It gets a copy of each frame that the switch takes in, tagged with the number of the port where it
        /// came in, and may send nothing.
        const MIRROR = 1 << 2;
    }
}
