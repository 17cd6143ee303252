//! Policies: what the bytes of one say, what is wrong with it, and what a wall keeps apart.
//!
//! Image builder and monitor judge a policy by the same functions: what the one has accepted the other does not refuse,
//! and a policy that did not come from the image builder has to be as good.

#![no_std]
#![forbid(unsafe_code)]

mod domains;
mod fault;
mod history;
mod policy;
#[cfg(test)]
mod tests;

pub use domains::Domains;
pub use fault::Fault;
pub use history::{Flow, History, Meeting};
pub use policy::{Policies, Policy};
