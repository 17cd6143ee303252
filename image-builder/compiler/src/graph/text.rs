//! How much room words take in a drawing.
//!
//! All fonts of the drawing have letters of one width, so that a box that fits its words here fits them in every
//! browser.

use crate::visible::visible_line;

/// Width of a letter over the size of its font, at most: that of the widest usual monospaced fonts.
const LETTER_WIDTH: f64 = 0.605;

/// A kind of words: the classes of the drawing's style, and the size of their font.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Font {
    Title,
    Name,
    Small,
    Gate,
}

impl Font {
    pub(super) const ALL: [Self; 4] = [Self::Title, Self::Name, Self::Small, Self::Gate];

    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Name => "name",
            Self::Small => "small",
            Self::Gate => "gate",
        }
    }

    pub(super) const fn size(self) -> f64 {
        match self {
            Self::Title => 20.0,
            Self::Name => 15.0,
            Self::Small => 11.0,
            Self::Gate => 11.0,
        }
    }

    /// From one line to the next.
    pub(super) const fn line(self) -> f64 {
        self.size() + 3.0
    }

    pub(super) fn width(self, words: &str) -> f64 {
        self.size() * LETTER_WIDTH * columns(words) as f64
    }

    /// How many letters fit.
    pub(super) fn letters(self, width: f64) -> usize {
        (width / (self.size() * LETTER_WIDTH)) as usize
    }
}

/// Letters of a line; those of East Asia are twice as wide as others.
fn columns(words: &str) -> usize {
    words.chars().map(|letter| if is_wide(letter) { 2 } else { 1 }).sum()
}

fn is_wide(letter: char) -> bool {
    matches!(letter, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}')
        || matches!(letter, '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}')
        || letter >= '\u{1f000}'
}

/// A text in at most `lines` lines of limited length; the last ends with an ellipsis if there is more.
pub(super) fn wrapped(words: &str, letters: usize, lines: usize) -> Vec<String> {
    let words = visible_line(words);
    let pieces = words.split_whitespace().flat_map(|word| pieces(word, letters));
    let mut wrapped: Vec<String> = Vec::new();
    for word in pieces {
        match wrapped.last_mut() {
            Some(line) if columns(line) + 1 + columns(&word) <= letters => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => wrapped.push(word),
        }
    }
    if wrapped.len() > lines {
        wrapped.truncate(lines);
        if let Some(last) = wrapped.last_mut() {
            while columns(last) + 1 > letters {
                last.pop();
            }
            last.push('…');
        }
    }
    wrapped
}

/// A word in pieces that fit a line.
fn pieces(word: &str, letters: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for letter in word.chars() {
        let last = pieces.len() - 1;
        if columns(&pieces[last]) + columns(letter.encode_utf8(&mut [0; 4])) > letters {
            pieces.push(String::new());
        }
        let last = pieces.len() - 1;
        pieces[last].push(letter);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_and_cuts() {
        assert_eq!(wrapped("one two three", 7, 3), ["one two", "three"]);
        assert_eq!(wrapped("one two three four", 7, 2), ["one two", "three…"]);
        assert_eq!(wrapped("abcdefghij", 4, 2), ["abcd", "efg…"]);
        assert_eq!(wrapped("a\u{1b}b", 8, 2), ["a\\x1bb"]);
        assert!(wrapped("", 4, 2).is_empty());
    }

    #[test]
    fn no_line_is_longer_than_asked_for() {
        for letters in 3..40 {
            let lines =
                wrapped("größe 日本語のテキスト and a-rather-long-word-with-no-blank in it", letters, 4);
            assert!(lines.len() <= 4 && lines.iter().all(|line| columns(line) <= letters), "{lines:?}");
        }
    }
}
