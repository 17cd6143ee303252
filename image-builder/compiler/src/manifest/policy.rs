//! The policies, as the manifest states them.

use cloison_abi::policy::FIRST_POLICY;

use super::reader::{Item, Reader};
use crate::diagnostic::{At, Span};

/// `[policy]`, and each `[policy.NAME]`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct PolicyTable {
    /// Where it begins.
    pub at: Span,
    /// The domain that decides.
    pub monitor: Option<At<String>>,
    /// The types that domains can have.
    pub types: Vec<At<String>>,
    /// What may be done at first, then what other policies say that can be loaded.
    pub parts: Vec<PartTable>,
}

/// What one policy says.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct PartTable {
    /// Its name, by which it is loaded.
    pub name: At<String>,
    pub allow: Vec<RuleTable>,
    pub walls: Vec<WallTable>,
}

/// One rule: what domains of some types may do to those of others.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct RuleTable {
    pub at: Span,
    pub from: Vec<At<String>>,
    pub to: Vec<At<String>>,
    pub may: Vec<At<String>>,
}

/// One wall: types of which no domain may learn of more than one.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct WallTable {
    pub at: Span,
    pub name: Option<At<String>>,
    pub between: Vec<At<String>>,
}

impl PolicyTable {
    pub(super) fn read(reader: &mut Reader<'_, '_>) -> Self {
        let (at, monitor, types) = (reader.at(), reader.required_text("monitor"), reader.texts("types"));
        let first = PartTable::read(At { value: FIRST_POLICY.to_owned(), span: at }, reader);
        let mut parts = reader.other_tables(PartTable::read_item);
        parts.sort_by_key(|part| part.name.span);
        parts.insert(0, first);
        Self { at, monitor, types, parts }
    }

    /// The policy that is in force at first.
    #[must_use]
    pub fn first(&self) -> &PartTable {
        &self.parts[0]
    }
}

impl PartTable {
    fn read_item(name: At<String>, item: Item<'_, '_, '_>) -> Option<Self> {
        item.table(|table| Self::read(name, table))
    }

    fn read(name: At<String>, reader: &mut Reader<'_, '_>) -> Self {
        let allow = reader.tables("allow", |rule| Some(RuleTable::read(rule)));
        let walls = reader.tables("walls", |wall| Some(WallTable::read(wall)));
        Self { name, allow, walls }
    }
}

impl RuleTable {
    fn read(reader: &mut Reader<'_, '_>) -> Self {
        Self {
            at: reader.at(),
            from: reader.required_texts("from"),
            to: reader.required_texts("to"),
            may: reader.required_texts("may"),
        }
    }
}

impl WallTable {
    fn read(reader: &mut Reader<'_, '_>) -> Self {
        Self {
            at: reader.at(),
            name: reader.required_text("name"),
            between: reader.required_texts("between"),
        }
    }
}
