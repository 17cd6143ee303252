//! What the domain `nic` does, apart from its main function, so that it runs in tests on the host, and in
//! domains that are made to fail.
//!
//! * [`Nic`]: what the domain was given, and its loop.
//! * [`Uplink`]: frames in batches between a port of a switch and a network card.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod nic;
mod tally;
mod uplink;

use core::fmt;

pub use nic::Nic;
pub use uplink::Uplink;

/// Takes a line for the log.
pub type Log = fn(fmt::Arguments<'_>);
