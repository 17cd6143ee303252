//! How domains talk: typed gates, and rings in shared memory.
//!
//! * [`interface!`](crate::interface) declares what a server offers; it makes the typed client and the
//!   server's decoding, so that nobody numbers messages by hand. [`wire`] has the types that fields can have.
//! * [`ring`]: bytes and records through shared memory.
//! * [`link`]: a gate with memory beside it.
//! * [`frames`]: network frames through one-way memory.
//! * [`log`] is the one interface that is not declared so, because the runtime speaks it without this crate.
//!
//! Nothing here trusts the other side: what it sends is checked field by field, and a message that is not
//! exactly what the declaration says is an error.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod frames;
pub mod gate;
mod interface;
pub mod link;
pub mod log;
pub mod ring;
pub mod wire;

pub use cloison_sys::{Badge, Message, Slot};
pub use gate::{Failure, Transport};
pub use link::{GateLink, Link};
