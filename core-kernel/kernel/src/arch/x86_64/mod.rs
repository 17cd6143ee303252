//! A PC with a 64-bit CPU.

pub mod acpi;
pub mod apic;
#[cfg(feature = "self-attack")]
pub mod attack;
pub mod boot;
pub mod context;
pub mod cpu;
pub mod entry;
pub mod guest_context;
pub mod head;
mod layout;
pub mod lock;
pub mod memory;
pub mod paging;
pub(in crate::arch) mod physical;
mod segments;
mod selectors;
pub mod serial;
mod tables;
pub mod time;
