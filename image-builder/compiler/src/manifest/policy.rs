//! The policy, as the manifest states it.

use super::reader::Reader;
use crate::diagnostic::{At, Span};

/// `[policy]`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct PolicyTable {
    /// Where it begins.
    pub at: Span,
    /// The domain that decides.
    pub monitor: Option<At<String>>,
    /// The types that domains can have.
    pub types: Vec<At<String>>,
    pub allow: Vec<RuleTable>,
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

impl PolicyTable {
    pub(super) fn read(reader: &mut Reader<'_, '_>) -> Self {
        Self {
            at: reader.at(),
            monitor: reader.required_text("monitor"),
            types: reader.texts("types"),
            allow: reader.tables("allow", |rule| Some(RuleTable::read(rule))),
        }
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
