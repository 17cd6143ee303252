//! Switches: who has a port, by which address, in which VLAN, and who may send to whom.

mod addresses;
mod forwards;
mod ports;

pub(super) use addresses::{duplicate_address, duplicate_mac, malformed, outside};
pub(super) use forwards::{forward, host_port};
pub(super) use ports::{access, contradictions, gate, lonely, number, sizes, uplink, without_port};

use crate::system::{Draft, DraftPort, DraftSwitch};

/// Each port of each switch.
fn each_port<'d, 'a>(draft: &'d Draft<'a>) -> impl Iterator<Item = (&'d DraftSwitch<'a>, &'d DraftPort<'a>)> {
    draft.switches.iter().flat_map(|switch| switch.ports.iter().map(move |port| (switch, port)))
}
