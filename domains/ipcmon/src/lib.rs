//! The monitor's decisions: the policy of the manifest, its walls, and what was withdrawn by hand. No calls: what it is
//! asked comes in as values, what follows goes out as values. The program does it.

#![no_std]
#![forbid(unsafe_code)]

mod engine;
#[cfg(test)]
mod tests;
mod told;

pub use engine::{Answer, Engine, MAX_WITHDRAWN, NotLoaded};
pub use told::{Denial, Reason, Restored};
