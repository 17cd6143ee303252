//! What a paravirtualised Linux expects of its hypervisor, without the hypervisor's rights: page tables are shadowed,
//! traps are made up, hypercalls answered. All of it works on the guest's own memory and asks the kernel for pages of
//! that memory alone; so a mistake in here can harm the guest, and nobody else.
//!
//! `README.md` says what lies where.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod boot;
pub mod byte_ring;
pub mod devices;
pub mod grants;
pub mod guest;
pub mod machine;
pub mod memory;
pub mod saved;
pub mod stub;
pub mod tis;
pub mod xenstore;

mod console;
mod cpu;
mod cpuid;
mod decode;
mod events;
mod hypercall;
mod msr;
mod time;

#[cfg(test)]
mod testing;
