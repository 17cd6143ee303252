//! What the shell decides, without the console and the kernel, so that it is tested on the host.
//!
//! * [`Editor`] is the line that is typed: editing, history, Tab.
//! * [`Line`] is what a whole line asks for, and [`complete`] what a word of it can become.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod editor;
mod line;

pub use editor::{Around, Editor, Typed};
pub use line::{HELP, Known, Line, WrongLine, complete};
