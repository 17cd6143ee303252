//! How the builder builds a domain, without the kernel, so that it is tested on the host.
//!
//! * [`Image`] and [`Plan`] are what it builds from: tables in memory, each checked before it is used.
//! * [`Policy`] is the text that says all that a plan may allow.
//! * [`Site`] is where it builds: one domain after the other, and one again after a fault.
//! * [`Managed`] is what the manager sees of it: domains that begin and end on request.
//! * [`FreeMemory`] and [`Numbers`] are what it builds with: memory, slots and event bits, which come back.
//! * [`Step`] is what it asks of the kernel, and [`Kernel`] who carries that out.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod crash;
mod error;
mod give;
mod hex;
mod hindrance;
mod image;
mod lives;
mod manage;
mod memory;
mod numbers;
mod plan;
mod policy;
mod regions;
mod saved;
mod site;
mod step;

pub use error::BuildError;
pub use hex::Hex;
pub use image::Image;
pub use manage::Managed;
pub use memory::{FreeMemory, Piece};
pub use numbers::Numbers;
pub use plan::{Plan, Program};
pub use policy::Policy;
pub use site::{Choice, Site};
pub use step::{Kernel, Life, Step};

#[cfg(test)]
mod tests;
