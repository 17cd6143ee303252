//! Devices that the machine has because a domain owns them, and what is behind them: a network, a file.

use std::{ffi::OsString, net::Ipv4Addr, path::Path};

use cloison_abi::port::PortFlags;
use image_compiler::system::{Device, Network, Switch, System};

use super::{OpenDisk, OpenForward, option::option};

/// Addresses that QEMU's DHCP server gives out, one after the other.
const DHCP_ADDRESSES: u32 = 16;
/// The first of them in a network, unless somebody has one of them.
const FIRST_DHCP_ADDRESS: u32 = 15;

/// Makes QEMU's arguments for the devices that domains own.
#[derive(Debug, Clone, Copy)]
pub struct Devices<'a> {
    /// The system.
    pub system: &'a System,
    /// Ports of the host that lead into it.
    pub forwards: &'a [OpenForward],
    /// The files that are its disks.
    pub disks: &'a [OpenDisk],
    /// The file that captured frames go to.
    pub capture: Option<&'a Path>,
}

impl Devices<'_> {
    /// QEMU's arguments.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        self.system.devices_in_use().flat_map(|device| self.of_device(device)).collect()
    }

    /// What is behind the device, if its arguments name that by the device's own name; then the device.
    fn of_device(&self, device: &Device) -> Vec<OsString> {
        let id = &device.name.value;
        let has = |key: &str| {
            let mut options = device.qemu.iter().flat_map(|argument| argument.split(','));
            options.any(|option| option.split_once('=') == Some((key, id.as_str())))
        };
        let mut arguments = Vec::new();
        if has("netdev") {
            arguments.extend(["-netdev".into(), self.network(id).into()]);
        } else if has("chardev") {
            arguments.extend(["-chardev".into(), self.file(id)]);
        } else if has("drive") {
            arguments.extend(["-drive".into(), self.drive(id)]);
        }
        arguments.extend(device.qemu.iter().map(OsString::from));
        arguments
    }

    /// A disk: without a file, one on which nothing stays.
    fn drive(&self, id: &str) -> OsString {
        match self.disks.iter().find(|disk| disk.device == id) {
            Some(disk) => {
                let access = if disk.is_read_only { "on" } else { "off" };
                option(&format!("if=none,id={id},format=raw,readonly={access},file="), &disk.path)
            }
            None => format!("if=none,id={id},driver=null-co,read-zeroes=on").into(),
        }
    }

    fn file(&self, id: &str) -> OsString {
        match self.capture {
            Some(path) => option(&format!("file,id={id},path="), path),
            None => format!("null,id={id}").into(),
        }
    }

    /// A network of which QEMU plays the router, the name server and the host.
    fn network(&self, id: &str) -> String {
        let switch = self.system.switches().iter().find(|switch| switch.uplink().is_some());
        let mut options = vec![format!("user,id={id}")];
        options.extend(switch.into_iter().flat_map(network_options));
        options.extend(self.forwards.iter().map(OpenForward::option));
        options.join(",")
    }
}

fn network_options(switch: &Switch) -> Vec<String> {
    let Some(network) = switch.network else { return Vec::new() };
    let mut options = vec![format!("net={network}")];
    // Without a router there is no way out: forwards lead in, and nothing else passes. With one, what a domain
    // sends to it reaches the host's own services too.
    options.extend(switch.gateway.is_none().then(|| "restrict=on".to_owned()));
    let [host, dns, dhcp_start] = hosts_of_qemu(switch, network);
    options.extend(
        [("host", host), ("dns", dns), ("dhcpstart", dhcp_start)].map(|(key, at)| format!("{key}={at}")),
    );
    options
}

/// Addresses of the hosts that QEMU plays: router, name server, the first that its DHCP server gives out. It wants three
/// that differ, and answers for the first two whether somebody asked for them or not: so none is a port's.
fn hosts_of_qemu(switch: &Switch, network: Network) -> [Ipv4Addr; 3] {
    let inside = |address: &Ipv4Addr| network.contains(*address);
    let name_server = switch.name_server.filter(inside);
    // Of a router that is the name server too, QEMU can play the one; what is sent to others it takes at any address.
    let gateway = switch.gateway.filter(inside).filter(|gateway| Some(*gateway) != name_server);
    let ports = switch.ports.iter().filter_map(|port| port.address);
    let mut taken: Vec<Ipv4Addr> = ports.chain(gateway).chain(name_server).collect();
    let mut add = |stated: Option<Ipv4Addr>| {
        let address = stated.unwrap_or_else(|| free(network, &taken));
        taken.push(address);
        address
    };
    let [host, dns] = [add(gateway), add(name_server)];
    let has_clients = switch.ports.iter().any(|port| port.flags.contains(PortFlags::DHCP));
    let start = if has_clients {
        dhcp_start(network, &taken).unwrap_or_else(|| free(network, &taken))
    } else {
        // Where nobody asks it, its addresses can be those of others.
        free(network, &[host, dns])
    };
    [host, dns, start]
}

/// An address that nobody has, in the order of QEMU's own choice. Where hosts have all of them, one that no host has.
fn free(network: Network, taken: &[Ipv4Addr]) -> Ipv4Addr {
    let [first, last] = [network.address, network.broadcast()].map(Ipv4Addr::to_bits);
    let mut all = (first + 2..last).chain([first + 1, last, first]).map(Ipv4Addr::from_bits);
    all.find(|address| !taken.contains(address)).unwrap_or(network.address)
}

/// The first address of a run that nobody has. `None` if there is no such run.
fn dhcp_start(network: Network, taken: &[Ipv4Addr]) -> Option<Ipv4Addr> {
    let last_start = network.broadcast().to_bits().checked_sub(DHCP_ADDRESSES)?;
    let mut starts = network.address.to_bits() + FIRST_DHCP_ADDRESS..=last_start;
    let is_free = |start: &u32| {
        taken.iter().all(|address| !(*start..start + DHCP_ADDRESSES).contains(&address.to_bits()))
    };
    starts.find(is_free).map(Ipv4Addr::from_bits)
}
