//! Where a name that occurs twice was written first: the parser does not tell.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::Span;

/// The lines of a text by what they define. Made in one pass, whatever number of names occurs twice.
pub(super) struct Repeats<'t> {
    text: &'t str,
    /// Where each line begins that opens a table.
    tables: Vec<usize>,
    /// For each table, what a line of it defines, and where. A line that opens a table is in none.
    first: HashMap<(Option<usize>, &'t str), usize>,
    /// Tables that are there a second time.
    repeated: HashSet<usize>,
}

impl<'t> Repeats<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let mut repeats = Self { text, tables: Vec::new(), first: HashMap::new(), repeated: HashSet::new() };
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let opens = line.trim_start().starts_with('[');
            if opens {
                repeats.tables.push(start);
            }
            let table = if opens { None } else { repeats.tables.last().copied() };
            if let Some((defined, _)) = line.split_once(if opens { ']' } else { '=' }) {
                let indent = line.len() - line.trim_start().len();
                repeats.first.entry((table, defined.trim())).or_insert(start + indent);
            }
            start += line.len();
        }
        repeats
    }

    /// Whether it is no news that this name occurs twice, because its table does: the parser adds the keys of
    /// a repeated table to the first one.
    pub(super) fn is_told(&mut self, again: Span) -> bool {
        let line = self.line_start(again.start);
        let Some(table) = self.table_of(line) else { return false };
        if table == line {
            self.repeated.insert(table);
            return false;
        }
        self.repeated.contains(&table)
    }

    /// The first use of a name that occurs twice, if it is in a line of its own.
    pub(super) fn first_use(&self, again: Span) -> Option<Span> {
        let line = self.line_start(again.start);
        let table = self.table_of(line).filter(|table| *table != line);
        let defined = self.text[line..again.end].trim_start();
        let start = *self.first.get(&(table, defined))?;
        let end = start + defined.len();
        (end < again.start).then(|| Span { start: end - (again.end - again.start), end, ..again })
    }

    fn line_start(&self, byte: usize) -> usize {
        self.text[..byte].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Where the table begins that a line is in.
    fn table_of(&self, line: usize) -> Option<usize> {
        let later = self.tables.partition_point(|table| *table <= line);
        later.checked_sub(1).map(|place| self.tables[place])
    }
}
