//! HTTP requests, and the pages that answer them.
//!
//! [`serve`] reads requests from a connection and answers each, until the client has no more. What there is to
//! show comes from a [`Site`].

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod connection;
mod page;
mod request;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use ore_api::{CountersError, Report};

pub use connection::{dismiss, serve};
pub use request::{HEAD_BYTES, Request, Resource, Status};

/// Where a connection is served, among others.
pub trait Place {
    /// An answer begins. Returns whether it should be the last one on this connection.
    fn begins(&self) -> bool;
    /// The answer has been written.
    fn ends(&self);
}

/// What the pages show.
pub trait Site {
    /// Name of the domain.
    fn domain(&self) -> &str;
    /// Name of the system.
    fn system(&self) -> &str;
    /// The switch's ports, and what they have counted.
    ///
    /// # Errors
    /// Why the switch does not say.
    fn reports(&self) -> Result<Vec<Report>, CountersError>;
}
