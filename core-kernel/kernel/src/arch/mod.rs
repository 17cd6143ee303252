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
pub mod regions;
pub mod space;
mod x86_64;

pub use self::x86_64::*;
