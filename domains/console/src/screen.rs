//! What waits for the serial port.

use alloc::collections::VecDeque;
use core::fmt::{self, Write};

use cloison_abi::Name;

/// Bytes that may wait before the console lets its clients wait instead. A little more can be queued: what
/// the message being dealt with still adds, which is bounded by its 32 bytes.
pub const SCREEN_BYTES: usize = 8192;

/// Whole lines on their way to the terminal, with all that could drive it made visible.
#[derive(Debug)]
pub struct Screen {
    queue: VecDeque<u8>,
}

impl Default for Screen {
    fn default() -> Self {
        // Twice, so that what comes on top never makes it grow.
        Self { queue: VecDeque::with_capacity(2 * SCREEN_BYTES) }
    }
}

impl Screen {
    /// Adds a line. Bytes that are not visible ASCII appear as `\x1b`, so that no domain can drive the
    /// terminal or write what looks like another's line.
    pub fn line(&mut self, name: Option<Name>, text: &[u8]) {
        if let Some(name) = name {
            self.queue.extend(name.as_str().bytes());
            self.queue.extend(if text.is_empty() { &b" |"[..] } else { b" | " });
        }
        for byte in text {
            match byte {
                b' '..=b'~' => self.queue.push_back(*byte),
                _ => self.escape(*byte),
            }
        }
        self.queue.extend(b"\r\n");
    }

    /// Adds a line of the console's own, unless so much waits already that somebody seems to be playing with
    /// the keys.
    pub fn say(&mut self, text: fmt::Arguments<'_>) {
        if self.is_full() {
            return;
        }
        self.queue.extend(b"console | ");
        // Writing to the queue cannot fail.
        let _ = self.write_fmt(text);
        self.queue.extend(b"\r\n");
    }

    /// Lets the terminal ring, with the same exception.
    pub fn ring(&mut self) {
        if !self.is_full() {
            self.queue.push_back(b'\x07');
        }
    }

    /// Whether clients should wait until some of it is out.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queue.len() >= SCREEN_BYTES
    }

    /// The next bytes to send; empty if there are none.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        let (first, second) = self.queue.as_slices();
        if first.is_empty() { second } else { first }
    }

    /// Takes the first `count` bytes off, which have been sent.
    pub fn sent(&mut self, count: usize) {
        self.queue.drain(..count.min(self.queue.len()));
    }

    fn escape(&mut self, byte: u8) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let [high, low] = [byte >> 4, byte & 0xf].map(|digit| DIGITS[usize::from(digit)]);
        self.queue.extend([b'\\', b'x', high, low]);
    }
}

/// For the console's own text, which is not escaped.
impl Write for Screen {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.queue.extend(text.bytes());
        Ok(())
    }
}

#[cfg(test)]
impl Screen {
    /// All that waits, as text.
    pub(crate) fn drain(&mut self) -> std::string::String {
        self.queue.drain(..).map(char::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_drive_the_terminal_is_made_visible() {
        let mut screen = Screen::default();
        screen.line(Name::new("evil"), b"\x1b[2J\rkernel | ok\x07\xc2\x9b\t\x7f\0");
        assert_eq!(screen.drain(), "evil | \\x1b[2J\\x0dkernel | ok\\x07\\xc2\\x9b\\x09\\x7f\\x00\r\n");
    }

    #[test]
    fn lines_without_a_name_are_shown_as_they_are() {
        let mut screen = Screen::default();
        screen.line(None, b"kernel | 4 domains");
        screen.say(format_args!("{} has the focus", "run"));
        assert_eq!(screen.drain(), "kernel | 4 domains\r\nconsole | run has the focus\r\n");
    }

    #[test]
    fn the_queue_says_when_it_is_full_and_never_grows() {
        let mut screen = Screen::default();
        let capacity = screen.queue.capacity();
        while !screen.is_full() {
            screen.line(None, &[0; crate::LINE_BYTES]);
        }
        // The worst that one message can add: 31 full lines are not possible, one line and 31 empty ones are.
        screen.line(None, &[0; crate::LINE_BYTES]);
        (0..31).for_each(|_| screen.line(Name::new("sixteen-letters!"), b""));
        (0..SCREEN_BYTES).for_each(|_| screen.ring());
        (0..SCREEN_BYTES).for_each(|_| screen.say(format_args!("no such key")));
        assert_eq!(screen.queue.capacity(), capacity);
        let mut left = screen.queue.len();
        while left > 0 {
            let count = screen.pending().len().min(16);
            assert!(count > 0);
            screen.sent(count);
            left -= count;
        }
        assert!(screen.pending().is_empty());
    }
}
