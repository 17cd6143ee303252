//! A line that is typed and edited: keys come in, bytes for the terminal go out.

mod key;

use alloc::{borrow::ToOwned, collections::VecDeque, string::String, vec::Vec};

use bmi_api::text;
use key::{Key, Keys};

/// Most bytes of a line.
pub const LINE_BYTES: usize = 120;
/// Lines that are remembered.
pub const HISTORY_LINES: usize = 16;

const BELL: &[u8] = b"\x07";
const LINE_END: &[u8] = b"\r\n";

/// The line that is being typed, and those before it.
#[derive(Debug)]
pub struct Editor {
    prompt: &'static str,
    keys: Keys,
    line: String,
    /// In bytes, which are characters: the line is ASCII.
    cursor: usize,
    history: VecDeque<String>,
    /// Which line of the history is shown, counted from the newest; 0: the new one.
    shown: usize,
    /// The new line, while one of the history is shown.
    new_line: String,
    /// Whether the last key was a Tab that could not decide.
    undecided: bool,
}

/// What a key has brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// The line goes on.
    More,
    /// A line is whole.
    Line(String),
    /// The line was given up: Ctrl-C.
    GivenUp,
    /// There is no more: Ctrl-D on an empty line.
    Closed,
}

/// What an editor needs of what is around it.
pub trait Around {
    /// Shows bytes on the terminal.
    fn show(&mut self, bytes: &[u8]);

    /// The words that the last word of `text` can become.
    fn complete(&mut self, text: &str) -> Vec<String>;
}

impl Editor {
    /// An empty line behind a prompt, and no history.
    #[must_use]
    pub fn new(prompt: &'static str) -> Self {
        Self {
            prompt,
            keys: Keys::default(),
            line: String::with_capacity(LINE_BYTES),
            cursor: 0,
            history: VecDeque::with_capacity(HISTORY_LINES),
            shown: 0,
            new_line: String::new(),
            undecided: false,
        }
    }

    /// Shows the prompt, and what has been typed behind it.
    pub fn draw(&self, around: &mut impl Around) {
        around.show(b"\r");
        around.show(self.prompt.as_bytes());
        around.show(self.line.as_bytes());
        around.show(b"\x1b[K");
        back(self.line.len() - self.cursor, around);
    }

    /// Takes a byte that was typed.
    pub fn press(&mut self, byte: u8, around: &mut impl Around) -> Typed {
        let Some(key) = self.keys.press(byte) else { return Typed::More };
        let was_undecided = core::mem::take(&mut self.undecided);
        match key {
            Key::Text(byte) => self.insert(byte, around),
            Key::Enter => return self.enter(around),
            Key::GiveUp => return self.give_up(around),
            Key::Close if self.line.is_empty() => return Typed::Closed,
            Key::Complete => self.complete(was_undecided, around),
            Key::Older | Key::Newer => self.browse(key == Key::Older, around),
            _ => self.edit(key, around),
        }
        Typed::More
    }

    fn insert(&mut self, byte: u8, around: &mut impl Around) {
        if self.line.len() == LINE_BYTES {
            return around.show(BELL);
        }
        self.line.insert(self.cursor, byte.into());
        self.cursor += 1;
        if self.cursor == self.line.len() { around.show(&[byte]) } else { self.draw(around) }
    }

    fn enter(&mut self, around: &mut impl Around) -> Typed {
        around.show(LINE_END);
        let line = self.take_line();
        let is_new = !line.trim().is_empty() && self.history.front() != Some(&line);
        if is_new {
            self.history.truncate(HISTORY_LINES - 1);
            self.history.push_front(line.clone());
        }
        Typed::Line(line)
    }

    fn give_up(&mut self, around: &mut impl Around) -> Typed {
        around.show(b"^C\r\n");
        self.take_line();
        Typed::GivenUp
    }

    fn take_line(&mut self) -> String {
        (self.cursor, self.shown) = (0, 0);
        core::mem::replace(&mut self.line, String::with_capacity(LINE_BYTES))
    }

    /// Moves the cursor, or takes something away.
    fn edit(&mut self, key: Key, around: &mut impl Around) {
        let (cursor, end) = (self.cursor, self.line.len());
        match key {
            Key::Left if cursor > 0 => self.cursor -= 1,
            Key::Right if cursor < end => self.cursor += 1,
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = end,
            Key::Backspace if cursor > 0 => self.remove(cursor - 1, cursor),
            Key::Delete | Key::Close if cursor < end => self.remove(cursor, cursor + 1),
            Key::CutRest => self.remove(cursor, end),
            Key::CutLine => self.remove(0, cursor),
            Key::CutWord => self.remove(word_before(&self.line[..cursor]), cursor),
            _ => return around.show(BELL),
        }
        self.draw(around);
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.line.replace_range(from..to, "");
        self.cursor = from;
    }

    /// Shows an older line of the history, or a newer one.
    fn browse(&mut self, is_older: bool, around: &mut impl Around) {
        let wanted = if is_older { self.shown.checked_add(1) } else { self.shown.checked_sub(1) };
        let Some(wanted) = wanted.filter(|wanted| *wanted <= self.history.len()) else {
            return around.show(BELL);
        };
        if self.shown == 0 {
            self.new_line.clone_from(&self.line);
        }
        self.shown = wanted;
        self.line.clone_from(wanted.checked_sub(1).map_or(&self.new_line, |place| &self.history[place]));
        self.cursor = self.line.len();
        self.draw(around);
    }

    /// Completes the word before the cursor as far as all that it can become agree. If they do not, a second Tab lists
    /// them.
    fn complete(&mut self, was_undecided: bool, around: &mut impl Around) {
        let before = &self.line[..self.cursor];
        // Behind a blank a word begins.
        let word = before.rfind(' ').map_or(0, |blank| blank + 1);
        let candidates = around.complete(before);
        let typed = self.cursor - word;
        let Some(common) = common_start(&candidates).filter(|common| common.len() >= typed) else {
            return around.show(BELL);
        };
        let added = common[typed..].to_owned();
        let end = if candidates.len() == 1 { " " } else { "" };
        if added.is_empty() && end.is_empty() {
            return self.list(was_undecided, &candidates, around);
        }
        added.bytes().chain(end.bytes()).for_each(|byte| self.insert(byte, around));
    }

    fn list(&mut self, was_undecided: bool, candidates: &[String], around: &mut impl Around) {
        self.undecided = true;
        if !was_undecided {
            return around.show(BELL);
        }
        around.show(LINE_END);
        around.show(candidates.join("  ").as_bytes());
        around.show(LINE_END);
        self.draw(around);
    }
}

/// Moves the terminal's cursor to the left.
fn back(columns: usize, around: &mut impl Around) {
    if columns > 0 {
        around.show(text(format_args!("\x1b[{columns}D")).as_bytes());
    }
}

/// Where the last word of a text begins. Blanks behind it belong to it when it is cut.
fn word_before(text: &str) -> usize {
    text.trim_end().rfind(' ').map_or(0, |blank| blank + 1)
}

/// What all words begin with; `None` if there are none.
fn common_start(words: &[String]) -> Option<&str> {
    let (first, rest) = words.split_first()?;
    let same = |other: &String| first.bytes().zip(other.bytes()).take_while(|(one, two)| one == two).count();
    let length = rest.iter().map(same).min().unwrap_or(first.len());
    first.get(..length)
}

#[cfg(test)]
mod tests;
