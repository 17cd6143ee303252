//! The line that a client is in the middle of.

/// Most bytes of one line; what is longer goes on in the next, under the same name.
pub const LINE_BYTES: usize = 240;
/// Distance of tab stops.
const TAB: usize = 8;
const BELL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const ESCAPE: u8 = 0x1b;

/// What a byte did to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It is part of the line, or has changed it.
    Taken,
    /// The line has no room for it: it is the first of the next.
    Full,
    /// The line ends.
    End,
    /// The terminal should ring.
    Ring,
}

/// Text of a line, and where the next byte goes. It takes the same memory whatever the client does.
#[derive(Debug)]
pub(crate) struct Line {
    text: [u8; LINE_BYTES],
    length: usize,
    cursor: usize,
    /// Whether control bytes edit the line, as they do on a terminal. If not, they are text.
    edits: bool,
    sequence: Sequence,
}

/// How far a control sequence has come (ECMA-48, section 5.4).
#[derive(Clone, Copy, Debug)]
enum Sequence {
    None,
    Escape,
    /// With its first number, if one has come; bytes after a `;` belong to numbers that nobody here asks for.
    Csi {
        number: Option<u8>,
        more: bool,
    },
}

impl Line {
    pub(crate) const fn new(edits: bool) -> Self {
        Self { text: [0; LINE_BYTES], length: 0, cursor: 0, edits, sequence: Sequence::None }
    }

    pub(crate) fn text(&self) -> &[u8] {
        let text = &self.text[..self.length];
        if self.edits { text } else { text.strip_suffix(b"\r").unwrap_or(text) }
    }

    /// What stands at the cursor and behind it.
    pub(crate) fn after_cursor(&self) -> &[u8] {
        &self.text[self.cursor..self.length]
    }

    /// Whether control bytes edit the line.
    pub(crate) fn edits(&self) -> bool {
        self.edits
    }

    /// Begins the next line. A control sequence does not end with a line.
    pub(crate) fn restart(&mut self) {
        (self.length, self.cursor) = (0, 0);
    }

    /// Takes the next byte.
    pub(crate) fn take(&mut self, byte: u8) -> Effect {
        if self.edits
            && let Some(effect) = self.control(byte)
        {
            return effect;
        }
        match byte {
            b'\n' => return Effect::End,
            _ if self.cursor == LINE_BYTES => return Effect::Full,
            _ => self.put(byte),
        }
        Effect::Taken
    }

    /// What a byte does that is not text on a terminal; `None` if it is text or ends the line.
    fn control(&mut self, byte: u8) -> Option<Effect> {
        match core::mem::replace(&mut self.sequence, Sequence::None) {
            Sequence::None => return self.control_byte(byte),
            Sequence::Escape if byte == b'[' => self.sequence = Sequence::Csi { number: None, more: false },
            Sequence::Escape => {}
            // A line may end in the middle of nonsense.
            Sequence::Csi { .. } if byte == b'\n' => return None,
            Sequence::Csi { number, more } => self.csi(byte, number, more),
        }
        Some(Effect::Taken)
    }

    fn control_byte(&mut self, byte: u8) -> Option<Effect> {
        match byte {
            BELL => return Some(Effect::Ring),
            BACKSPACE => self.go(self.cursor.saturating_sub(1)),
            b'\r' => self.go(0),
            b'\t' => self.go((self.cursor / TAB + 1) * TAB),
            ESCAPE => self.sequence = Sequence::Escape,
            _ => return None,
        }
        Some(Effect::Taken)
    }

    /// A byte of a control sequence. Those that leave the line, or ask the terminal to answer, have no effect: they would
    /// let a domain write over the lines of others, or type.
    fn csi(&mut self, byte: u8, number: Option<u8>, more: bool) {
        let count = usize::from(number.unwrap_or(1).max(1));
        match byte {
            b'0'..=b'9' => {
                let digit = byte - b'0';
                let next = number.unwrap_or(0).saturating_mul(10).saturating_add(digit);
                self.sequence = Sequence::Csi { number: if more { number } else { Some(next) }, more };
            }
            0x20..=0x3f => self.sequence = Sequence::Csi { number, more: true },
            b'K' | b'J' if number.unwrap_or(0) == 0 => self.cut(self.cursor),
            b'K' if number == Some(2) => self.cut(0),
            b'C' => self.go(self.cursor + count),
            b'D' => self.go(self.cursor.saturating_sub(count)),
            b'P' => self.delete(count),
            b'@' => self.insert(count),
            _ => {}
        }
    }

    /// Moves the cursor; to the right of the text come blanks.
    fn go(&mut self, to: usize) {
        self.cursor = to.min(LINE_BYTES);
        if self.cursor > self.length {
            self.text[self.length..self.cursor].fill(b' ');
            self.length = self.cursor;
        }
    }

    fn put(&mut self, byte: u8) {
        self.text[self.cursor] = byte;
        self.cursor += 1;
        self.length = self.length.max(self.cursor);
    }

    fn cut(&mut self, from: usize) {
        self.length = self.length.min(from);
        self.cursor = self.cursor.min(from);
    }

    fn delete(&mut self, count: usize) {
        let from = self.length.min(self.cursor + count);
        self.text.copy_within(from..self.length, self.cursor);
        self.length -= from - self.cursor;
    }

    fn insert(&mut self, count: usize) {
        let (from, count) = (self.cursor, count.min(LINE_BYTES - self.cursor));
        self.length = (self.length + count).min(LINE_BYTES);
        self.text.copy_within(from..LINE_BYTES - count, from + count);
        self.text[from..from + count].fill(b' ');
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn edited(bytes: &[u8]) -> Line {
        let mut line = Line::new(true);
        bytes.iter().for_each(|byte| {
            line.take(*byte);
        });
        line
    }

    #[test]
    fn control_bytes_edit() {
        let cases: &[(&[u8], &[u8], &[u8])] = &[
            (b"ab\x08c", b"ac", b""),
            (b"abc\rx", b"xbc", b"bc"),
            (b"a\tb", b"a       b", b""),
            (b"abc\x1b[2Dx", b"axc", b"c"),
            (b"abc\x1b[9D\x1b[Cx", b"axc", b"c"),
            (b"abc\r\x1b[K", b"", b""),
            (b"abc\x08\x1b[J", b"ab", b""),
            (b"abc\r\x1b[2P", b"c", b"c"),
            (b"abc\x1b[3D\x1b[2@", b"  abc", b"  abc"),
            (b"\x1b[1;31mred\x1b[0m", b"red", b""),
            (b"\x1b[6n\x1b[2J\x1b[A\x1b[5;5Hx", b"x", b""),
            (b"\x1b[999999999Cx", &[b' '; LINE_BYTES], b""),
        ];
        for (bytes, text, after) in cases {
            let line = edited(bytes);
            assert_eq!((line.text(), line.after_cursor()), (*text, *after), "{bytes:?}");
        }
    }

    #[test]
    fn elsewhere_they_are_text() {
        let mut line = Line::new(false);
        for byte in b"\x1b[2Jx\x08\ty\r" {
            assert_eq!(line.take(*byte), Effect::Taken);
        }
        assert_eq!(line.text(), b"\x1b[2Jx\x08\ty");
        assert_eq!(line.take(b'\n'), Effect::End);
    }

    proptest! {
        /// Nothing that a client sends leaves the line or moves the cursor out of it.
        #[test]
        fn the_cursor_stays_in_the_line(bytes in vec(prop_oneof![
            any::<u8>(), Just(b'\x1b'), Just(b'['), Just(b';'), b'0'..=b'9', Just(b'C'), Just(b'D'), Just(b'P'), Just(b'@'),
        ], 0..600)) {
            let mut line = Line::new(true);
            for byte in bytes {
                if matches!(line.take(byte), Effect::End | Effect::Full) {
                    line.restart();
                }
                prop_assert!(line.cursor <= line.length && line.length <= LINE_BYTES);
            }
        }
    }
}
