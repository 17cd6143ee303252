//! A simulated machine, for tests of the kernel on the host: the same interface over a `Vec` of pages.
//!
//! Page tables are as on a PC, entry by entry, so the code that makes them is the real one. What is simulated is each
//! thread's of the test that runs, so tests do not see each other's.

pub mod apic;
#[path = "../x86_64/context.rs"]
pub mod context;
pub mod cpu;
#[path = "../x86_64/guest_context.rs"]
pub mod guest_context;
pub mod machine;
pub mod memory;
pub(in crate::arch) mod physical;
pub mod serial;
pub mod time;
