//! Text on its way out: the line that a domain is writing, and the ring in which the kernel's lines wait.

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
        let visible = byte.is_ascii_graphic() || byte == b' ';
        self.bytes[self.length] = if visible { byte } else { b'?' };
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

/// The kernel's log: a ring of bytes.
#[derive(Debug)]
pub struct LogRing {
    bytes: [u8; LOG_BYTES],
    /// Where the next byte is read.
    start: usize,
    length: usize,
}

impl LogRing {
    /// A log with nothing in it.
    pub const EMPTY: Self = Self { bytes: [0; LOG_BYTES], start: 0, length: 0 };

    /// Adds a byte. Returns false if there is no room.
    pub fn push(&mut self, byte: u8) -> bool {
        if self.length == LOG_BYTES {
            return false;
        }
        self.bytes[(self.start + self.length) % LOG_BYTES] = byte;
        self.length += 1;
        true
    }

    /// How many bytes there is room for.
    #[must_use]
    pub fn room(&self) -> usize {
        LOG_BYTES - self.length
    }

    /// Takes the oldest byte.
    pub fn pop(&mut self) -> Option<u8> {
        if self.length == 0 {
            return None;
        }
        let byte = self.bytes[self.start];
        self.start = (self.start + 1) % LOG_BYTES;
        self.length -= 1;
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
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_log_gives_back_what_it_took_in() {
        let mut log = LogRing::EMPTY;
        let mut out = String::new();
        for round in 0..2000_u32 {
            assert!("line of the log\n".bytes().all(|byte| log.push(byte)));
            let (words, count) = log.pop_words();
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            out = core::str::from_utf8(&bytes[..count as usize]).unwrap().into();
            assert_eq!(count, 16, "round {round}");
        }
        assert_eq!(out, "line of the log\n");
    }

    #[test]
    fn a_full_log_says_so() {
        let mut log = LogRing::EMPTY;
        assert!((0..LOG_BYTES).all(|_| log.push(b'x')));
        assert!(!log.push(b'y'));
        assert_eq!(log.room(), 0);
        assert_eq!(log.pop(), Some(b'x'));
        assert!(log.push(b'y'));
    }
}
