//! Text that is put together.

use alloc::string::String;
use core::fmt::{self, Write};

/// As `alloc::format!`, which a domain cannot link: it comes compiled, with code for unwinding.
#[must_use]
pub fn text(parts: fmt::Arguments<'_>) -> String {
    let mut all = String::new();
    // Writing to a string cannot fail.
    let _ = all.write_fmt(parts);
    all
}
