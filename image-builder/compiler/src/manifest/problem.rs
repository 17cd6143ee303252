//! What can be wrong with how a file is written.

use crate::diagnostic::Span;

/// A fault in how a file is written, as opposed to what it says.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Where.
    pub at: Span,
    /// The key that cannot be judged because of it, with the tables that it is in: `domain.hello.log`. If a
    /// key is misspelled, the one that was probably meant. Empty: none.
    pub spoils: String,
    /// What.
    pub kind: ProblemKind,
}

/// A fault in how a file is written.
#[derive(Debug, Clone)]
pub enum ProblemKind {
    /// The file could not be read, is not text, or is empty.
    Unreadable(String),
    /// It is another file than a system's manifest: of what.
    OtherFile(&'static str),
    /// It is not TOML.
    Syntax(String),
    /// Tables and lists in each other beyond [`super::reader::MAX_DEPTH`].
    TooDeep,
    /// A name was given twice in one table; where it was given first.
    Duplicate(String, Option<Span>),
    /// A key that the table does not have; the table, and the keys that it has.
    UnknownKey(String, String, Vec<&'static str>),
    /// A key that the table must have; the table; what its value is.
    MissingKey(&'static str, String, &'static str),
    /// A value of the wrong type or form; what is expected, what was found.
    WrongValue(String, String),
}
