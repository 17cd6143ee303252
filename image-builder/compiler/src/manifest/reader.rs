//! Reads tables of a TOML file key by key and notes every fault instead of stopping at the first.
//!
//! Why not serde: a derived deserializer returns at its first error, and a manifest with three wrong keys
//! should say so three times. The tree of the `toml` crate keeps the place of every key and value.

use std::borrow::Cow;
use std::num::IntErrorKind;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use super::problem::{Problem, ProblemKind};
use super::syntax;
use crate::diagnostic::{At, SourceId, Span, closest};

/// How deep tables and lists in each other are read. The parser sets it, and a test compares.
pub const MAX_DEPTH: usize = 80;

/// Parses the text and calls `read` with its top table. Faults of syntax do not stop it: what could be
/// understood is read.
pub(crate) fn parse<T>(
    source: SourceId,
    text: &str,
    problems: &mut Vec<Problem>,
    read: impl FnOnce(&mut Reader<'_, '_>) -> T,
) -> T {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let errors = errors.into_iter().map(|error| (error.span().unwrap_or(0..0), error.message().to_owned()));
    problems.extend(syntax::problems(source, text, errors.collect()));
    let at = Span { source, start: 0, end: 0 };
    let mut reader = Reader::new(tree.get_ref(), at, String::new(), problems);
    let value = read(&mut reader);
    reader.finish();
    value
}

/// One table. Each `take` marks a key as known; [`Reader::finish`] reports the others.
pub(crate) struct Reader<'d, 'p> {
    table: &'d DeTable<'d>,
    at: Span,
    name: String,
    known: Vec<&'static str>,
    /// Known keys that are there under a name which is not theirs.
    misspelled: Vec<&'static str>,
    is_open: bool,
    /// How many problems there were before this table.
    before: usize,
    problems: &'p mut Vec<Problem>,
}

impl<'d, 'p> Reader<'d, 'p> {
    fn new(table: &'d DeTable<'d>, at: Span, name: String, problems: &'p mut Vec<Problem>) -> Self {
        let before = problems.len();
        Self { table, at, name, known: Vec::new(), misspelled: Vec::new(), is_open: false, before, problems }
    }

    /// Where the table was begun.
    pub(crate) fn at(&self) -> Span {
        self.at
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(mut self) {
        let (table, is_open) = (self.table, self.is_open);
        for (key, _) in table.iter().filter(|_| !is_open) {
            if !self.known.contains(&key.get_ref().as_ref()) {
                self.unknown(key);
            }
        }
        // A key that is misspelled is not missing, too.
        let (name, misspelled) = (&self.name, &self.misspelled);
        // Nor is one of a table of which a part is under its right name.
        let tables: Vec<_> = misspelled.iter().map(|key| self.path(key)).collect();
        let is_told = |problem: &Problem| {
            let ProblemKind::MissingKey(key, table, _) = &problem.kind else { return false };
            (table == name && misspelled.contains(key)) || tables.contains(table)
        };
        if !misspelled.is_empty() {
            let own = self.problems.split_off(self.before);
            self.problems.extend(own.into_iter().filter(|problem| !is_told(problem)));
        }
    }

    /// Reports a key that the table does not have.
    fn unknown(&mut self, key: &Spanned<Cow<'_, str>>) {
        let at = span(self.at.source, key);
        let known = || self.known.iter().copied();
        let absent = known().filter(|known| !self.table.contains_key(*known));
        let meant = closest(key.get_ref(), absent).or_else(|| closest(key.get_ref(), known()));
        let spoils = meant.map_or_else(String::new, |meant| self.path(meant));
        self.misspelled.extend(meant);
        let kind = ProblemKind::UnknownKey(key.get_ref().to_string(), self.name.clone(), self.known.clone());
        self.problems.push(Problem { at, spoils, kind });
    }

    /// A text that may be missing.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<At<String>> {
        let value = self.take(key)?;
        self.text_value(key, value)
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, key: &'static str) -> Option<At<String>> {
        self.require(key, "a text in quotes");
        self.text(key)
    }

    /// A list of texts; empty if missing.
    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<At<String>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(items) => items.iter().filter_map(|item| self.text_value(key, item)).collect(),
            _ => {
                self.wrong(key, value, "a list of texts, such as [\"uart0\"]");
                Vec::new()
            }
        }
    }

    /// A text, or a list of texts, that must be there.
    pub(crate) fn required_texts(&mut self, key: &'static str) -> Vec<At<String>> {
        self.require(key, "a list of texts in quotes");
        match self.table.get(key).map(Spanned::get_ref) {
            Some(DeValue::String(_)) => self.text(key).into_iter().collect(),
            _ => self.texts(key),
        }
    }

    /// A number that may be missing.
    pub(crate) fn number(&mut self, key: &'static str) -> Option<At<u64>> {
        let value = self.take(key)?;
        self.number_value(key, value)
    }

    /// A number that must be there.
    pub(crate) fn required_number(&mut self, key: &'static str) -> Option<At<u64>> {
        self.require(key, "a number");
        self.number(key)
    }

    /// `true` or `false`; `false` if missing.
    pub(crate) fn flag(&mut self, key: &'static str) -> bool {
        let Some(value) = self.take(key) else { return false };
        if value.get_ref().as_bool().is_none() {
            self.wrong(key, value, "true or false");
        }
        value.get_ref().as_bool().unwrap_or_default()
    }

    /// A flag that is not set, and is there: where.
    pub(crate) fn cleared_flag(&mut self, key: &'static str) -> Option<Span> {
        let value = self.table.get(key).filter(|value| value.get_ref().as_bool() == Some(false));
        let at = value.map(|value| span(self.at.source, value));
        self.flag(key);
        at
    }

    /// A flag that is set: where.
    pub(crate) fn set_flag(&mut self, key: &'static str) -> Option<Span> {
        let at = self.table.get(key).map(|value| span(self.at.source, value));
        // The key is known even where it is not set.
        let is_set = self.flag(key);
        at.filter(|_| is_set)
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

    /// Whether it has no keys at all, known or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
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
        self.require(key, "a table");
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
            self.wrong(key, value, "a table");
            return Vec::new();
        };
        let path = self.path(key);
        let mut entries = Vec::new();
        for (name, item) in table {
            let written = At { value: name.get_ref().to_string(), span: span(self.at.source, name) };
            let mut inner = Reader::new(table, self.at, path.clone(), self.problems);
            let item = Item { name: written.clone(), value: item, reader: &mut inner };
            entries.extend(read(written, item));
        }
        entries
    }

    /// A list whose items are of several kinds; empty if missing. `read` gets each as an [`Item`].
    pub(crate) fn items<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        mut read: impl FnMut(Item<'_, '_, '_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong(key, value, expected);
            return Vec::new();
        };
        let mut all = Vec::new();
        for value in items.iter() {
            let name = At { value: key.to_owned(), span: span(self.at.source, value) };
            all.extend(read(Item { name, value, reader: self }));
        }
        all
    }

    /// All keys that were not taken yet, with numbers as their values. No key is unknown to such a table,
    /// unless its value says that it is a misspelled one.
    pub(crate) fn other_numbers(&mut self) -> Vec<(At<String>, At<u64>)> {
        self.is_open = true;
        let table = self.table;
        let mut numbers = Vec::new();
        let known = self.known.clone();
        for (key, value) in table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
            let absent = known.iter().copied().filter(|known| !table.contains_key(*known));
            if value.get_ref().as_integer().is_none() && closest(key.get_ref(), absent).is_some() {
                self.unknown(key);
                continue;
            }
            let name = At { value: key.get_ref().to_string(), span: span(self.at.source, key) };
            numbers.extend(self.number_value(&name.value, value).map(|number| (name.clone(), number)));
        }
        numbers
    }

    /// All keys that were not taken yet, and whose values are tables, as [`entries`](Self::entries) reads them.
    pub(crate) fn other_tables<T>(
        &mut self,
        mut read: impl FnMut(At<String>, Item<'_, '_, '_>) -> Option<T>,
    ) -> Vec<T> {
        self.is_open = true;
        let (table, known, path) = (self.table, self.known.clone(), self.name.clone());
        let mut entries = Vec::new();
        for (key, value) in table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
            let mut absent = known.iter().copied().filter(|known| !table.contains_key(*known));
            let is_slip = absent.any(|known| closest(key.get_ref(), [known]).is_some());
            if is_slip || !matches!(value.get_ref(), DeValue::Table(_)) {
                self.unknown(key);
                continue;
            }
            let name = At { value: key.get_ref().to_string(), span: span(self.at.source, key) };
            let mut inner = Reader::new(table, self.at, path.clone(), self.problems);
            let item = Item { name: name.clone(), value, reader: &mut inner };
            entries.extend(read(name, item));
        }
        entries
    }

    /// Says that a value, read already, is not one that can be understood.
    pub(crate) fn refuse(
        &mut self,
        key: &str,
        at: Span,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        let kind = ProblemKind::WrongValue(expected.into(), found.into());
        self.problems.push(Problem { at, spoils: self.path(key), kind });
    }

    /// Says that the file is of another kind, and not what else that makes wrong with it.
    pub(crate) fn is_of(&mut self, kind: &'static str) {
        self.is_open = true;
        let (at, spoils) = (self.at, "system".to_owned());
        self.problems.push(Problem { at, spoils, kind: ProblemKind::OtherFile(kind) });
    }

    /// Whether the table has a key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn take(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.known.push(key);
        self.table.get(key)
    }

    fn require(&mut self, key: &'static str, expected: &'static str) {
        if !self.has(key) {
            let kind = ProblemKind::MissingKey(key, self.name.clone(), expected);
            self.problems.push(Problem { at: self.at, spoils: self.path(key), kind });
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
            self.wrong(key, value, "a table");
            return None;
        };
        let mut inner = Reader::new(table, span(self.at.source, value), self.path(key), self.problems);
        let result = read(&mut inner);
        inner.finish();
        Some(result)
    }

    fn text_value(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<At<String>> {
        match value.get_ref() {
            DeValue::String(text) => Some(At { value: text.to_string(), span: span(self.at.source, value) }),
            _ => {
                self.wrong(key, value, "a text in quotes");
                None
            }
        }
    }

    fn number_value(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<At<u64>> {
        let integer = value.get_ref().as_integer();
        let number = integer.map(|integer| u64::from_str_radix(integer.as_str(), integer.radix()));
        let number = match number {
            Some(Err(error)) if *error.kind() == IntErrorKind::PosOverflow => {
                self.wrong(key, value, &format!("a whole number of at most {}", u64::MAX));
                None
            }
            other => other.and_then(Result::ok).or_else(|| {
                self.wrong(key, value, "a whole number that is not negative");
                None
            }),
        };
        Some(At { value: number?, span: span(self.at.source, value) })
    }

    fn wrong(&mut self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = match value.get_ref() {
            DeValue::Integer(integer) => format!("the number {}", integer.as_str()),
            DeValue::String(text) => format!("the text {text:?}"),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Array(items) => match items.iter().next().map(Spanned::get_ref) {
                Some(DeValue::Table(_)) => "a list of tables".to_owned(),
                _ => "a list".to_owned(),
            },
            DeValue::Float(float) => format!("the number {}", float.as_str()),
            other => format!("a {}", other.type_str()),
        };
        self.refuse(key, span(self.at.source, value), expected, found);
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

    /// The value as a text; another one is a fault.
    pub(crate) fn text(self) -> Option<At<String>> {
        self.reader.text_value(&self.name.value, self.value)
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
