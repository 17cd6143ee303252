//! The lines of a file that a fault is about, with a note at each place.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Origin, Snippet};

use super::{Sources, Span};
use crate::visible::{visible, visible_line};

/// Places with no more lines between them than this are shown in one piece.
const NEAR_LINES: usize = 20;
/// Longer lines are not shown, only where in them the fault is, in bytes.
const MOST_LINE_BYTES: usize = 1000;

/// A few words at a place.
pub(super) struct Note {
    pub(super) at: Span,
    pub(super) text: String,
    pub(super) is_primary: bool,
}

/// Some lines that follow each other, made safe to show.
pub(super) struct Excerpt {
    path: String,
    /// Number of the first line, and the column of the first note.
    position: (usize, usize),
    /// Empty if there is nothing to show.
    text: String,
    notes: Vec<(Range<usize>, Note)>,
}

impl Excerpt {
    /// All that is to be shown of all files: the place of the fault first, then where the other parties are.
    pub(super) fn all(sources: &Sources, notes: Vec<Note>) -> Vec<Self> {
        let mut pieces: Vec<Vec<Note>> = Vec::new();
        for note in notes {
            let is_near = |piece: &Vec<Note>| piece.iter().any(|other| are_near(sources, other.at, note.at));
            match pieces.iter().position(is_near) {
                Some(place) => pieces[place].push(note),
                None => pieces.push(vec![note]),
            }
        }
        pieces.into_iter().map(|piece| Self::new(sources, piece)).collect()
    }

    fn new(sources: &Sources, notes: Vec<Note>) -> Self {
        let source = notes[0].at.source;
        let file = sources.get(source);
        let lines = lines_of(sources, &notes);
        let text = &file.text[lines.clone()];
        let is_shown = text.lines().all(|line| line.len() <= MOST_LINE_BYTES);
        let (line, column) = sources.position(notes[0].at);
        let first_line = file.text[..lines.start].matches('\n').count() + 1;
        let moved = |byte: usize| shown(&file.text[lines.start..byte]).len();
        let place = |note: Note| (moved(note.at.start)..moved(note.at.end), note);
        Self {
            path: visible_line(&file.path),
            position: if is_shown { (first_line, column) } else { (line, column) },
            text: if is_shown { shown(text) } else { String::new() },
            notes: if is_shown { notes.into_iter().map(place).collect() } else { Vec::new() },
        }
    }

    /// As the library that draws it wants it.
    pub(super) fn element(&self) -> Element<'_> {
        if self.text.is_empty() {
            return match self.position {
                (1, 1) => Origin::path(self.path.as_str()).into(),
                (line, column) => Origin::path(self.path.as_str()).line(line).char_column(column).into(),
            };
        }
        let mut snippet =
            Snippet::source(self.text.as_str()).path(self.path.as_str()).line_start(self.position.0);
        for (range, note) in &self.notes {
            let kind = if note.is_primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            snippet = snippet.annotation(kind.span(range.clone()).label(note.text.as_str()));
        }
        snippet.into()
    }
}

/// Lines as they are shown. Windows' line ends are no news, and a tab is room for one character, as it is one in a column.
fn shown(text: &str) -> String {
    visible(&text.replace("\r\n", "\n").replace('\t', " "))
}

fn are_near(sources: &Sources, a: Span, b: Span) -> bool {
    if a.source != b.source {
        return false;
    }
    let text = &sources.get(a.source).text;
    let (first, last) = if a.start <= b.start { (a, b) } else { (b, a) };
    // Whatever lies in between, it is looked at no further than it is shown.
    let between = text.as_bytes().get(first.end..last.start).unwrap_or_default();
    let mut newlines = between.iter().filter(|byte| **byte == b'\n');
    between.len() <= NEAR_LINES * MOST_LINE_BYTES && newlines.nth(NEAR_LINES).is_none()
}

/// From the beginning of the first line with a note to the end of the last.
fn lines_of(sources: &Sources, notes: &[Note]) -> Range<usize> {
    let text = &sources.get(notes[0].at.source).text;
    let first = notes.iter().map(|note| note.at.start).min().unwrap_or_default();
    let last = notes.iter().map(|note| note.at.end).max().unwrap_or_default();
    let start = text[..first].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[last..].find('\n').map_or(text.len(), |newline| last + newline);
    start..end
}
