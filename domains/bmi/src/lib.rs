//! What BMI decides: whom the manifest lets ask for what. No calls: the program makes them.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod judge;
mod recorder;

pub use judge::{Judge, NoTable};
pub use recorder::{NotStarted, Recorder};
