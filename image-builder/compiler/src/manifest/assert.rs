//! What a manifest asserts of what flows in its system.

use super::reader::Reader;
use crate::diagnostic::{At, Span};

/// One `[[assert]]`.
#[derive(Debug, Clone)]
pub struct AssertTable {
    /// Where it begins.
    pub at: Span,
    /// A question whose answer has to be no.
    pub never: Option<At<String>>,
    /// A question whose answer has to be yes.
    pub always: Option<At<String>>,
    /// The reason, for those who read that it does not hold.
    pub why: Option<At<String>>,
}

impl AssertTable {
    pub(super) fn read(reader: &mut Reader<'_, '_>) -> Self {
        Self {
            at: reader.at(),
            never: reader.text("never"),
            always: reader.text("always"),
            why: reader.text("why"),
        }
    }
}
