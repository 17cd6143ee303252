//! What BMI decides: whom the manifest lets ask for what, and whether there is memory for it. No calls: the program makes them.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod guest;
mod judge;
mod recorder;

pub use guest::Need;
pub use judge::{Judge, NoTable};
pub use recorder::{NotStarted, Recorder, image_of};
