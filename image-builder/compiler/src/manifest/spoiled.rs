//! Which keys cannot be judged, because something in how they are written is a fault already.

use std::collections::BTreeSet;

use super::Problem;
use crate::diagnostic::SourceId;

/// Keys with the tables that they are in, each by the file that it is in.
#[derive(Debug, Clone, Default)]
pub struct Spoiled(BTreeSet<(SourceId, String)>);

impl Spoiled {
    pub(super) fn new(problems: &[Problem]) -> Self {
        let spoiled = problems.iter().filter(|problem| !problem.spoils.is_empty());
        Self(spoiled.map(|problem| (problem.at.source, problem.spoils.clone())).collect())
    }

    /// Whether the value of a key, or a part of it, or a table that it is in, could not be read.
    #[must_use]
    pub fn contains(&self, source: SourceId, path: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
        let is_spoiled = |end: usize| self.0.contains(&(source, path[..end].to_owned()));
        let inside = format!("{path}.");
        let mut from = self.0.range((source, inside.clone())..);
        ends.into_iter().any(is_spoiled)
            || from.next().is_some_and(|(other, path)| *other == source && path.starts_with(&inside))
    }

    /// Whether a whole table of a file could not be read.
    #[must_use]
    pub fn contains_table(&self, name: &str) -> bool {
        self.0.iter().any(|(_, path)| path == name)
    }

    /// Whether a part of a table of a file could not be read.
    #[must_use]
    pub fn contains_part(&self, name: &str) -> bool {
        self.0.iter().any(|(_, path)| path.split('.').next() == Some(name))
    }
}
