//! What the operating system said of a failure, for people.

use std::{fmt, io};

/// The operating system's message, without the number that Rust puts behind it.
#[derive(Debug)]
pub struct Cause<'a>(pub &'a io::Error);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let end = text.find(" (os error").unwrap_or(text.len());
        let mut characters = text[..end].chars();
        let first = characters.next().map(|first| first.to_ascii_lowercase());
        write!(out, "{}{}", first.map(String::from).unwrap_or_default(), characters.as_str())
    }
}
