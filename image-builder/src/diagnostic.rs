//! Faults in the input, each with its place, both parties and what to do about it.
//!
//! Owns the texts of all files read, so that a place is a few bytes and a report can show the lines.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};

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
        let texts: Vec<_> =
            self.diagnostics.iter().map(|diagnostic| diagnostic.render(&self.sources, renderer)).collect();
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
    /// What is wrong, with the values.
    pub message: String,
    /// A few words right at the place.
    pub note: String,
    /// Where the other parties are, and what each has to do with it.
    pub labels: Vec<(Span, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A fault at `at`. The id is set by whoever runs the check.
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
        let mut group = Level::ERROR
            .primary_title(&self.message)
            .id(self.id)
            .element(self.element(sources, self.at.source));
        let mut others: Vec<SourceId> = Vec::new();
        for (at, _) in &self.labels {
            if at.source != self.at.source && !others.contains(&at.source) {
                others.push(at.source);
                group = group.element(self.element(sources, at.source));
            }
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        renderer.render(&[group])
    }

    /// The lines of one file that this fault is about, or just its name if it has no lines to show.
    fn element<'a>(&'a self, sources: &'a Sources, source: SourceId) -> Element<'a> {
        let file = sources.get(source);
        if file.text.is_empty() {
            return Origin::path(&file.path).into();
        }
        let mut snippet = Snippet::source(&file.text).path(&file.path);
        if self.at.source == source {
            snippet =
                snippet.annotation(AnnotationKind::Primary.span(self.at.range()).label(self.note.as_str()));
        }
        for (at, text) in self.labels.iter().filter(|(at, _)| at.source == source) {
            snippet = snippet.annotation(AnnotationKind::Context.span(at.range()).label(text.as_str()));
        }
        snippet.into()
    }
}

/// A place in one of the files read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The file.
    pub source: SourceId,
    /// First byte.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
}

impl Span {
    fn range(self) -> Range<usize> {
        self.start..self.end
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// "did you mean `…`?", if one of the names is close to what was written.
#[must_use]
pub fn did_you_mean<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let close = |name: &&str| strsim::normalized_damerau_levenshtein(written, name) >= 0.6;
    let nearness = |name: &&str| (strsim::normalized_damerau_levenshtein(written, name) * 1000.0) as u32;
    let best = names.into_iter().filter(close).max_by_key(nearness)?;
    Some(format!("did you mean `{best}`?"))
}

/// What to do about a name that nobody has: the closest name, or all there are.
#[must_use]
pub fn propose<'a>(written: &str, kind: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(question) = did_you_mean(written, names.clone()) {
        return question;
    }
    let known: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if known.is_empty() {
        format!("there is no {kind} at all")
    } else {
        format!("known: {}", known.join(", "))
    }
}
