//! What was built, as a line for each event, and whether what is measured is that.
//!
//! The list lies beside kernel and image and is measured by nobody: who changes those can change it too. It notices
//! damage, with the name of what is damaged, before anything of it runs; the registers notice the rest.

use core::fmt::Write;

use cloison_measure::{Event, event::MAX_EVENT_BYTES};

/// The line of an event.
pub type Line = heapless::String<MAX_EVENT_BYTES>;

/// The line of an event. None if its name is longer than a name can be.
#[must_use]
pub fn line(event: &Event<'_>) -> Option<Line> {
    let mut line = Line::new();
    write!(line, "{event}").ok().map(|()| line)
}

/// The list, as far as nobody has asked for it.
#[derive(Clone, Debug)]
pub struct Listing<'a>(core::str::Lines<'a>);

impl<'a> Listing<'a> {
    /// Reads a list. Bytes that are no text are an empty one.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(core::str::from_utf8(bytes).unwrap_or_default().lines())
    }

    /// Whether the next line is this one.
    pub fn is_next(&mut self, line: &str) -> bool {
        self.0.next() == Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_the_lines_that_are_measured_in_their_order() {
        let event = |name| Event { pcr: 9, name, digest: [0xab; 32] };
        let text = format!("{}\n{}\n", line(&event("kernel")).unwrap(), line(&event("plan")).unwrap());
        let mut listing = Listing::new(text.as_bytes());
        assert!(listing.is_next(&line(&event("kernel")).unwrap()));
        assert!(!listing.is_next(&line(&event("header")).unwrap()));
        assert!(!listing.is_next(&line(&event("plan")).unwrap()), "it is at its end");
        assert!(!Listing::new(b"\xff").is_next(""));
    }

    #[test]
    fn the_longest_name_has_a_line() {
        let name = "n".repeat(cloison_abi::measure::MAX_ROW_NAME_BYTES);
        let event = Event { pcr: 13, name: &name, digest: [0; 32] };
        assert_eq!(line(&event).unwrap().len(), MAX_EVENT_BYTES);
        assert_eq!(line(&Event { name: &format!("{name}n"), ..event }), None);
    }
}
