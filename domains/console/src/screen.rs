//! What waits for the serial port.

use alloc::collections::VecDeque;
use core::fmt::{self, Write};

use cloison_abi::Name;

use crate::{
    LINE_BYTES,
    history::{History, columns},
};

/// Bytes that may wait before the console lets its clients wait instead. A little more can be queued: what
/// the message being dealt with still adds, which is bounded by its 32 bytes.
pub const SCREEN_BYTES: usize = 8192;

/// Whole lines on their way to the terminal, with all that could drive it made visible.
#[derive(Debug)]
pub struct Screen {
    queue: VecDeque<u8>,
    /// The line at the bottom, if it has no end yet.
    open: Option<Open>,
    /// The last lines, if somebody may ask for them.
    history: Option<History>,
}

/// A line without an end, as it was drawn.
#[derive(Debug)]
struct Open {
    name: Option<Name>,
    text: [u8; LINE_BYTES],
    length: usize,
    /// Whether the cursor stands behind it.
    at_end: bool,
}

impl Open {
    fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

impl Default for Screen {
    fn default() -> Self {
        // Twice, so that what comes on top never makes it grow.
        Self { queue: VecDeque::with_capacity(2 * SCREEN_BYTES), open: None, history: None }
    }
}

impl Screen {
    /// One that keeps the last lines, to show them again.
    #[must_use]
    pub fn keeping() -> Self {
        Self { history: Some(History::default()), ..Self::default() }
    }

    /// Adds a line, or ends it where it is open. Bytes that are not visible ASCII appear as `\x1b`, so that no domain can
    /// drive the terminal or write what looks like another's line.
    pub fn line(&mut self, name: Option<Name>, text: &[u8]) {
        self.write(name, text);
        self.open = None;
        self.queue.extend(b"\r\n");
        if let Some(history) = &mut self.history {
            history.keep(name, text);
        }
    }

    /// Shows the last lines of a domain again, or of all for the empty name. Returns how many there are.
    pub fn show_again(&mut self, name: Name) -> u16 {
        // Taken out for the time being: what is shown again is not kept again.
        let history = core::mem::take(&mut self.history);
        let mut count = 0;
        for line in history.iter().flat_map(|history| history.last_of(name)) {
            self.again(line.name, line.text());
            count += 1;
        }
        self.history = history;
        count
    }

    /// Shows a line once more, with a mark that tells it from one that was said now.
    fn again(&mut self, name: Name, text: &[u8]) {
        self.close();
        self.queue.extend(b"again | ");
        if name != Name::EMPTY {
            self.queue.extend(name.as_str().bytes().chain(*b" | "));
        }
        self.extend(text);
        self.queue.extend(b"\r\n");
    }

    /// Shows a line that has no end yet, with the cursor as many bytes before its end.
    pub fn draw(&mut self, name: Option<Name>, text: &[u8], before_end: usize) {
        let text = &text[..text.len().min(LINE_BYTES)];
        self.write(name, text);
        let columns: usize = text.iter().rev().take(before_end).map(|byte| columns(*byte)).sum();
        if columns > 0 {
            // Writing to the queue cannot fail.
            let _ = write!(self, "\x1b[{columns}D");
        }
        let mut open = Open { name, text: [0; LINE_BYTES], length: text.len(), at_end: columns == 0 };
        open.text[..text.len()].copy_from_slice(text);
        self.open = Some(open);
    }

    /// Whether the line at the bottom is this client's and has no end yet.
    #[must_use]
    pub fn is_open(&self, name: Option<Name>) -> bool {
        self.open.as_ref().is_some_and(|open| open.name == name)
    }

    /// A line without its end, on top of what is there of it.
    fn write(&mut self, name: Option<Name>, text: &[u8]) {
        let open = if self.is_open(name) { self.open.take() } else { None };
        // Behind no text there is not even a blank.
        let grows = open.as_ref().filter(|open| open.at_end && open.length > 0);
        if let Some(added) = grows.and_then(|open| text.strip_prefix(open.text())) {
            return self.extend(added);
        }
        match open {
            Some(_) => self.queue.push_back(b'\r'),
            None => self.close(),
        }
        if let Some(name) = name {
            self.queue.extend(name.as_str().bytes());
            self.queue.extend(if text.is_empty() { &b" |"[..] } else { b" | " });
        }
        self.extend(text);
        if open.is_some() {
            self.queue.extend(b"\x1b[K");
        }
    }

    /// What comes next begins a line.
    fn close(&mut self) {
        if self.open.take().is_some() {
            self.queue.extend(b"\r\n");
        }
    }

    fn extend(&mut self, text: &[u8]) {
        for byte in text {
            if columns(*byte) == 1 { self.queue.push_back(*byte) } else { self.escape(*byte) }
        }
    }

    /// Adds a line of the console's own, unless so much waits already that somebody seems to be playing with
    /// the keys.
    pub fn say(&mut self, text: fmt::Arguments<'_>) {
        if self.is_full() {
            return;
        }
        self.close();
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
    pub(crate) fn capacity(&self) -> usize {
        self.queue.capacity()
    }

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
    fn an_open_line_goes_on_where_it_is() {
        let (linux, other) = (Name::new("linux1"), Name::new("ore"));
        let mut screen = Screen::default();
        screen.draw(linux, b"~ # ", 0);
        screen.draw(linux, b"~ # l", 0);
        screen.draw(linux, b"~ # ls", 1);
        assert_eq!(screen.drain(), "linux1 | ~ # ls\x1b[1D");
        screen.draw(linux, b"~ # s", 0);
        assert_eq!(screen.drain(), "\rlinux1 | ~ # s\x1b[K");
        screen.draw(linux, b"", 0);
        screen.draw(linux, b"~ # s", 0);
        assert_eq!(screen.drain(), "\rlinux1 |\x1b[K\rlinux1 | ~ # s\x1b[K");
        screen.line(other, b"1 port");
        assert!(!screen.is_open(linux));
        screen.draw(linux, b"~ # s\xc3", 1);
        assert_eq!(screen.drain(), "\r\nore | 1 port\r\nlinux1 | ~ # s\\xc3\x1b[4D");
        screen.say(format_args!("ore has the focus"));
        screen.line(linux, b"~ # s");
        assert_eq!(screen.drain(), "\r\nconsole | ore has the focus\r\nlinux1 | ~ # s\r\n");
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
