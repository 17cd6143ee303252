//! The machine: everything that needs `unsafe`, and nothing that decides.
//!
//! Who may use which page of physical memory is a matter of values here: [`frames`] come from free memory, [`regions`]
//! own what was made of them, and a [`space`] maps only what the regions show. No safe function takes an address, the
//! number of a page or a pointer on trust.
#![allow(
    unsafe_code,
    reason = "this module is the kernel's trust line: instructions, registers, page tables"
)]

pub mod frames;
pub mod guest;
#[cfg(not(cloison_target))]
mod host;
pub mod regions;
pub mod space;
#[cfg(cloison_target)]
mod x86_64;

#[cfg(not(cloison_target))]
pub use self::host::*;
#[cfg(cloison_target)]
pub use self::x86_64::*;
