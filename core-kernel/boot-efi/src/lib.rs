//! What the boot loader does with bytes alone, tested on the host: it reads the kernel's file, compares what it
//! measures with what was built, finds its way in firmware's log, and writes what the kernel is told.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), forbid(unsafe_code))]

mod event;
mod information;
mod kernel;
mod listing;

pub use event::{event_bytes, old_event_bytes, write_old_event};
pub use information::{Area, Information, Kind};
pub use kernel::{BadKernel, Kernel, Segment};
pub use listing::{Line, Listing, line};
