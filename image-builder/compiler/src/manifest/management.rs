//! What the manager's clients may have done, and groups of domains, as the manifest states them.

use super::reader::{Item, Reader};
use crate::diagnostic::{At, Span};

/// What a client of the manager may have done: `may` and `on` beside `from`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct PermitTable {
    pub may: Vec<At<String>>,
    /// The domains; `None`: all that are started on request.
    pub on: Option<Vec<At<String>>>,
}

/// One `[group.NAME]`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct GroupTable {
    pub name: At<String>,
    /// The domains, in the order in which they are started.
    pub start: Vec<At<String>>,
    /// Where it begins.
    pub at: Span,
}

impl PermitTable {
    /// None of a use that says nothing of it.
    pub(super) fn read(reader: &mut Reader<'_, '_>) -> Option<Self> {
        let (has_may, has_on) = (reader.has("may"), reader.has("on"));
        let may = reader.texts("may");
        let on = reader.texts("on");
        (has_may || has_on).then_some(Self { may, on: has_on.then_some(on) })
    }
}

impl GroupTable {
    pub(super) fn read(name: At<String>, item: Item<'_, '_, '_>) -> Option<Self> {
        item.table(|table| {
            let at = table.at();
            Self { name, start: table.required_texts("start"), at }
        })
    }
}
