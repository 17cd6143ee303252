//! From pieces of text to lines.

use cloison_abi::{Name, limits::LOG_LINE_BYTES};

use crate::Screen;

/// Most bytes of one line; what is longer goes on in the next, under the same name.
pub const LINE_BYTES: usize = 240;

const _: () = assert!(LINE_BYTES >= LOG_LINE_BYTES, "the rest of a broken line of the kernel has no name");

/// The line that a client is in the middle of. It takes the same memory whatever the client does.
#[derive(Debug)]
pub struct Lines {
    /// Who says it; `None` for the kernel, whose lines say so themselves.
    name: Option<Name>,
    text: [u8; LINE_BYTES],
    length: usize,
}

impl Lines {
    /// The empty line of a client with this name.
    #[must_use]
    pub const fn new(name: Option<Name>) -> Self {
        Self { name, text: [0; LINE_BYTES], length: 0 }
    }

    /// Takes the next piece, and shows each line that it completes.
    pub fn push(&mut self, piece: &[u8], screen: &mut Screen) {
        for byte in piece {
            if *byte == b'\n' {
                self.end(screen);
                continue;
            }
            if self.length == LINE_BYTES {
                self.end(screen);
            }
            self.text[self.length] = *byte;
            self.length += 1;
        }
    }

    /// Shows what has been said, if anything, without waiting for the end of the line.
    pub fn finish(&mut self, screen: &mut Screen) {
        if self.length > 0 {
            self.end(screen);
        }
    }

    fn end(&mut self, screen: &mut Screen) {
        let text = &self.text[..self.length];
        screen.line(self.name, text.strip_suffix(b"\r").unwrap_or(text));
        self.length = 0;
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
