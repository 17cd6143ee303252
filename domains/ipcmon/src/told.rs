//! What a person is told of a decision.

use core::fmt;

use cloison_abi::{Name, access::Question};

/// What was denied, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What was asked.
    pub question: Question,
    /// Names of both ends.
    pub ends: [Name; 2],
    /// Why.
    pub reason: Reason,
}

/// Why something is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// This domain has withdrawn it.
    WithdrawnBy(Name),
    /// It is not known what was decided in an earlier life of the monitor.
    Lost,
    /// No rule allows it: the types of both ends.
    NoRule([Name; 2]),
    /// A wall is in between.
    Wall {
        /// The wall.
        name: Name,
        /// The line of the manifest that says so.
        line: u32,
        /// The domain in which two of its sides would meet.
        at: Name,
        /// The side of which that one knows already.
        known: Name,
        /// Whether that is its own type.
        is_own: bool,
        /// The other end, and the side of which that one knows, if it is not its own type.
        also: Option<[Name; 2]>,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithdrawnBy(by) => write!(out, "withdrawn by {by}"),
            Self::Lost => out.write_str("what was decided before the monitor was started again is lost"),
            Self::NoRule([from, to]) => write!(out, "no rule lets {from} do so to {to}"),
            Self::Wall { name, line, at, known, is_own, also } => {
                let how = if *is_own { "is of type" } else { "has touched" };
                write!(out, "wall \"{name}\" in line {line}: {at} {how} {known}")?;
                also.map_or(Ok(()), |[other, learned]| write!(out, ", {other} has touched {learned}"))
            }
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Question { subject, object, class, slot, .. } = self.question;
        let ([name, other], class, reason) = (self.ends, class.name(), self.reason);
        write!(
            out,
            "ipc {subject:x} -> {object:x} DENIED! ({name} -> {other}, {class}, slot {slot}: {reason})"
        )
    }
}

/// What the policy decides again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Indices of both ends.
    pub ends: (u8, u8),
    /// How often it was refused since it was first denied.
    pub refused: u32,
}

impl fmt::Display for Restored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((subject, object), refused) = (self.ends, self.refused);
        write!(out, "ipc {subject:x} -> {object:x} allowed again; {refused} more were denied meanwhile")
    }
}
