//! From pieces of text to lines.

use cloison_abi::{Name, limits::LOG_LINE_BYTES};

use crate::{
    LINE_BYTES, Screen,
    line::{Effect, Line},
};

const _: () = assert!(LINE_BYTES >= LOG_LINE_BYTES, "the rest of a broken line of the kernel has no name");

/// The lines of a client, of which it is in the middle of one.
#[derive(Debug)]
pub struct Lines {
    /// Who says it; `None` for the kernel, whose lines say so themselves.
    name: Option<Name>,
    line: Line,
    /// Whether the line differs from what the screen shows of it.
    changed: bool,
}

impl Lines {
    /// The empty line of a client with this name.
    #[must_use]
    pub const fn new(name: Option<Name>) -> Self {
        Self { name, line: Line::new(false), changed: false }
    }

    /// Who says them.
    #[must_use]
    pub fn name(&self) -> Option<Name> {
        self.name
    }

    /// From here on control bytes edit the line.
    pub fn edit(&mut self) {
        self.line = Line::new(true);
    }

    /// Takes the next piece, and shows each line that it completes.
    pub fn push(&mut self, piece: &[u8], screen: &mut Screen) {
        for byte in piece {
            match self.line.take(*byte) {
                Effect::Taken => self.changed = true,
                Effect::End => self.end(screen),
                Effect::Full => {
                    self.end(screen);
                    self.line.take(*byte);
                    self.changed = true;
                }
                Effect::Ring => screen.ring(),
            }
        }
    }

    /// Shows what has been said, if anything, without waiting for the end of the line.
    pub fn finish(&mut self, screen: &mut Screen) {
        if !self.line.text().is_empty() {
            self.end(screen);
        }
    }

    /// Whether the line is one that can be edited, and the screen does not show it as it is.
    #[must_use]
    pub fn wants_drawing(&self, screen: &Screen) -> bool {
        let is_open = screen.is_open(self.name);
        self.line.edits() && if is_open { self.changed } else { !self.line.text().is_empty() }
    }

    /// Shows the line as it is, with the cursor in it.
    pub fn draw(&mut self, screen: &mut Screen) {
        screen.draw(self.name, self.line.text(), self.line.after_cursor().len());
        self.changed = false;
    }

    fn end(&mut self, screen: &mut Screen) {
        screen.line(self.name, self.line.text());
        self.line.restart();
        self.changed = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use std::{format, string::String, vec::Vec};

    use super::*;

    fn shown(pieces: &[&[u8]]) -> String {
        let mut screen = Screen::default();
        let mut lines = Lines::new(Name::new("ore"));
        for piece in pieces {
            lines.push(piece, &mut screen);
        }
        lines.finish(&mut screen);
        screen.drain()
    }

    #[test]
    fn pieces_become_lines() {
        assert_eq!(
            shown(&[b"one\ntw", b"o", b"\r\n\nthree"]),
            "ore | one\r\nore | two\r\nore |\r\nore | three\r\n"
        );
    }

    #[test]
    fn a_line_of_the_greatest_length_stays_whole() {
        let text = [b'x'; LINE_BYTES];
        let line = format!("ore | {}\r\n", "x".repeat(LINE_BYTES));
        assert_eq!(shown(&[&text, b"\n"]), line);
        assert_eq!(shown(&[&text, b"y\n"]), format!("{line}ore | y\r\n"));
    }

    proptest! {
        /// However the text is cut and whatever it holds: each line has the name, none is longer than it may
        /// be, and the bytes that a terminal gets are visible ASCII.
        #[test]
        fn no_text_breaks_out_of_its_lines(pieces in vec(vec(any::<u8>(), 0..33), 0..40)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let shown = shown(&pieces);
            for line in shown.split_terminator("\r\n") {
                prop_assert!(line.starts_with("ore |"));
                prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
                prop_assert!(line.len() <= "ore | ".len() + 4 * LINE_BYTES);
            }
        }
    }
}
