//! Virtual switches with all that is said of them resolved: addresses, VLANs, who may send to whom.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use cloison_abi::port::PortFlags;

use super::DomainId;
use crate::diagnostic::Span;

/// Name of the gate that a switch offers: each client of it has a port.
pub const PORT_GATE: &str = "port";

/// A virtual switch.
#[derive(Debug)]
pub struct Switch {
    /// The domain that runs it, whose name it has.
    pub domain: DomainId,
    /// The network that the addresses of its ports are from.
    pub network: Option<Network>,
    /// The router to elsewhere.
    pub gateway: Option<Ipv4Addr>,
    /// A name server.
    pub name_server: Option<Ipv4Addr>,
    /// Its ports, in the order of their numbers.
    pub ports: Vec<Port>,
}

/// A port of a switch.
#[derive(Debug)]
pub struct Port {
    /// The domain at the port.
    pub domain: DomainId,
    /// The component's name for the gate.
    pub local: String,
    /// Its kind: uplink, mirror, address by DHCP.
    pub flags: PortFlags,
    /// The domain's fixed address.
    pub address: Option<Ipv4Addr>,
    /// The address that it sends from.
    pub mac: Mac,
    /// The VLAN of all that enters and leaves by it.
    pub vlan: u16,
    /// Largest IP packet, in bytes.
    pub mtu: u32,
    /// The ports to which it may send, one bit each.
    pub may_send_to: u32,
    /// Bytes that it may send each second; 0: no limit.
    pub rate_bytes: u64,
    /// Bytes that it may send at once after a rest.
    pub burst_bytes: u64,
    /// Where the manifest begins it, states its VLAN, and says to whom it may send, as far as it does.
    pub at: Vec<Span>,
}

impl Switch {
    /// The number of the port behind which the world outside lies.
    #[must_use]
    pub fn uplink(&self) -> Option<usize> {
        self.ports.iter().position(|port| port.flags.contains(PortFlags::UPLINK))
    }

    /// Whether frames from one port reach another.
    #[must_use]
    pub fn may_send(&self, from: usize, to: usize) -> bool {
        self.ports[from].may_send_to & 1 << to != 0
    }
}

/// A MAC address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The address of a port whose domain has a fixed IPv4 address, unless the manifest states another.
    #[must_use]
    pub fn of_address(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([2, 0, a, b, c, d])
    }

    /// The address of any other port.
    #[must_use]
    pub fn of_port(switch: usize, port: usize) -> Self {
        Self([2, 1, 0, 0, switch as u8, port as u8])
    }
}

/// Why a text is no address.
pub type Reason = String;

impl FromStr for Mac {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Reason> {
        let byte = |part: &str| {
            let is_byte = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
            u8::from_str_radix(part, 16).ok().filter(|_| is_byte)
        };
        let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
        let bytes = bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
        let bytes = bytes.ok_or("it is not six bytes such as 02:00:00:00:00:0b")?;
        match bytes {
            [0, 0, 0, 0, 0, 0] => Err("it is all zeros, which means no address".into()),
            [first, ..] if first & 1 != 0 => Err("its first byte is odd, which means a group".into()),
            _ => Ok(Self(bytes)),
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// An IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Its first address, which names it.
    pub address: Ipv4Addr,
    /// How many bits name it.
    pub prefix_bits: u32,
}

impl Network {
    /// Whether an address is in it.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask() == self.address.to_bits()
    }

    /// The address that stands for all in it.
    #[must_use]
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.mask())
    }

    /// The network that an address is in, if this many bits name it.
    #[must_use]
    pub fn around(address: Ipv4Addr, prefix_bits: u32) -> Self {
        let network = Self { address, prefix_bits };
        Self { address: Ipv4Addr::from_bits(address.to_bits() & network.mask()), prefix_bits }
    }

    /// Whether a host of the network can have an address.
    #[must_use]
    pub fn has_host(self, address: Ipv4Addr) -> bool {
        self.contains(address) && address != self.address && address != self.broadcast()
    }

    fn mask(self) -> u32 {
        u32::MAX << (u32::BITS - self.prefix_bits)
    }
}

impl FromStr for Network {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Reason> {
        let form = || "it is not an address and a number of bits, such as 192.168.0.0/24".to_owned();
        let (address, bits) = text.split_once('/').ok_or_else(form)?;
        let address = read_address(address)?;
        let is_number = !bits.is_empty() && bits.bytes().all(|digit| digit.is_ascii_digit());
        let bits = Some(bits).filter(|_| is_number).ok_or_else(form)?;
        let prefix_bits = bits.parse().ok().filter(|bits| (1..=30).contains(bits));
        let prefix_bits = prefix_bits.ok_or_else(|| format!("{bits} bits are not from 1 to 30"))?;
        let network = Self::around(address, prefix_bits);
        if network.address != address {
            return Err(format!("the network of this address is {network}"));
        }
        if address.is_multicast() || address.is_loopback() || address.is_unspecified() {
            return Err("its addresses are not those of single hosts".into());
        }
        Ok(network)
    }
}

/// Reads an IPv4 address: four numbers in decimal, as RFC 6943 3.1.1 recommends.
///
/// # Errors
///
/// Why the text is none.
pub fn read_address(text: &str) -> Result<Ipv4Addr, Reason> {
    let numbers: Vec<&str> = text.split('.').collect();
    if numbers.iter().any(|number| number.is_empty() || number.bytes().any(|digit| !digit.is_ascii_digit())) {
        return Err("it is not four numbers such as 192.168.0.11".into());
    }
    if numbers.len() != 4 {
        let noun = if numbers.len() == 1 { "number" } else { "numbers" };
        return Err(format!("it has {} {noun}, not four such as 192.168.0.11", numbers.len()));
    }
    for number in numbers {
        if number.len() > 1 && number.starts_with('0') {
            return Err(format!("`{number}` begins with a 0, which some read as octal"));
        }
        if number.parse::<u8>().is_err() {
            return Err(format!("{number} is above 255"));
        }
    }
    text.parse().map_err(|_| "it is not four numbers such as 192.168.0.11".into())
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_networks_and_refuses_what_names_none() {
        let network: Network = "192.168.4.0/22".parse().unwrap();
        assert_eq!(network.to_string(), "192.168.4.0/22");
        assert_eq!(network.broadcast(), Ipv4Addr::new(192, 168, 7, 255));
        assert!(
            network.contains(Ipv4Addr::new(192, 168, 7, 1))
                && !network.contains(Ipv4Addr::new(192, 168, 8, 1))
        );
        let wrong = [
            "",
            "192.168.0.0",
            "192.168.0/24",
            "192.168.0.1/24",
            "10.0.0.0/31",
            "0.0.0.0/8",
            "224.0.0.0/4",
            "1/x",
        ];
        for text in wrong {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn reads_mac_addresses_and_refuses_groups() {
        let mac: Mac = "02:00:c0:A8:00:0b".parse().unwrap();
        assert_eq!(mac, Mac::of_address(Ipv4Addr::new(192, 168, 0, 11)));
        assert_eq!(mac.to_string(), "02:00:c0:a8:00:0b");
        for text in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:00:00",
            "0200:00:00:00:1",
            "03:00:00:00:00:00",
            "+2:00:00:00:00:00",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }
}
