//! Faults in the input, each with its place, both parties and what to do about it.
//!
//! Owns the texts of all files read, so that a place is a few bytes and a report can show the lines.

mod excerpt;

use std::cmp::Reverse;
use std::fmt;

use annotate_snippets::{Level, Renderer};

use crate::visible::visible_line;
use excerpt::{Excerpt, Note};

/// Faults that are shown; of a file in which nothing is right, nobody reads more.
const MOST_SHOWN: usize = 100;
/// Names that are listed or compared with, so that a file of names alone takes no longer than any other.
const MOST_NAMES: usize = 64;
/// Names whose letters are looked at, to find those that are compared.
const MOST_SEEN_NAMES: usize = 1024;
/// Longest name that is compared, in bytes: several times what any name can have.
const MOST_COMPARED_BYTES: usize = 64;

/// All faults that one run found, in the order of files and lines.
#[derive(Debug)]
pub struct Report {
    sources: Sources,
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// A report about `sources`. Sorts the faults by place and drops what was said twice.
    #[must_use]
    pub fn new(sources: Sources, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by(|a, b| (a.at, a.id, &a.message).cmp(&(b.at, b.id, &b.message)));
        diagnostics.dedup_by(|a, b| (a.at, a.id, &a.message) == (b.at, b.id, &b.message));
        Self { sources, diagnostics }
    }

    /// How many faults there are; never 0 in a report that was returned.
    #[must_use]
    pub fn count(&self) -> usize {
        self.diagnostics.len()
    }

    /// The faults themselves.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The files that the faults are in.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The report for a terminal, with colours.
    #[must_use]
    pub fn coloured(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let shown = self.diagnostics.iter().take(MOST_SHOWN);
        let mut texts: Vec<_> = shown.map(|diagnostic| diagnostic.render(&self.sources, renderer)).collect();
        match self.diagnostics.len().saturating_sub(MOST_SHOWN) {
            0 => {}
            1 => texts.push("1 fault more is not shown".to_owned()),
            more => texts.push(format!("{more} faults more are not shown")),
        }
        texts.join("\n\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.render(&Renderer::plain()))
    }
}

/// One fault.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// The check that found it, such as `M012`.
    pub id: &'static str,
    /// Where it is.
    pub at: Span,
    /// The fault, with the values.
    pub message: String,
    /// A few words right at the place.
    pub note: String,
    /// Where the other parties are, and what each has to do with it.
    pub labels: Vec<(Span, String)>,
    /// A proposal how to mend it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A fault at `at`. The id is set by the code that runs the check.
    #[must_use]
    pub fn new(at: Span, message: impl Into<String>) -> Self {
        Self { id: "", at, message: message.into(), note: String::new(), labels: Vec::new(), help: None }
    }

    /// Adds a few words right at the place.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Points to another party.
    #[must_use]
    pub fn label(mut self, at: Span, text: impl Into<String>) -> Self {
        self.labels.push((at, text.into()));
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn render(&self, sources: &Sources, renderer: &Renderer) -> String {
        let own = [Note { at: self.at, text: visible_line(&self.note), is_primary: true }];
        let labels = self.labels.iter().map(|(at, text)| Note {
            at: *at,
            text: visible_line(text),
            is_primary: false,
        });
        let excerpts = Excerpt::all(sources, own.into_iter().chain(labels).collect());
        let message = visible_line(&self.message);
        let help = self.help.as_deref().map(visible_line);
        let title = Level::ERROR.primary_title(message.as_str()).id(self.id);
        let group = title.elements(excerpts.iter().map(Excerpt::element));
        let help = help.iter().map(|help| Level::HELP.message(help.as_str()));
        renderer.render(&[group.elements(help)])
    }
}

/// A place in one of the files read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub source: SourceId,
    /// First byte.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

/// A file that was read: an index into [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(usize);

/// Every file that was read.
#[derive(Debug, Default, Clone)]
pub struct Sources(Vec<Source>);

/// One file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path, as a person would type it.
    pub path: String,
    /// Its text; empty if it could not be read.
    pub text: String,
}

impl Sources {
    /// Keeps a file.
    pub fn add(&mut self, path: String, text: String) -> SourceId {
        self.0.push(Source { path, text });
        SourceId(self.0.len() - 1)
    }

    /// The file.
    #[must_use]
    pub fn get(&self, id: SourceId) -> &Source {
        &self.0[id.0]
    }

    /// Line and column of a place, both from 1, the column in characters.
    #[must_use]
    pub fn position(&self, at: Span) -> (usize, usize) {
        let text = &self.get(at.source).text;
        let before = text.get(..at.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

/// The name that was probably meant: one letter off, or for the most part the same.
#[must_use]
pub fn closest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    let names = names.into_iter().take(MOST_SEEN_NAMES).enumerate();
    let names = names.filter(|(_, name)| share_letters(&written, name)).take(MOST_NAMES);
    let rated = names.filter_map(|(place, name)| {
        // Of two that are as near, letters were rather swapped than left out or changed.
        let nearness = nearness(&written, name)?;
        let longer = Reverse(name.len().abs_diff(written.len()));
        Some(((nearness, letters(name) == letters(&written), longer, Reverse(place)), name))
    });
    rated.max().map(|(_, name)| name)
}

fn letters(name: &str) -> Vec<char> {
    let mut letters: Vec<char> = name.to_lowercase().chars().collect();
    letters.sort_unstable();
    letters
}

/// Whether one can be a slip for the other by their letters, of which a wrong one costs a step. This takes little, so that
/// many names can be looked at.
fn share_letters(written: &str, name: &str) -> bool {
    let longest = written.len().max(name.len());
    let is_slip = |steps: usize| steps * 5 <= longest * 2 || steps == 1;
    if longest > MOST_COMPARED_BYTES || !written.is_ascii() || !name.is_ascii() {
        return longest <= MOST_COMPARED_BYTES && is_slip(written.len().abs_diff(name.len()));
    }
    let mut left = [0_u8; 128];
    written.bytes().for_each(|byte| left[usize::from(byte)] += 1);
    let shared = name.bytes().filter(|byte| {
        let count = &mut left[usize::from(byte.to_ascii_lowercase())];
        let is_there = *count > 0;
        *count -= u8::from(is_there);
        is_there
    });
    is_slip(longest - shared.count())
}

/// How much of two names is the same, in thousandths; `None`: too little to be a slip.
fn nearness(written: &str, name: &str) -> Option<usize> {
    let longest = written.chars().count().max(name.chars().count());
    let steps = strsim::damerau_levenshtein(written, &name.to_lowercase());
    let is_slip = steps * 5 <= longest * 2 || (steps == 1 && longest > 1);
    is_slip.then(|| 1000 - 1000 * steps / longest.max(1))
}

/// "did you mean `…`?", if one of the names is close to what was written.
#[must_use]
pub fn did_you_mean<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(written, names).map(|name| format!("did you mean `{name}`?"))
}

/// A proposal for an unknown name: the closest known one, or all.
#[must_use]
pub fn propose<'a>(written: &str, kind: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(question) = did_you_mean(written, names.clone()) {
        return question;
    }
    let mut names = names.into_iter();
    let known: Vec<_> = names.by_ref().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    let more = names.count();
    match (known.is_empty(), more) {
        (true, _) => format!("there is no {kind} at all"),
        (false, 0) => format!("known: {}", known.join(", ")),
        (false, more) => format!("known: {} and {more} more", known.join(", ")),
    }
}
