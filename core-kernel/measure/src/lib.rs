//! What is measured of a system, for the boot loader that measures it and for everybody who foretells or checks that.
//!
//! * [`rows`]: the table in a system image whose rows tile it.
//! * [`event`]: what is measured, in order: one event for the loader's options, for the kernel and for each row.
//! * [`registers`]: what measuring makes of a TPM's registers.
//! * [`later`]: what is measured after the boot.
//! * [`log`]: the log of events as firmware keeps it, read and written.
//! * [`endorsement`]: how a machine shows whose TPM its key is in.
//! * [`evidence`]: what a machine gives to somebody who wants to know what runs on it.
//! * [`firmware`]: the events of firmware whose values are known ahead.
//!
//! Pure functions over bytes: the loader that measures a system and the tool that foretells it come to the same events.

#![no_std]
#![forbid(unsafe_code)]

pub mod endorsement;
pub mod event;
pub mod evidence;
pub mod firmware;
pub mod later;
pub mod log;
pub mod registers;
pub mod rows;

pub use event::{Event, Hash, System};
pub use evidence::Evidence;
pub use later::{Later, What};
pub use log::{BadLog, Log};
pub use registers::{Bank, Digests, Registers};
pub use rows::{BadRows, Row, Rows};
