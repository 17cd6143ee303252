//! A guest: its virtual CPU, its page tables, its devices.
//!
//! The place where it runs enters it, waits until it comes out, asks what comes next, and so on.

mod turn;

pub use turn::{Death, Exit, Next, Shutdown};
