//! The monitor's decisions: the policy of the manifest, and what was withdrawn by hand. No calls: what it is asked comes
//! in as values, what follows goes out as values. The program does it.

#![no_std]
#![forbid(unsafe_code)]

mod engine;
mod policy;
#[cfg(test)]
mod tests;

pub use engine::{Denial, Engine, MAX_WITHDRAWN, Reason, Restored};
pub use policy::{BadPolicy, Policy};
