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

use bmi_api::{ManageError, manage::Listed};
use ipcmon_api::{ControlError, control::Counted};
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
    /// The switch's ports, and what they have counted; or why the switch does not say. `None` if this domain cannot ask.
    fn reports(&self) -> Option<Result<Vec<Report>, CountersError>>;
    /// The system's domains; or why the manager does not say. `None` if this domain cannot ask.
    fn domains(&self) -> Option<Result<Vec<Listed>, ManageError>>;
    /// What the monitor has decided so far; or why it does not say. `None` if this domain cannot ask.
    fn decisions(&self) -> Option<Result<Counted, ControlError>>;
}
