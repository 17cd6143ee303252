//! Drivers: how devices are spoken to, and nothing about who may.
//!
//! A driver runs over a trait for its registers, so that the same code drives a device on the target and a
//! simulated one in a test.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "simulated"))]
extern crate std;

pub mod pci;
pub mod registers;
pub mod rtc;
pub mod tpm;
pub mod uart;
pub mod virtio;
