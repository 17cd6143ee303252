//! What a machine has written to its console, as lines.

use image_compiler::workspace::BUILDER;

/// One line of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line without its end.
    pub text: String,
}

impl Line {
    /// The writer: the text before the bar, without the mark of the emergency path.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let (name, _) = self.text.split_once('|')?;
        Some(name.trim_start_matches('*').trim().trim_end_matches('*').trim_end())
    }

    /// Whether it is a domain's, and has come by the console.
    #[must_use]
    pub fn is_of_domain(&self) -> bool {
        let is_starred = self.text.starts_with('*');
        !is_starred && self.name().is_some_and(|name| !["kernel", "grub", BUILDER].contains(&name))
    }

    /// The text behind the bar.
    #[must_use]
    pub fn message(&self) -> &str {
        self.text.split_once('|').map_or(self.text.as_str(), |(_, message)| message).trim()
    }
}

/// The lines so far: all of them, or the last.
#[derive(Debug, Default)]
pub struct Transcript {
    lines: Vec<Line>,
    rest: Vec<u8>,
    /// How many lines are worth keeping; `None`: all.
    worth_keeping: Option<usize>,
}

impl Transcript {
    /// Of a machine that may talk for days: it keeps the last `count` lines at the least.
    #[must_use]
    pub fn of_last(count: usize) -> Self {
        Self { worth_keeping: Some(count), ..Self::default() }
    }

    /// Takes what the machine wrote. Returns the lines that this completes.
    pub fn add(&mut self, bytes: &[u8]) -> &[Line] {
        if let Some(count) = self.worth_keeping.filter(|count| self.lines.len() > 2 * count) {
            self.lines.drain(..self.lines.len() - count);
        }
        let before = self.lines.len();
        for byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                other => self.rest.push(*other),
            }
        }
        &self.lines[before..]
    }

    /// Adds a line of somebody else's, such as the host's, in front of one that the machine has begun.
    pub fn add_line(&mut self, text: String) {
        self.lines.push(Line { text });
    }

    /// Takes a last line that has no end. Returns whether there is one.
    pub fn finish(&mut self) -> bool {
        let unfinished = !self.rest.is_empty();
        if unfinished {
            self.end_line();
        }
        unfinished
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The last thing that somebody said.
    #[must_use]
    pub fn last_of(&self, name: &str) -> Option<&str> {
        self.lines.iter().rev().find(|line| line.name() == Some(name)).map(Line::message)
    }

    fn end_line(&mut self) {
        let text = String::from_utf8_lossy(&self.rest);
        self.lines.push(Line { text: text.trim_end_matches('\r').to_owned() });
        self.rest.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_lines_together_however_they_arrive() {
        let mut transcript = Transcript::default();
        assert!(transcript.add(b"stpm  | ti").is_empty());
        assert_eq!(transcript.add(b"s: ready\r\nhello").len(), 1);
        transcript.finish();
        let texts: Vec<_> = transcript.lines().iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["stpm  | tis: ready", "hello"]);
        assert_eq!(transcript.last_of("stpm"), Some("tis: ready"));
        assert_eq!(transcript.last_of("hello"), None);
    }

    #[test]
    fn forgets_old_lines_if_it_may() {
        let (mut all, mut last) = (Transcript::default(), Transcript::of_last(2));
        for number in 0..100 {
            all.add(format!("{number}\n").as_bytes());
            assert_eq!(last.add(format!("{number}\n").as_bytes()).len(), 1);
        }
        assert_eq!(all.lines().len(), 100);
        assert!((2..=5).contains(&last.lines().len()), "{:?}", last.lines());
        assert_eq!(last.lines().last(), all.lines().last());
    }

    #[test]
    fn a_marked_line_has_the_same_author() {
        for text in ["stpm* | x", "*stpm | x", "stpm *| x", "stpm | x"] {
            assert_eq!(Line { text: text.into() }.name(), Some("stpm"), "{text}");
        }
    }
}
