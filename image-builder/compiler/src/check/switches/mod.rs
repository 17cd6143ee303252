//! Switches: who has a port, by which address, in which VLAN, and who may send to whom.

mod addresses;
mod forwards;
mod ports;

pub(super) use addresses::{duplicate_address, duplicate_mac, malformed, outside};
pub(super) use forwards::{forward, host_port};
pub(super) use ports::{access, contradictions, gate, lonely, number, sizes, uplink, without_port};

use crate::system::{Draft, DraftPort, DraftSwitch};

/// Each switch that is a domain: that others are none is told once.
fn each_switch<'d, 'a>(draft: &'d Draft<'a>) -> impl Iterator<Item = &'d DraftSwitch<'a>> {
    draft.switches.iter().filter(|switch| switch.is_known)
}

/// Each port of each switch.
fn each_port<'d, 'a>(draft: &'d Draft<'a>) -> impl Iterator<Item = (&'d DraftSwitch<'a>, &'d DraftPort<'a>)> {
    each_switch(draft).flat_map(|switch| switch.ports.iter().map(move |port| (switch, port)))
}

/// The switches of which it is clear who is on them: what is said of several ports can be judged.
fn clear_switches<'d, 'a>(draft: &'d Draft<'a>) -> impl Iterator<Item = &'d DraftSwitch<'a>> {
    let is_clear = draft.switches.iter().all(|switch| switch.is_known);
    let is_whole = |switch: &&DraftSwitch<'_>| {
        let (source, path) = switch.table.path();
        !switch.has_strangers() && !draft.inputs.spoiled.contains(source, &path)
    };
    draft.switches.iter().filter(move |_| is_clear).filter(is_whole)
}
