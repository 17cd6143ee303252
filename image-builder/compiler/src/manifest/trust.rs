//! How much code a domain's memory may rest on, as the manifest states it.

use super::reader::Reader;
use crate::diagnostic::{At, Span};

/// `rests_on_at_most` of a domain.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct TrustBudget {
    /// Where it begins.
    pub at: Span,
    /// Whether nothing is in it.
    pub is_empty: bool,
    pub lines: Option<At<u64>>,
    /// Blocks, functions and implementations that are `unsafe`.
    pub unsafe_sites: Option<At<u64>>,
    pub crates: Option<At<u64>>,
    pub kib: Option<At<u64>>,
}

impl TrustBudget {
    pub(super) fn read(reader: &mut Reader<'_, '_>) -> Self {
        Self {
            at: reader.at(),
            is_empty: reader.is_empty(),
            lines: reader.number("lines"),
            unsafe_sites: reader.number("unsafe"),
            crates: reader.number("crates"),
            kib: reader.number("kib"),
        }
    }

    /// What it bounds, each with its key.
    pub fn bounds(&self) -> impl Iterator<Item = (&'static str, &At<u64>)> {
        let all = [
            ("lines", &self.lines),
            ("unsafe", &self.unsafe_sites),
            ("crates", &self.crates),
            ("kib", &self.kib),
        ];
        all.into_iter().filter_map(|(key, bound)| Some((key, bound.as_ref()?)))
    }
}
