//! What the domain `disk` decides, apart from how it is reached, so that it runs in tests on the host.
//!
//! * [`Service`]: several clients, each in its own part of the disk.
//! * [`Part`]: which sectors those are, the one rule that keeps clients apart; [`assign`] gives each client its own.
//! * [`Table`]: the partitions, as GPT or MBR state them.
//! * [`Drive`]: the disk behind its driver. [`SharedMail`]: the clients' memory and events.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod disk;
mod drive;
mod mail;
mod part;
mod service;
mod table;

use core::fmt;

pub use disk::{Domain, Events};
pub use drive::Drive;
pub use mail::{Mail, SharedMail};
pub use part::{Part, Unfit, assign};
pub use service::Service;
pub use table::{Crc32, Table, TableError};

/// Takes a line for the log.
pub type Log = fn(fmt::Arguments<'_>);
