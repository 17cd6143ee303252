//! The last lines, to be shown again.

use alloc::collections::VecDeque;

use cloison_abi::Name;

use crate::LINE_BYTES;

/// Bytes of lines that are kept, with their names.
pub const HISTORY_BYTES: usize = 12 * 1024;
/// Most bytes that are shown again at a time: the screen has room for them however full it is.
const SHOWN_BYTES: usize = 7 * 1024;
// A length is kept in a byte.
const _: () = assert!(LINE_BYTES <= u8::MAX as usize);
/// What stands before a line that is shown again, beside the name, and behind it.
const AROUND_BYTES: usize = b"again |  | \r\n".len();

/// The last lines of all, the oldest first: how long each is, who said it, and what.
#[derive(Debug)]
pub(crate) struct History(VecDeque<u8>);

impl Default for History {
    fn default() -> Self {
        Self(VecDeque::with_capacity(HISTORY_BYTES))
    }
}

/// A line that is kept.
pub(crate) struct Line {
    pub(crate) name: Name,
    text: [u8; LINE_BYTES],
    length: usize,
}

impl Line {
    pub(crate) fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }

    /// How many bytes it takes when it is shown again.
    fn shown_bytes(&self) -> usize {
        let text: usize = self.text().iter().map(|byte| columns(*byte)).sum();
        AROUND_BYTES + self.name.as_str().len() + text
    }

    /// Whether it is a domain's, said by itself or by way of the kernel; of the empty name: any line.
    fn is_of(&self, name: Name) -> bool {
        let said = |text: &[u8]| {
            let star = text.strip_prefix(b"*").unwrap_or(text);
            star.strip_prefix(name.as_str().as_bytes()).is_some_and(|rest| rest.starts_with(b" |"))
        };
        name == Name::EMPTY || self.name == name || (self.name == Name::EMPTY && said(self.text()))
    }
}

impl History {
    /// Keeps a line, and lets go of as many of the oldest as it needs room.
    pub(crate) fn keep(&mut self, name: Option<Name>, text: &[u8]) {
        let text = &text[..text.len().min(LINE_BYTES)];
        let bytes = 1 + Name::BYTES + text.len();
        while self.0.len() + bytes > HISTORY_BYTES {
            let oldest = self.0.front().map_or(0, |length| 1 + Name::BYTES + usize::from(*length));
            self.0.drain(..oldest.min(self.0.len()));
        }
        self.0.push_back(text.len() as u8);
        let name = name.unwrap_or(Name::EMPTY).to_words();
        self.0.extend(name.into_iter().flat_map(u64::to_le_bytes));
        self.0.extend(text);
    }

    /// The last lines of a domain, as many as are shown at a time.
    pub(crate) fn last_of(&self, name: Name) -> impl Iterator<Item = Line> {
        let fitting = move || self.lines().filter(move |line| line.is_of(name));
        let mut left: usize = fitting().map(|line| line.shown_bytes()).sum();
        fitting().filter(move |line| {
            let is_shown = left <= SHOWN_BYTES;
            left -= line.shown_bytes();
            is_shown
        })
    }

    fn lines(&self) -> impl Iterator<Item = Line> {
        let mut bytes = self.0.iter().copied();
        core::iter::from_fn(move || {
            let length = usize::from(bytes.next()?);
            let mut word = || {
                let mut word = [0; 8];
                word.fill_with(|| bytes.next().unwrap_or_default());
                u64::from_le_bytes(word)
            };
            let name = Name::from_words([word(), word()]);
            let mut text = [0; LINE_BYTES];
            text[..length].fill_with(|| bytes.next().unwrap_or_default());
            Some(Line { name, text, length })
        })
    }
}

/// How wide a byte appears.
pub(crate) fn columns(byte: u8) -> usize {
    if matches!(byte, b' '..=b'~') { 1 } else { r"\x00".len() }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use std::{format, string::String, vec::Vec};

    use super::*;
    use crate::Screen;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn shown(screen: &mut Screen, of: &str) -> (u16, String) {
        screen.drain();
        (screen.show_again(name(of)), screen.drain())
    }

    #[test]
    fn what_was_said_is_shown_again_by_name() {
        let mut screen = Screen::keeping();
        screen.line(Name::new("ore"), b"4 ports");
        screen.line(None, b"kernel | 3 domains");
        screen.line(Name::new("evil"), b"ore | forged\x1b");
        screen.line(None, b"*ore | by way of the kernel");
        screen.line(Name::new("ore2"), b"no port");
        let said = "again | ore | 4 ports\r\nagain | *ore | by way of the kernel\r\n";
        assert_eq!(shown(&mut screen, "ore"), (2, said.into()));
        assert_eq!(shown(&mut screen, "ore"), (2, said.into()), "it is not kept twice");
        assert_eq!(shown(&mut screen, "kernel"), (1, "again | kernel | 3 domains\r\n".into()));
        assert_eq!(shown(&mut screen, "evil"), (1, "again | evil | ore | forged\\x1b\r\n".into()));
        assert_eq!(shown(&mut screen, "").0, 5);
        assert_eq!(shown(&mut screen, "or"), (0, String::new()));
        let mut forgetful = Screen::default();
        forgetful.line(Name::new("ore"), b"4 ports");
        assert_eq!(shown(&mut forgetful, "ore"), (0, String::new()), "nobody asks");
    }

    #[test]
    fn the_last_lines_are_shown_and_the_screen_has_room_for_them() {
        let mut screen = Screen::keeping();
        let capacity = screen.capacity();
        for number in 0..200 {
            screen.line(Name::new("ore"), format!("{number:0>200}\x07").as_bytes());
            screen.drain();
        }
        let (count, text) = shown(&mut screen, "ore");
        assert!(text.ends_with("199\\x07\r\n") && text.len() <= SHOWN_BYTES, "{text}");
        assert!(usize::from(count) > SHOWN_BYTES / 220 - 1, "{count}");
        // The worst that can be kept, when the screen is as full as it gets.
        for kept in [&[0; LINE_BYTES][..], b"", b"x"] {
            for _ in 0..1000 {
                screen.line(Name::new("sixteen-letters!"), kept);
                screen.drain();
            }
            while !screen.is_full() {
                screen.draw(None, b"x", 0);
                screen.ring();
            }
            screen.show_again(Name::EMPTY);
            assert_eq!(screen.capacity(), capacity);
        }
    }

    proptest! {
        /// Whatever was said, what is kept is bounded, and the last line is among it.
        #[test]
        fn any_lines(lines in vec(vec(any::<u8>(), 0..300), 1..100)) {
            let mut history = History::default();
            let capacity = history.0.capacity();
            for line in &lines {
                history.keep(Name::new("ore"), line);
            }
            let kept: Vec<Line> = history.lines().collect();
            let last = &lines[lines.len() - 1];
            prop_assert_eq!(kept[kept.len() - 1].text(), &last[..last.len().min(LINE_BYTES)]);
            prop_assert!(history.0.len() <= HISTORY_BYTES && history.0.capacity() == capacity);
        }
    }
}
