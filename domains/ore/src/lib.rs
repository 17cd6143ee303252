//! The work of the virtual switch *ORe*: waits, and decides whose turn it is. What becomes of a frame, the
//! crate `ore-switch` says; how it gets there is in `plane.rs`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod control;
mod counters;
mod plane;

use alloc::vec::Vec;

use cloison_abi::port::{MAX_PORTS, PortFlags, PortSettings};
use cloison_ipc::gate::ANSWER_MALFORMED;
use cloison_rt::{
    log,
    sys::{Badge, Instant, Message, Received, info, reply_wait, settings, signal},
    time,
};
use ore_api::{control as closing, counters as gate};
use ore_switch::PortSet;

use plane::Plane;

/// What `domain.toml` calls the gate whose clients are ports.
const PORT: &str = "port";
/// What it calls the one whose clients may ask.
const COUNTERS: &str = "counters";

/// What it calls the one by which the monitor closes what the manifest lets pass.
const CONTROL: &str = "control";

/// A switch at work.
pub struct Ore {
    plane: Plane,
    events: Events,
    /// Badges of the clients that may ask; those of ports may not.
    may_ask: Vec<Badge>,
    /// Those of monitors.
    may_close: Vec<Badge>,
    /// Ports that may have something to send.
    awake: PortSet,
    /// The answer to the question that came last, if it has none yet.
    reply: Option<Message>,
}

impl Ore {
    /// The switch that the manifest describes. It goes on where its last life left off.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn open() -> Result<Self, Unfit> {
        let settings = settings::ports();
        let mut plane = Plane::new(settings, time::hertz());
        let attach = |port| client(port).and_then(|client| plane.attach(client));
        let bits: Vec<u32> = settings.iter().map(attach).collect::<Result<_, _>>()?;
        announce(settings);
        let events = Events::new(&bits);
        // What came in before this life.
        let awake = events.ports(events.mask);
        let monitors = clients(CONTROL);
        plane.is_closed = !monitors.is_empty();
        for monitor in monitors.iter().filter_map(|monitor| info::signal_slot(*monitor)) {
            // One that does not live tells the switch when it does.
            let _ = signal(monitor);
        }
        let badges =
            |clients: Vec<&info::Client>| clients.iter().map(|client| client.channel.badge).collect();
        let (may_ask, may_close) = (badges(clients(COUNTERS)), badges(monitors));
        Ok(Self { plane, events, may_ask, may_close, awake, reply: None })
    }

    /// Carries what there is to carry, then waits for more, or for a question.
    #[inline]
    pub fn turn(&mut self) {
        if !self.plane.is_closed {
            self.awake = self.plane.carry(self.awake);
        }
        let (events, deadline) = self.pause();
        match self.receive(events, deadline) {
            Received::Events(arrived) => {
                self.awake = self.awake | self.plane.wake(self.events.ports(arrived));
            }
            Received::Message { badge, message } => self.reply = Some(self.answer(badge, message)),
            Received::TimedOut => {}
        }
    }

    /// Waits; before that, answers who has asked. Whom the last frame has woken is told in the same call.
    #[inline]
    fn receive(&mut self, events: u64, deadline: Instant) -> Received {
        let Some(reply) = self.reply.take() else {
            // Most often: there is no message to be moved.
            return match self.plane.kept.take() {
                Some(kept) => kept.reply_wait(Message::default(), events, deadline),
                None => reply_wait(Message::default(), events, deadline),
            };
        };
        self.plane.kept = None;
        reply_wait(reply, events, deadline)
    }

    /// What to wait for, and until when. A port that is awake is looked at again in any case, so what it
    /// signals can wait too.
    #[inline]
    fn pause(&self) -> (u64, Instant) {
        if self.plane.is_closed {
            return (self.events.mask, Instant::NEVER);
        }
        match self.plane.pace.next_at(self.awake) {
            None => (self.events.mask, Instant::NEVER),
            Some(at) if at <= Instant::now().0 => (self.events.of(!self.awake), Instant::PAST),
            Some(at) => (self.events.of(!self.awake), Instant(at)),
        }
    }

    /// Answers a question, if the client may ask: every domain with a port has a way to send one.
    fn answer(&mut self, badge: Badge, message: Message) -> Message {
        if self.may_ask.contains(&badge) {
            gate::answer(&mut self.plane, badge, message)
        } else if self.may_close.contains(&badge) {
            closing::answer(&mut self.plane, badge, message)
        } else {
            Message { label: ANSWER_MALFORMED, ..Message::default() }
        }
    }
}

/// By which event the domain at each port signals.
struct Events {
    mask: u64,
    /// The port of each event.
    ports: [PortSet; u64::BITS as usize],
    /// The event of each port, as a mask.
    masks: [u64; MAX_PORTS],
}

impl Events {
    /// `bits` are the ports' event bits, in the order of the ports.
    fn new(bits: &[u32]) -> Self {
        let mut events = Self { mask: 0, ports: [PortSet::EMPTY; u64::BITS as usize], masks: [0; MAX_PORTS] };
        for (port, bit) in bits.iter().enumerate().take(MAX_PORTS) {
            let bit = bit % u64::BITS;
            events.masks[port] = 1 << bit;
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

    /// The events of these ports.
    fn of(&self, ports: PortSet) -> u64 {
        ports.filter_map(|port| self.masks.get(port)).fold(0, |events, mask| events | mask)
    }
}

/// The clients of a gate.
fn clients(gate: &str) -> Vec<&'static info::Client> {
    info::get().clients().filter(|entry| entry.name.as_str() == gate).collect()
}

/// The client that a port belongs to.
fn client(port: &PortSettings) -> Result<&'static info::Client, Unfit> {
    let at_port = |client: &&info::Client| client.name.as_str() == PORT && client.channel.badge == port.badge;
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
