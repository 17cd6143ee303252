//! Text on its way out: the line that a domain is writing, and the ring in which the kernel's lines wait.

use core::fmt::{self, Write};

use cloison_abi::limits::LOG_LINE_BYTES;

/// Longest line of a domain that the kernel shows in one piece; a longer one is broken.
pub const LINE_BYTES: usize = 160;
/// Bytes of the kernel's log that can wait for their reader.
pub const LOG_BYTES: usize = 8192;

/// A line that is being written.
#[derive(Clone, Debug)]
pub struct Line {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

impl Line {
    /// A line with nothing in it.
    pub const EMPTY: Self = Self { bytes: [0; LINE_BYTES], length: 0 };

    /// Adds a byte. Returns true when the line is complete: at its end, or when it is full. What is not
    /// visible ASCII becomes a question mark, so that no domain can move the cursor or pass for another.
    pub fn push(&mut self, byte: u8) -> bool {
        if byte == b'\n' {
            return true;
        }
        self.bytes[self.length] = visible(byte);
        self.length += 1;
        self.length == LINE_BYTES
    }

    /// The text so far.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    /// Begins the next line.
    pub fn clear(&mut self) {
        self.length = 0;
    }
}

/// The kernel's log: a ring of whole lines.
#[derive(Debug)]
pub struct LogRing {
    bytes: [u8; LOG_BYTES],
    /// Where the next byte is read.
    start: usize,
    length: usize,
    /// Whether the last byte that was taken is inside a line.
    inside_line: bool,
}

impl LogRing {
    /// A log with nothing in it.
    pub const EMPTY: Self = Self { bytes: [0; LOG_BYTES], start: 0, length: 0, inside_line: false };

    /// Adds a line, all of it or nothing, and its end. Returns whether it was added. One that is too long is cut,
    /// and what is not visible ASCII becomes a question mark, so that nothing in a line begins another.
    pub fn push_line(&mut self, line: fmt::Arguments<'_>) -> bool {
        let mut length = Cut { left: MOST, to: |_| () };
        // Neither of the two writers ever fails.
        let _ = length.write_fmt(line);
        if self.room() < MOST - length.left + 1 {
            return false;
        }
        let _ = Cut { left: MOST, to: |byte| self.push(byte) }.write_fmt(line);
        self.push(b'\n');
        true
    }

    fn push(&mut self, byte: u8) {
        self.bytes[(self.start + self.length) % LOG_BYTES] = byte;
        self.length += 1;
    }

    /// How many bytes there is room for.
    #[must_use]
    pub fn room(&self) -> usize {
        LOG_BYTES - self.length
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether a part of a line has been taken, and its rest waits.
    #[must_use]
    pub fn is_inside_line(&self) -> bool {
        self.inside_line
    }

    /// Takes the oldest byte.
    pub fn pop(&mut self) -> Option<u8> {
        if self.length == 0 {
            return None;
        }
        let byte = self.bytes[self.start];
        self.start = (self.start + 1) % LOG_BYTES;
        self.length -= 1;
        self.inside_line = byte != b'\n';
        Some(byte)
    }

    /// Takes up to 32 bytes as message words. Returns how many.
    pub fn pop_words(&mut self) -> ([u64; 4], u32) {
        let mut words = [0; 4];
        let mut count = 0;
        while count < 32
            && let Some(byte) = self.pop()
        {
            words[count / 8] |= u64::from(byte) << (count % 8 * 8);
            count += 1;
        }
        (words, count as u32)
    }

    /// Gives `write` the oldest bytes, at most `most`, until it takes one no more. Returns how many it took.
    pub fn drain(&mut self, most: usize, mut write: impl FnMut(u8) -> bool) -> usize {
        (0..most)
            .take_while(|_| !self.is_empty() && write(self.bytes[self.start]) && self.pop().is_some())
            .count()
    }

    /// Drops the rest of a line of which a part has been taken: somebody else takes what comes, to whom it would
    /// look like a line.
    pub fn begin_line(&mut self) {
        while self.inside_line && self.pop().is_some() {}
        self.inside_line = false;
    }
}

/// Most bytes of a line without its end.
const MOST: usize = LOG_LINE_BYTES - 1;

/// Passes this many bytes on.
struct Cut<F> {
    left: usize,
    to: F,
}

impl<F: FnMut(u8)> Write for Cut<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes().take(self.left) {
            (self.to)(visible(byte));
            self.left -= 1;
        }
        Ok(())
    }
}

/// A byte, or a question mark if it is not visible ASCII.
fn visible(byte: u8) -> u8 {
    if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'?' }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use std::{string::String, vec::Vec};

    use super::*;

    #[test]
    fn a_line_cannot_carry_control_characters() {
        let mut line = Line::EMPTY;
        for byte in "a\r\u{1b}[2Kb".bytes() {
            assert!(!line.push(byte));
        }
        assert_eq!(line.as_str(), "a??[2Kb");
        assert!(line.push(b'\n'));
        line.clear();
        assert_eq!(line.as_str(), "");
    }

    #[test]
    fn a_line_without_end_is_broken() {
        let mut line = Line::EMPTY;
        let complete = (0..LINE_BYTES).map(|_| line.push(b'x')).collect::<Vec<_>>();
        assert!(complete[LINE_BYTES - 1] && !complete[..LINE_BYTES - 1].contains(&true));
    }

    /// All that waits, as a reader takes it.
    fn read(log: &mut LogRing) -> String {
        let mut text = Vec::new();
        loop {
            let (words, count) = log.pop_words();
            text.extend(words.iter().flat_map(|word| word.to_le_bytes()).take(count as usize));
            if count == 0 {
                return String::from_utf8(text).unwrap();
            }
        }
    }

    #[test]
    fn a_log_gives_back_what_it_took_in() {
        let mut log = LogRing::EMPTY;
        for round in 0..2000_u32 {
            assert!(log.push_line(format_args!("line {round}")));
            assert_eq!(read(&mut log), std::format!("line {round}\n"));
        }
    }

    #[test]
    fn a_full_log_takes_no_part_of_a_line() {
        let mut log = LogRing::EMPTY;
        while log.push_line(format_args!("{:x<63}", "")) {}
        assert_eq!(log.room(), 0);
        assert!(!log.push_line(format_args!("")));
        assert_eq!(log.pop_words().1, 32);
        assert!(!log.push_line(format_args!("{:y<32}", "")), "32 bytes and the end do not fit");
        assert!(log.push_line(format_args!("{:y<31}", "")));
        assert!(read(&mut log).ends_with("x\nyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n"));
    }

    #[test]
    fn a_line_is_cut_and_nothing_in_it_ends_it() {
        let mut log = LogRing::EMPTY;
        assert!(log.push_line(format_args!("a\nkernel | b\r\u{1b}é{:x<500}", "")));
        let text = read(&mut log);
        assert_eq!(text.len(), LOG_LINE_BYTES);
        assert!(text.starts_with("a?kernel | b????xxx") && text.ends_with("x\n"), "{text}");
    }

    #[test]
    fn the_rest_of_a_line_does_not_pass_for_a_line() {
        // A domain that knows where a reader's 32 bytes end, and a reader that is stopped there.
        let mut log = LogRing::EMPTY;
        log.push_line(format_args!("*evil | {:-<24}kernel | forged", ""));
        log.push_line(format_args!("kernel | true"));
        assert!(!log.is_inside_line(), "nothing has been taken");
        assert_eq!(log.pop_words().1, 32);
        assert!(log.is_inside_line());
        log.begin_line();
        assert_eq!(read(&mut log), "kernel | true\n");
        assert!(!log.is_inside_line(), "the line has been taken to its end");
        log.push_line(format_args!("more"));
        log.begin_line();
        assert_eq!(read(&mut log), "more\n");
    }

    #[test]
    fn draining_stops_where_the_line_is_busy() {
        let mut log = LogRing::EMPTY;
        log.push_line(format_args!("abcdef"));
        let mut out = Vec::new();
        let mut room = 3;
        let mut write = |byte| {
            let takes = room > 0;
            if takes {
                room -= 1;
                out.push(byte);
            }
            takes
        };
        assert_eq!(log.drain(2, &mut write), 2);
        assert_eq!(log.drain(64, &mut write), 1);
        assert_eq!(log.drain(64, &mut write), 0);
        assert_eq!((out.as_slice(), read(&mut log).as_str()), (&b"abc"[..], "def\n"));
        assert_eq!(log.drain(64, |_| true), 0);
    }

    proptest! {
        /// However often the taker changes, each sees whole lines that somebody has written, but for the last, of
        /// which the end may be missing.
        #[test]
        fn no_taker_sees_a_line_that_nobody_wrote(
            acts in vec(prop_oneof![
                (0..250_usize).prop_map(Some),
                Just(None),
            ], 0..200),
            takes in vec(1..40_usize, 0..200),
        ) {
            let (mut log, mut written, mut taker) = (LogRing::EMPTY, Vec::new(), Vec::new());
            let check = |taker: &[u8], written: &[String]| {
                let text = core::str::from_utf8(taker).unwrap();
                let mut lines: Vec<_> = text.split('\n').collect();
                let last = lines.pop().unwrap_or_default();
                lines.iter().all(|line| written.iter().any(|whole| whole == line))
                    && written.iter().any(|whole| whole.starts_with(last)) | last.is_empty()
            };
            for (number, act) in acts.into_iter().enumerate() {
                match act {
                    Some(length) => {
                        let line = std::format!("{number} {:x<length$}", "");
                        if log.push_line(format_args!("{line}")) {
                            written.push(line.chars().take(LOG_LINE_BYTES - 1).collect());
                        }
                    }
                    None => {
                        prop_assert!(check(&taker, &written));
                        taker.clear();
                        log.begin_line();
                    }
                }
                let most = takes.get(number).copied().unwrap_or_default();
                log.drain(most, |byte| { taker.push(byte); true });
            }
            prop_assert!(check(&taker, &written));
        }
    }
}
