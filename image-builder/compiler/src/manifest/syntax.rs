//! What the parser says of a file that is not TOML, without what follows from it.

use std::ops::Range;

use toml::de::DeTable;

use super::problem::{Problem, ProblemKind};
use super::repeats::Repeats;
use crate::diagnostic::{SourceId, Span};

/// What the parser says of values, and of dotted keys, that are nested deeper.
const TOO_DEEP: [&str; 2] = ["cannot recurse further; max recursion depth met", "recursion limit"];

/// The parser's errors, without those that follow from others.
pub(super) fn problems(source: SourceId, text: &str, errors: Vec<(Range<usize>, String)>) -> Vec<Problem> {
    let problem = |range: Range<usize>, kind| Problem {
        at: Span { source, start: range.start, end: range.end },
        spoils: String::new(),
        kind,
    };
    if let Some(at) = lone_carriage_return(text) {
        let message = "a carriage return ends this line, a newline should".to_owned();
        return vec![problem(at..at, ProblemKind::Syntax(message))];
    }
    let (twice, mut broken): (Vec<_>, Vec<_>) =
        errors.into_iter().partition(|(_, message)| is_duplicate(message));
    if !broken.is_empty() {
        let found = first_errors(text);
        broken.truncate(1);
        broken = if found.is_empty() { broken } else { found };
    }
    let broken = broken.into_iter();
    let mut problems: Vec<_> = broken.map(|(range, message)| problem(range, broken_kind(&message))).collect();
    // A misunderstanding of the parser repeats itself, and may be seen twice in one line.
    let first_broken = problems.iter().map(|problem| problem.at.start).min();
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let first_broken = first_broken.map_or(text.len(), line_start);
    let mut repeats = Repeats::new(if twice.is_empty() { "" } else { text });
    for (range, _) in twice.into_iter().filter(|(range, _)| range.start < first_broken) {
        let at = Span { source, start: range.start, end: range.end };
        let key = text.get(range.clone()).unwrap_or_default().to_owned();
        if !repeats.is_told(at) {
            problems.push(problem(range, ProblemKind::Duplicate(key, repeats.first_use(at))));
        }
    }
    problems
}

fn broken_kind(message: &str) -> ProblemKind {
    if TOO_DEEP.contains(&message) {
        ProblemKind::TooDeep
    } else {
        ProblemKind::Syntax(message.replace('\n', ", "))
    }
}

fn is_duplicate(message: &str) -> bool {
    message == "duplicate key"
}

/// The first error of each table, as if the others were not there: one bracket or quote that is missing makes
/// the parser misunderstand all that follows.
fn first_errors(text: &str) -> Vec<(Range<usize>, String)> {
    let heads = text.match_indices("\n[").map(|(newline, _)| newline + 1);
    let starts: Vec<usize> = std::iter::once(0).chain(heads).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let mut found = Vec::new();
    for (start, end) in starts.iter().zip(ends) {
        let (_, errors) = DeTable::parse_recoverable(&text[*start..end]);
        let first = errors.iter().find(|error| !is_duplicate(error.message()));
        found.extend(first.map(|error| {
            let range = error.span().unwrap_or(0..0);
            (start + range.start..start + range.end, error.message().to_owned())
        }));
    }
    found
}

/// Where a carriage return stands without the newline that belongs to it.
fn lone_carriage_return(text: &str) -> Option<usize> {
    let mut returns = text.match_indices('\r');
    returns.find(|(at, _)| !text[at + 1..].starts_with('\n')).map(|(at, _)| at)
}
