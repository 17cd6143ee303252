//! Switches with their names looked up and their addresses read, as far as they can be.

use std::net::Ipv4Addr;
use std::str::FromStr;

use cloison_abi::port::{DEFAULT_VLAN, MAX_PORTS, PortFlags, UPLINK_MTU};

use super::{Named, Names};
use crate::diagnostic::{At, Span};
use crate::manifest::{ForwardTable, PortTable, SwitchTable};
use crate::system::DomainId;
use crate::system::switch::{Mac, Network, Port, Reason, Switch, read_address};

/// Largest packet between domains if the manifest does not say.
const DEFAULT_MTU: u64 = 32_768;
/// How much a port with a rate may send at once, if the manifest does not say.
const DEFAULT_BURST_KIB: u64 = 64;
/// Bytes each second that are one Mbit/s.
const BYTES_PER_MBIT: u64 = 1_000_000 / 8;
/// Bytes of one KiB.
const BYTES_PER_KIB: u64 = 1024;
/// The word in place of an address, for a domain that asks for one by DHCP.
pub const DHCP: &str = "dhcp";

/// A switch whose names have been looked up.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct DraftSwitch<'a> {
    /// As written.
    pub table: &'a SwitchTable,
    /// Its place among the switches.
    pub place: usize,
    /// The domain that runs it.
    pub domain: Option<usize>,
    /// Whether that is the domain's very name.
    pub is_known: bool,
    /// The network that the addresses of its ports are from.
    pub network: Option<Read<'a, Network>>,
    /// The router to elsewhere.
    pub gateway: Option<Read<'a, Ipv4Addr>>,
    pub name_server: Option<Read<'a, Ipv4Addr>>,
    /// Largest packet between domains.
    pub mtu: u64,
    pub ports: Vec<DraftPort<'a>>,
}

/// A port whose names have been looked up.
#[derive(Debug)]
pub struct DraftPort<'a> {
    /// As written.
    pub table: &'a PortTable,
    /// The domain at the port.
    pub domain: Option<usize>,
    /// Whether that is the domain's very name.
    pub is_known: bool,
    /// Whether it is the uplink's.
    pub is_uplink: bool,
    /// Whether the domain asks a server for its address.
    pub is_dhcp: bool,
    /// Its fixed address.
    pub address: Option<Read<'a, Ipv4Addr>>,
    /// Its MAC address, if stated.
    pub mac: Option<Read<'a, Mac>>,
    /// Its VLAN.
    pub vlan: u64,
    /// Where the manifest states the VLAN, if it does.
    pub vlan_at: Option<Span>,
    /// The ports to which it may send, if not to all of its VLAN.
    pub sends_to: Option<Vec<Named<'a, usize>>>,
}

/// A forward whose names have been looked up.
#[derive(Debug)]
pub struct DraftForward<'a> {
    /// As written.
    pub table: &'a ForwardTable,
    /// The domain that it leads to.
    pub to: Option<Named<'a, usize>>,
}

/// A text and what it means, or why it means nothing.
#[derive(Debug, Clone)]
pub struct Read<'a, T> {
    /// As written.
    pub written: &'a At<String>,
    /// Its meaning.
    pub value: Result<T, Reason>,
}

impl<'a, T: FromStr<Err = Reason>> Read<'a, T> {
    fn new(written: &'a At<String>) -> Self {
        Self { written, value: written.value.parse() }
    }
}

impl<T: Copy> Read<'_, T> {
    /// Its meaning, if it has one.
    pub fn good(&self) -> Option<T> {
        self.value.as_ref().ok().copied()
    }
}

impl<'a> DraftSwitch<'a> {
    pub(super) fn new(names: &Names<'_>, place: usize, table: &'a SwitchTable) -> Self {
        let named = names.find(&table.name);
        let ports = Names::new(table.ports.iter().map(|port| port.name.value.as_str()));
        Self {
            table,
            place,
            domain: named.found,
            is_known: named.is_known,
            network: table.network.as_ref().map(Read::new),
            gateway: table.gateway.as_ref().map(address),
            name_server: table.name_server.as_ref().map(address),
            mtu: table.mtu.as_ref().map_or(DEFAULT_MTU, |mtu| mtu.value),
            ports: table.ports.iter().map(|port| DraftPort::new(names, &ports, table, port)).collect(),
        }
    }

    /// Whether its own name, or that of one of its ports, is no domain's, or an uplink or all that it says is left
    /// out: who is on it cannot be told then.
    pub fn has_strangers(&self) -> bool {
        let has_stranger = self.ports.iter().any(|port| !port.is_known);
        !self.is_known || self.lacks_uplink() || self.lacks_table() || has_stranger
    }

    /// Whether nothing is said of it, though its ports have addresses.
    fn lacks_table(&self) -> bool {
        let SwitchTable { network, gateway, name_server, uplink, mtu, .. } = self.table;
        let says = [network, gateway, name_server, uplink].into_iter().any(Option::is_some) || mtu.is_some();
        !says && self.ports.iter().any(|port| port.address.is_some())
    }

    /// Whether something is said of an uplink that it does not have.
    pub fn lacks_uplink(&self) -> bool {
        self.table.uplink_vlan.is_some() && self.table.uplink.is_none()
    }

    /// Whether a port may send to a name that no port has.
    pub fn names_receiver(&self, name: &str) -> bool {
        let mut receivers = self.ports.iter().flat_map(|port| port.sends_to.iter().flatten());
        receivers.any(|receiver| !receiver.is_known && receiver.written.value == name)
    }

    /// The MAC address of a port: what is stated, or one made of what tells the port from others.
    pub fn mac(&self, number: usize) -> Option<Mac> {
        let port = &self.ports[number];
        match (&port.mac, &port.address) {
            (Some(stated), _) => stated.good(),
            (None, Some(address)) => address.good().map(Mac::of_address),
            (None, None) => Some(Mac::of_port(self.place, number)),
        }
    }

    /// Largest packet that may leave by a port.
    pub fn port_mtu(&self, port: &DraftPort<'_>) -> u64 {
        if port.is_uplink { self.mtu.min(UPLINK_MTU.into()) } else { self.mtu }
    }

    /// Whether a frame from one port reaches another.
    fn may_send(&self, from: usize, to: usize) -> bool {
        let (sender, receiver) = (&self.ports[from], &self.ports[to]);
        let are_plain = !sender.table.is_mirror && !receiver.table.is_mirror;
        let is_allowed =
            sender.sends_to.as_ref().is_none_or(|list| list.iter().any(|named| named.found == Some(to)));
        from != to && are_plain && is_allowed && sender.vlan == receiver.vlan
    }

    /// The switch, if nothing in it leads nowhere.
    pub(crate) fn resolve(&self) -> Option<Switch> {
        let ports = (self.ports.len() <= MAX_PORTS).then_some(0..self.ports.len())?;
        Some(Switch {
            domain: DomainId(self.domain?),
            network: resolve_read(&self.network)?,
            gateway: resolve_read(&self.gateway)?,
            name_server: resolve_read(&self.name_server)?,
            ports: ports.map(|number| self.resolve_port(number)).collect::<Option<_>>()?,
        })
    }

    fn resolve_port(&self, number: usize) -> Option<Port> {
        let port = &self.ports[number];
        let receivers = (0..self.ports.len()).filter(|to| self.may_send(number, *to));
        let rate = port.table.rate_mbit.as_ref().map(|rate| rate.value);
        Some(Port {
            domain: DomainId(port.domain?),
            local: port.table.gate().to_owned(),
            flags: port.flags(),
            address: resolve_read(&port.address)?,
            mac: if port.table.is_mirror { Mac::default() } else { self.mac(number)? },
            vlan: if port.table.is_mirror { 0 } else { u16::try_from(port.vlan).ok()? },
            mtu: u32::try_from(self.port_mtu(port)).ok()?,
            may_send_to: receivers.fold(0, |set, to| set | 1 << to),
            rate_bytes: rate.unwrap_or_default().checked_mul(BYTES_PER_MBIT)?,
            burst_bytes: rate.map_or(Some(0), |_| port.burst_kib().checked_mul(BYTES_PER_KIB))?,
            at: port.places(),
        })
    }
}

impl<'a> DraftPort<'a> {
    fn new(names: &Names<'_>, ports: &Names<'_>, switch: &'a SwitchTable, table: &'a PortTable) -> Self {
        let is_uplink = switch.uplink.as_ref().is_some_and(|uplink| uplink.value == table.name.value);
        let stated = table.vlan.as_ref().or(switch.uplink_vlan.as_ref().filter(|_| is_uplink));
        let is_dhcp = table.address.as_ref().is_some_and(|address| address.value == DHCP);
        let named = names.find(&table.name);
        Self {
            table,
            domain: named.found,
            is_known: named.is_known,
            is_uplink,
            is_dhcp,
            address: table.address.as_ref().filter(|_| !is_dhcp).map(address),
            mac: table.mac.as_ref().map(Read::new),
            vlan: stated.map_or(DEFAULT_VLAN.into(), |vlan| vlan.value),
            vlan_at: stated.map(|vlan| vlan.span),
            sends_to: table
                .sends_to
                .as_ref()
                .map(|list| list.iter().map(|written| ports.find(written)).collect()),
        }
    }

    /// How much the port may send at once after a rest, in KiB, if it has a rate.
    pub fn burst_kib(&self) -> u64 {
        self.table.burst_kib.as_ref().map_or(DEFAULT_BURST_KIB, |burst| burst.value)
    }

    /// Where the manifest begins it, states its VLAN, and says to whom it may send, as far as it does.
    fn places(&self) -> Vec<Span> {
        let receivers = self.table.sends_to.iter().flatten().map(|receiver| receiver.span);
        std::iter::once(self.table.name.span).chain(self.vlan_at).chain(receivers.take(1)).collect()
    }

    fn flags(&self) -> PortFlags {
        let flags = [
            (self.is_uplink, PortFlags::UPLINK),
            (self.is_dhcp, PortFlags::DHCP),
            (self.table.is_mirror, PortFlags::MIRROR),
        ];
        flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).collect()
    }
}

impl<'a> DraftForward<'a> {
    pub(super) fn new(names: &Names<'_>, table: &'a ForwardTable) -> Self {
        Self { table, to: table.to.as_ref().map(|written| names.find(written)) }
    }
}

fn address(written: &At<String>) -> Read<'_, Ipv4Addr> {
    Read { written, value: read_address(&written.value) }
}

/// `None`: it means nothing. `Some(None)`: nothing is written.
#[expect(clippy::option_option, reason = "a bad text and no text are two things")]
fn resolve_read<T: Copy>(read: &Option<Read<'_, T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.good().map(Some),
    }
}
