//! Numbers and layouts of the interface that a paravirtualised guest of Xen expects, as Linux uses them. The public
//! headers of Xen (`xen/include/public`) are where they come from.
//!
//! Nothing is decided here: the crate has constants and tables that lie in the guest's memory.

#![no_std]
#![forbid(unsafe_code)]

pub mod call;
pub mod console;
pub mod cpu;
pub mod cpuid;
pub mod error;
pub mod event;
pub mod grant;
pub mod memory;
pub mod ring;
pub mod sched;
pub mod shared;
pub mod start;
pub mod version;
pub mod xenstore;

pub use error::Errno;

/// Domain number that means the caller itself.
pub const DOMAIN_SELF: u16 = 0x7ff0;
