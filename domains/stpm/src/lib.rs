//! What the TPM service decides, apart from how it is reached, so that it all runs in tests on the host.
//!
//! * [`Service`]: several clients, one command each, one command in the TPM at a time.
//! * [`Allowance`]: what the manifest lets a client do.
//! * [`SharedMail`]: the memory and the events by which the clients are reached.
//! * [`Chip`]: a TPM behind its driver: brought up, timed, and brought up again after trouble.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod allowance;
mod chip;
mod mail;
mod service;

pub use allowance::{Allowance, Commands};
pub use chip::{Chip, ChipError, TpmChip};
pub use mail::SharedMail;
pub use service::{Callers, Mail, Service};
