//! The work of the virtual switch *ORe*: waits, and decides whose turn it is. What becomes of a frame, the crate
//! `ore-switch` says; how it gets there is in `plane.rs`.

#![no_std]
#![forbid(unsafe_code)]

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

/// What `domain.toml` calls the gate whose clients are ports.
const PORT: &str = "port";

/// A switch at work.
pub struct Ore {
    plane: Plane,
    events: Events,
    /// Ports that may have something to send.
    awake: PortSet,
    /// The answer to the question that came last.
    reply: Message,
}

impl Ore {
    /// The switch that the manifest describes. It goes on where its last life left off.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn open() -> Result<Self, Unfit> {
        let settings = settings::ports();
        let mut plane = Plane::new(Box::new(Switch::new(settings, time::hertz())), settings);
        let attach = |port| client(port).and_then(|client| plane.attach(client));
        let bits: Vec<u32> = settings.iter().map(attach).collect::<Result<_, _>>()?;
        announce(settings);
        let events = Events::new(&bits);
        // What came in before this life.
        let awake = events.ports(events.mask);
        Ok(Self { plane, events, awake, reply: Message::default() })
    }

    /// Carries what there is to carry, then waits for more, or for a question.
    #[inline]
    pub fn turn(&mut self) {
        self.awake = self.plane.carry(self.awake, Instant::now().0);
        let deadline = if self.awake.is_empty() { Instant::NEVER } else { Instant::PAST };
        match reply_wait(core::mem::take(&mut self.reply), self.events.mask, deadline) {
            Received::Events(arrived) => {
                self.awake = self.awake | self.plane.wake(self.events.ports(arrived));
            }
            Received::Message { badge, message } => {
                self.reply = gate::answer(&mut self.plane, badge, message);
            }
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
pub enum Unfit {
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
