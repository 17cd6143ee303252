//! The machine: everything that needs `unsafe`, and nothing that decides.
#![allow(
    unsafe_code,
    reason = "this module is the kernel's trust line: instructions, registers, page tables"
)]

pub mod acpi;
pub mod apic;
#[cfg(feature = "self-attack")]
pub mod attack;
pub mod boot;
pub mod context;
pub mod cpu;
pub mod entry;
pub mod lock;
pub mod memory;
pub mod paging;
pub mod serial;
pub mod tables;
pub mod time;
