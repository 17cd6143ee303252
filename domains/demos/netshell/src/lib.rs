//! A small shell over any stream: one command a line, an answer in plain text.
//!
//! [`serve`] speaks with one client, [`serve_lines`] with one that may have to leave. What it says of the domain comes from a [`Domain`]; [`ThisDomain`] is
//! the one that it runs in. [`listen`] serves a port, several connections at a time, [`on_console`] the
//! keyboard.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod command;
mod domain;
mod lines;
mod session;
mod terminal;

pub use command::{Command, Complaint};
pub use domain::{Domain, ThisDomain};
pub use lines::{LINE_BYTES, Line, Lines};
pub use session::{End, Goes, listen, serve, serve_lines};
pub use terminal::{Terminal, on_console};

/// The port on which a shell answers.
pub const PORT: u16 = 22;
