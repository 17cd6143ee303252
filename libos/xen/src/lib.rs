//! Numbers and layouts of the interface that a paravirtualised guest of Xen expects, as Linux uses them. The public
//! headers of Xen (`xen/include/public`) are where they come from.
//!
//! Nothing is decided here: the crate has constants and tables that lie in the guest's memory.

#![no_std]
#![forbid(unsafe_code)]

pub mod error;
pub mod grant;
pub mod memory;
pub mod ring;
pub mod start;
pub mod xenstore;

pub use error::Errno;
