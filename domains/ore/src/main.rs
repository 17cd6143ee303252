//! The virtual switch, *ORe*: carries frames between the domains at its ports.
//!
//! This file waits, and decides whose turn it is. What becomes of a frame, the crate `ore-switch` says; how it
//! gets there is in `plane.rs`.

#![no_std]
#![no_main]

extern crate alloc;

mod counters;
mod plane;

use alloc::{boxed::Box, vec::Vec};

use cloison_abi::{
    info::InfoEntry,
    port::{PortFlags, PortSettings},
};
use cloison_rt::{
    log,
    sys::{Instant, Message, Received, info, reply_wait, settings},
    time,
};
use ore_api::counters as gate;
use ore_switch::{PortSet, Switch};

use plane::Plane;

cloison_rt::entry!(main);

/// What `domain.toml` calls the gate whose clients are ports.
const PORT: &str = "port";

fn main() -> Result<(), Unfit> {
    let settings = settings::ports();
    let mut plane = Plane::new(Box::new(Switch::new(settings, time::hertz())), settings);
    let attach = |port| client(port).and_then(|client| plane.attach(client));
    let bits: Vec<u32> = settings.iter().map(attach).collect::<Result<_, _>>()?;
    announce(settings);
    serve(&mut plane, &Events::new(&bits))
}

/// Carries frames and answers questions, for ever.
fn serve(plane: &mut Plane, events: &Events) -> ! {
    // What came in before this life of the switch.
    let mut awake = events.ports(events.mask);
    let mut reply = Message::default();
    loop {
        awake = plane.carry(awake, Instant::now().0);
        let deadline = if awake.is_empty() { Instant::NEVER } else { Instant::PAST };
        let received = reply_wait(reply, events.mask, deadline);
        reply = Message::default();
        match received {
            Received::Events(arrived) => awake = awake | plane.wake(events.ports(arrived)),
            Received::Message { badge, message } => reply = gate::answer(plane, badge, message),
            Received::TimedOut => {}
        }
    }
}

/// By which event the domain at each port signals.
struct Events {
    mask: u64,
    /// The port of each event.
    ports: [PortSet; u64::BITS as usize],
}

impl Events {
    /// `bits` are the ports' event bits, in the order of the ports.
    fn new(bits: &[u32]) -> Self {
        let mut events = Self { mask: 0, ports: [PortSet::EMPTY; u64::BITS as usize] };
        for (port, bit) in bits.iter().enumerate() {
            let bit = bit % u64::BITS;
            events.mask |= 1 << bit;
            events.ports[bit as usize] = PortSet::of(port);
        }
        events
    }

    /// The ports whose events are in a mask.
    fn ports(&self, mut mask: u64) -> PortSet {
        let mut ports = PortSet::EMPTY;
        while mask != 0 {
            ports = ports | self.ports[mask.trailing_zeros() as usize];
            mask &= mask - 1;
        }
        ports
    }
}

/// The client that a port belongs to.
fn client(port: &PortSettings) -> Result<&'static InfoEntry, Unfit> {
    let at_port = |entry: &&InfoEntry| entry.name.as_str() == PORT && entry.badge == port.badge;
    info::get().clients().find(at_port).ok_or(Unfit::NoClient(port.name))
}

/// Says what this switch is.
fn announce(settings: &[PortSettings]) {
    let uplinks = settings.iter().filter(|port| flags(port).contains(PortFlags::UPLINK)).count();
    let end = if uplinks == 0 { "; no uplink: nothing leaves this machine" } else { "" };
    log!("{} ports: {}{end}", settings.len(), Ports(settings));
}

/// The ports, in words.
struct Ports<'a>(&'a [PortSettings]);

impl core::fmt::Display for Ports<'_> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (number, port) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            match flags(port) {
                flags if flags.contains(PortFlags::MIRROR) => write!(out, "{comma}{} (mirror)", port.name)?,
                flags if flags.contains(PortFlags::UPLINK) => {
                    write!(out, "{comma}{} (VLAN {}, uplink)", port.name, port.vlan)?;
                }
                _ => write!(out, "{comma}{} (VLAN {})", port.name, port.vlan)?,
            }
        }
        Ok(())
    }
}

fn flags(port: &PortSettings) -> PortFlags {
    PortFlags::from_bits_truncate(port.flags)
}

/// Why the switch cannot run.
enum Unfit {
    /// The settings name a port of a domain that is no client.
    NoClient(cloison_abi::Name),
    /// There is no one-way memory between the switch and a client.
    NoMemory(cloison_abi::Name),
}

impl core::fmt::Display for Unfit {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoClient(name) => {
                write!(out, "the plan has a port for {name}, which is no client of the gate")
            }
            Self::NoMemory(name) => write!(out, "the plan gives the port of {name} no one-way memory"),
        }
    }
}
