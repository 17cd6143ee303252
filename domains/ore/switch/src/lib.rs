//! What the virtual switch decides: to which ports a frame goes, and if to none, why.
//!
//! [`Switch::take`] is the decision, from a frame's parsed [`Header`], the port where it came in, and the time.
//! [`Pace`] says when a port has its turn. Nothing here moves a frame, looks at a clock or makes a call, so all
//! of it runs in tests on the host.
//!
//! A port's addresses are the manifest's, and only what is from them is taken in: frames from its MAC address,
//! IPv4 and ARP packets from its IPv4 address. So the switch knows where each domain is before it has said a
//! word. It learns only what lies behind uplinks. Hence nobody can draw another's frames or packets to itself
//! by using its address, and a frame to an unknown address is for the uplinks alone: no domain can have it.

#![no_std]
#![forbid(unsafe_code)]

mod bucket;
mod counters;
mod frame;
mod learned;
mod pace;
mod ports;
mod switch;

pub use counters::{Cause, Counters};
pub use frame::{Header, Mac, Packet, START_BYTES};
pub use pace::Pace;
pub use ports::PortSet;
pub use switch::Switch;
