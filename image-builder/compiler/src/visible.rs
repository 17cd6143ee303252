//! Text of others, made harmless for a terminal: what a machine or a file says may be read, and drive nothing.
//!
//! Text and line ends pass. A control character (C0, C1, ESC, DEL), a character that changes the direction of text
//! or is not visible, and a byte that is not UTF-8 appear escaped: `\x1b`, `\u{202e}`, `\xff`. A carriage return is
//! a line end only beside a line feed: alone, it would let the rest of a line cover its beginning.

/// Makes text visible that comes in pieces, wherever they are cut.
#[derive(Debug, Default)]
pub struct Visible {
    /// The beginning of a character, or a carriage return whose line feed may follow.
    held: Vec<u8>,
    is_in_line: bool,
    /// Whether the text is a name or a message, in which no boot loader ends lines.
    is_message: bool,
}

impl Visible {
    /// The part of the text so far that can be shown.
    pub fn take(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut text = std::mem::take(&mut self.held);
        if text.ends_with(b"\r") {
            self.held = text.split_off(text.len() - 1);
        }
        let mut shown = String::new();
        let mut chunks = text.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.show(chunk.valid(), &mut shown);
            match chunk.invalid() {
                rest if self.held.is_empty() && chunks.peek().is_none() && is_beginning(rest) => {
                    self.held.extend_from_slice(rest);
                }
                invalid => self.escape(invalid, &mut shown),
            }
        }
        shown
    }

    /// The rest, when nothing more comes.
    pub fn finish(&mut self) -> String {
        let mut shown = String::new();
        match std::mem::take(&mut self.held).as_slice() {
            b"\r" => self.show("\r", &mut shown),
            rest => self.escape(rest, &mut shown),
        }
        shown
    }

    fn show(&mut self, text: &str, shown: &mut String) {
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\n' => {
                    shown.push('\n');
                    self.is_in_line = false;
                    continue;
                }
                '\r' if characters.peek() == Some(&'\n') => shown.push('\r'),
                // The second half of a boot loader's line end, which covers nothing.
                '\r' if !self.is_in_line && !self.is_message => continue,
                ' '..='~' => shown.push(character),
                '\0'..='\x7f' => escape(character as u8, shown),
                // Behind another character, so that one that only changes its neighbour, such as an accent, counts
                // as text.
                _ => shown.extend(['a', character].iter().collect::<String>().escape_debug().skip(1)),
            }
            self.is_in_line = true;
        }
    }

    fn escape(&mut self, bytes: &[u8], shown: &mut String) {
        bytes.iter().for_each(|byte| escape(*byte, shown));
        self.is_in_line |= !bytes.is_empty();
    }
}

/// All of a text, made visible.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::new();
    Visible { is_message: true, ..Visible::default() }.show(text, &mut shown);
    shown
}

/// All of a text, made visible in one line.
#[must_use]
pub fn visible_line(text: &str) -> String {
    visible(text).replace('\r', r"\r").replace('\n', r"\n")
}

fn escape(byte: u8, shown: &mut String) {
    shown.push_str(&format!("\\x{byte:02x}"));
}

/// Whether bytes that are not UTF-8 could become a character with more behind them.
fn is_beginning(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(bytes: &[u8]) -> String {
        let mut filter = Visible::default();
        filter.take(bytes) + &filter.finish()
    }

    #[test]
    fn text_and_line_ends_pass() {
        let text = "kernel | ok\r\nGrüße, \\ \" ' 日本語 e\u{301} 😀\n\n";
        assert_eq!(whole(text.as_bytes()), text);
    }

    #[test]
    fn what_drives_a_terminal_is_escaped() {
        let cases: [(&[u8], &str); 10] = [
            (b"\x1b[2J\x07\0\x08\t\x7f", r"\x1b[2J\x07\x00\x08\x09\x7f"),
            (b"\x1b]0;title\x1b\\", r"\x1b]0;title\x1b\"),
            ("\u{9b}2J".as_bytes(), r"\u{9b}2J"),
            (b"\x9b2J", r"\x9b2J"),
            (b"evil\rkernel | ok\n", "evil\\x0dkernel | ok\n"),
            (b"a\r\r\n\r", "a\\x0d\r\n"),
            (b"\ra\n\rb\n\r\n\rc\r", "a\nb\n\r\nc\\x0d"),
            ("a\u{202e}b\u{2066}c\u{2028}d".as_bytes(), r"a\u{202e}b\u{2066}c\u{2028}d"),
            (b"\xff\xc0\x80\xed\xa0\x80", r"\xff\xc0\x80\xed\xa0\x80"),
            (b"\xe2\x82", r"\xe2\x82"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(whole(bytes), shown);
        }
    }

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(visible_line("a\nb\r\nc\x1b"), r"a\nb\r\nc\x1b");
    }

    #[test]
    fn a_message_hides_no_carriage_return() {
        assert_eq!(visible("\ra\n\rb\r\n"), "\\x0da\n\\x0db\r\n");
    }

    #[test]
    fn what_is_whole_is_shown_at_once() {
        let mut filter = Visible::default();
        assert_eq!(filter.take("prompt> ü".as_bytes()), "prompt> ü");
        assert_eq!(filter.take(b"\xe2\x82"), "");
        assert_eq!(filter.take(b"\xac\r"), "€");
        assert_eq!(filter.take(b"\n"), "\r\n");
    }

    proptest! {
        #[test]
        fn pieces_show_what_the_whole_shows(bytes: Vec<u8>, cuts: Vec<proptest::sample::Index>) {
            let mut filter = Visible::default();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut shown: String = cuts.windows(2).map(|ends| filter.take(&bytes[ends[0]..ends[1]])).collect();
            shown += &filter.finish();
            prop_assert_eq!(&shown, &whole(&bytes));
            prop_assert!(shown.chars().all(|shown| shown == '\n' || shown == '\r' || !shown.is_control()));
            prop_assert!(!shown.replace("\r\n", "\n").contains('\r'));
        }

        #[test]
        fn visible_text_stays_as_it_is(text: String) {
            let shown = visible(&text);
            prop_assert_eq!(&visible(&shown), &shown);
        }
    }
}
