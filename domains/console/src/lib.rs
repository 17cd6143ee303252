//! What the console decides, without the device, so that it is tested on the host.
//!
//! * [`Lines`] puts the pieces that one client sends together to lines, and bounds them.
//! * [`Screen`] is what waits for the serial port: whole lines, each with the name of who said it.
//! * [`Clients`] are those who write lines, and those who can be typed to.
//! * [`Keyboard`] is what typed bytes mean: input for the domain in focus, or an order to the console.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod clients;
mod history;
mod keyboard;
mod line;
mod lines;
mod screen;

pub use clients::{Clients, Director};
pub use history::HISTORY_BYTES;
pub use keyboard::{Keyboard, Order};
pub use line::LINE_BYTES;
pub use lines::Lines;
pub use screen::{SCREEN_BYTES, Screen};
