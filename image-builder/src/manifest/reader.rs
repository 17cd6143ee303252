//! Reads tables of a TOML file key by key and notes every fault instead of stopping at the first.
//!
//! Why not serde: a derived deserializer returns at its first error, and a manifest with three wrong keys
//! should say so three times. The tree of the `toml` crate keeps the place of every key and value.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{At, SourceId, Sources, Span};
use crate::failure::Cause;

/// A fault in how a file is written, as opposed to what it says.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Where.
    pub at: Span,
    /// What.
    pub kind: ProblemKind,
}

/// What can be wrong in how a file is written.
#[derive(Debug, Clone)]
pub enum ProblemKind {
    /// The file could not be read, is not text, or is empty.
    Unreadable(String),
    /// It is not TOML.
    Syntax(String),
    /// A name was given twice in one table; where it was given first.
    Duplicate(String, Option<Span>),
    /// A key that the table does not have; the table, and the keys that it has.
    UnknownKey(String, String, Vec<&'static str>),
    /// A key that the table must have; the table.
    MissingKey(&'static str, String),
    /// A value of the wrong type or form; what is expected, what was found.
    WrongValue(String, String),
}

/// Reads a file into `sources`. `None` if there is no text; `problems` then says why.
pub(crate) fn read_file(
    path: &Path,
    shown: String,
    sources: &mut Sources,
    problems: &mut Vec<Problem>,
) -> (SourceId, bool) {
    let read = std::fs::read(path).map_err(|error| describe(&error)).and_then(|bytes| text_of(&bytes));
    match read {
        Ok(text) => (sources.add(shown, text), true),
        Err(reason) => {
            let source = sources.add(shown, String::new());
            let at = Span { source, start: 0, end: 0 };
            problems.push(Problem { at, kind: ProblemKind::Unreadable(reason) });
            (source, false)
        }
    }
}

/// The text of a file, if it is text and not empty.
fn text_of(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("the file is not UTF-8 text: byte {:#04x} in line {line}", bytes[error.valid_up_to()])
    })?;
    if text.trim().is_empty() {
        return Err("the file is empty".into());
    }
    Ok(text.to_owned())
}

fn describe(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::IsADirectory => "this is a folder, not a file".into(),
        std::io::ErrorKind::PermissionDenied => "permission to read the file denied".into(),
        _ => format!("the file cannot be read: {}", Cause(error)),
    }
}

/// Parses the text and calls `read` with its top table. Faults of syntax do not stop it: what could be
/// understood is read.
pub(crate) fn parse<T>(
    source: SourceId,
    text: &str,
    problems: &mut Vec<Problem>,
    read: impl FnOnce(&mut Reader<'_, '_>) -> T,
) -> T {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let mut repeated_tables = Vec::new();
    for error in errors {
        let range = error.span().unwrap_or(0..0);
        let at = Span { source, start: range.start, end: range.end };
        let kind = syntax_problem(error.message(), at, text);
        // The parser adds the keys of a repeated table to the first one; that they repeat too is no news.
        if let ProblemKind::Duplicate(..) = kind {
            match table_start(text, at) {
                Some(start) if start == line_start(text, at.start) => repeated_tables.push(start),
                Some(start) if repeated_tables.contains(&start) => continue,
                _ => {}
            }
        }
        problems.push(Problem { at, kind });
    }
    let at = Span { source, start: 0, end: 0 };
    let mut reader = Reader {
        table: tree.get_ref(),
        at,
        name: String::new(),
        known: Vec::new(),
        is_open: false,
        problems,
    };
    let value = read(&mut reader);
    reader.finish();
    value
}

fn syntax_problem(message: &str, at: Span, text: &str) -> ProblemKind {
    match text.get(at.start..at.end) {
        Some(key) if message == "duplicate key" => {
            ProblemKind::Duplicate(key.to_owned(), first_use(text, at))
        }
        _ => ProblemKind::Syntax(message.replace('\n', ", ")),
    }
}

/// Where the line of a byte begins.
fn line_start(text: &str, byte: usize) -> usize {
    text[..byte].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Where the line begins that opens the table in which a place is.
fn table_start(text: &str, at: Span) -> Option<usize> {
    let mut start = line_start(text, at.start);
    while !text[start..].trim_start_matches([' ', '\t']).starts_with('[') {
        start = line_start(text, start.checked_sub(1)?);
    }
    Some(start)
}

/// Where a key that occurs twice was written first: the parser does not tell, so look for the same beginning
/// of a line above.
fn first_use(text: &str, again: Span) -> Option<Span> {
    let line_start = line_start(text, again.start);
    let beginning = text[line_start..again.end].trim_start();
    let mut start = 0;
    for line in text[..line_start].split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let rest = line.trim_start().strip_prefix(beginning);
        if rest
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || "-_".contains(next)))
        {
            let end = start + indent + beginning.len();
            return Some(Span { source: again.source, start: end - (again.end - again.start), end });
        }
        start += line.len();
    }
    None
}

/// One table. Each `take` marks a key as known; [`Reader::finish`] reports the others.
pub(crate) struct Reader<'d, 'p> {
    table: &'d DeTable<'d>,
    at: Span,
    name: String,
    known: Vec<&'static str>,
    is_open: bool,
    problems: &'p mut Vec<Problem>,
}

impl<'d> Reader<'d, '_> {
    /// Where the table was begun.
    pub(crate) fn at(&self) -> Span {
        self.at
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(self) {
        for (key, _) in self.table.iter().filter(|_| !self.is_open) {
            if !self.known.contains(&key.get_ref().as_ref()) {
                let at = span(self.at.source, key);
                let kind =
                    ProblemKind::UnknownKey(key.get_ref().to_string(), self.name.clone(), self.known.clone());
                self.problems.push(Problem { at, kind });
            }
        }
    }

    /// A text that may be missing.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<At<String>> {
        let value = self.take(key)?;
        self.text_value(value)
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, key: &'static str) -> Option<At<String>> {
        self.require(key);
        self.text(key)
    }

    /// A list of texts; empty if missing.
    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<At<String>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(items) => items.iter().filter_map(|item| self.text_value(item)).collect(),
            _ => {
                self.wrong(value, "a list of texts, such as [\"uart0\"]");
                Vec::new()
            }
        }
    }

    /// A number that may be missing.
    pub(crate) fn number(&mut self, key: &'static str) -> Option<At<u64>> {
        let value = self.take(key)?;
        self.number_value(value)
    }

    /// A number that must be there.
    pub(crate) fn required_number(&mut self, key: &'static str) -> Option<At<u64>> {
        self.require(key);
        self.number(key)
    }

    /// `true` or `false`; `false` if missing.
    pub(crate) fn flag(&mut self, key: &'static str) -> bool {
        let Some(value) = self.take(key) else { return false };
        if value.get_ref().as_bool().is_none() {
            self.wrong(value, "true or false");
        }
        value.get_ref().as_bool().unwrap_or_default()
    }

    /// A table that may be missing.
    pub(crate) fn table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'_, '_>) -> T,
    ) -> Option<T> {
        let value = self.take(key)?;
        self.table_value(key, value, read)
    }

    /// A table, or a list of tables; none if missing.
    pub(crate) fn tables<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Reader<'_, '_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.take(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(items) => {
                items.iter().filter_map(|item| self.table_value(key, item, &read).flatten()).collect()
            }
            _ => self.table_value(key, value, &read).flatten().into_iter().collect(),
        }
    }

    /// A table that must be there.
    pub(crate) fn required_table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'_, '_>) -> T,
    ) -> Option<T> {
        self.require(key);
        self.table(key, read)
    }

    /// A table whose keys are names that the user chose. `read` gets each name and an [`Item`].
    pub(crate) fn entries<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(At<String>, Item<'_, '_, '_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(value, "a table");
            return Vec::new();
        };
        let path = self.path(key);
        let mut entries = Vec::new();
        for (name, item) in table {
            let written = At { value: name.get_ref().to_string(), span: span(self.at.source, name) };
            let mut inner = Reader {
                table,
                at: self.at,
                name: path.clone(),
                known: Vec::new(),
                is_open: false,
                problems: self.problems,
            };
            let item = Item { name: written.clone(), value: item, reader: &mut inner };
            entries.extend(read(written, item));
        }
        entries
    }

    /// All keys that were not taken yet, with numbers as their values. No key is unknown to such a table.
    pub(crate) fn other_numbers(&mut self) -> Vec<(At<String>, At<u64>)> {
        self.is_open = true;
        let table = self.table;
        let mut numbers = Vec::new();
        let known = self.known.clone();
        for (key, value) in table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
            let name = At { value: key.get_ref().to_string(), span: span(self.at.source, key) };
            numbers.extend(self.number_value(value).map(|number| (name, number)));
        }
        numbers
    }

    /// Says that a value, read already, is not one that can be understood.
    pub(crate) fn refuse(&mut self, at: Span, expected: impl Into<String>, found: impl Into<String>) {
        self.problems.push(Problem { at, kind: ProblemKind::WrongValue(expected.into(), found.into()) });
    }

    /// Whether the table has a key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn take(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.known.push(key);
        self.table.get(key)
    }

    fn require(&mut self, key: &'static str) {
        if !self.has(key) {
            let kind = ProblemKind::MissingKey(key, self.name.clone());
            self.problems.push(Problem { at: self.at, kind });
        }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn table_value<T>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        read: impl FnOnce(&mut Reader<'_, '_>) -> T,
    ) -> Option<T> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(value, "a table");
            return None;
        };
        let at = span(self.at.source, value);
        let name = self.path(key);
        let mut inner =
            Reader { table, at, name, known: Vec::new(), is_open: false, problems: self.problems };
        let result = read(&mut inner);
        inner.finish();
        Some(result)
    }

    fn text_value(&mut self, value: &Spanned<DeValue<'_>>) -> Option<At<String>> {
        match value.get_ref() {
            DeValue::String(text) => Some(At { value: text.to_string(), span: span(self.at.source, value) }),
            _ => {
                self.wrong(value, "a text in quotes");
                None
            }
        }
    }

    fn number_value(&mut self, value: &Spanned<DeValue<'_>>) -> Option<At<u64>> {
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok());
        if number.is_none() {
            self.wrong(value, "a whole number that is not negative");
        }
        Some(At { value: number?, span: span(self.at.source, value) })
    }

    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = match value.get_ref() {
            DeValue::Integer(integer) => format!("the number {}", integer.as_str()),
            DeValue::String(text) => format!("the text {text:?}"),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
            other => format!("a {}", other.type_str()),
        };
        self.refuse(span(self.at.source, value), expected, found);
    }
}

/// A value under a name that the user chose.
pub(crate) struct Item<'v, 'r, 'p> {
    name: At<String>,
    value: &'v Spanned<DeValue<'v>>,
    reader: &'r mut Reader<'v, 'p>,
}

impl Item<'_, '_, '_> {
    /// The value as a text, if that is what it is.
    pub(crate) fn as_text(&self) -> Option<At<String>> {
        let text = self.value.get_ref().as_str()?;
        Some(At { value: text.to_owned(), span: span(self.reader.at.source, self.value) })
    }

    /// The value as a table.
    pub(crate) fn table<T>(self, read: impl FnOnce(&mut Reader<'_, '_>) -> T) -> Option<T> {
        self.reader.table_value(&self.name.value, self.value, read)
    }
}

fn span<T>(source: SourceId, value: &Spanned<T>) -> Span {
    let range = value.span();
    Span { source, start: range.start, end: range.end }
}
