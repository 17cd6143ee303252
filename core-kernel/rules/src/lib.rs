//! The kernel's decisions as pure functions over plain data.
//!
//! What a slot holds and who may use it, whether ranges overlap, who runs next, who meets whom in a gate
//! call: all of it is decided here, without hardware and without `unsafe`, and tested on the host. The kernel
//! carries out what these functions decide.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod authorize;
pub mod budget;
pub mod capability;
pub mod capture;
pub mod clock;
pub mod cpu;
pub mod dispatch;
#[cfg(test)]
mod every_state;
pub mod fault;
pub mod guarantee;
pub mod guest;
pub mod image;
pub mod interrupts;
pub mod lending;
pub mod mapping;
pub mod memory;
pub mod pci;
pub mod ready;
pub mod refs;
pub mod region;
pub mod text;
pub mod thread;

pub use refs::{
    DomainAddress, DomainId, DomainRef, DomainSet, EventRef, Frame, GuestId, GuestRef, Peer, RegionRef,
    TABLE_ENTRIES, ThreadId, ThreadRef, ThreadSet,
};
