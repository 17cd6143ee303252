//! What a TPM says when it refuses.

mod table;
#[cfg(test)]
mod tests;

use core::fmt;

use table::{FORMAT_ONE, FORMAT_ZERO, TPM_12, WARNINGS};

/// The code in a response's header; 0 is success.
///
/// The two versions' codes do not overlap, so that a number alone says which version's it is: bit 7 or bit 8 is
/// set in those of TPM 2.0 (part 1, section 39.4), and in none of TPM 1.2's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnCode(
    /// The number as the TPM gave it.
    pub u32,
);

/// The part of a command that a code of TPM 2.0 is about. Each is counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A parameter.
    Parameter(u32),
    /// A handle.
    Handle(u32),
    /// A session.
    Session(u32),
}

/// Bit 7: the code is of *format one*, which says what part of the command it is about.
const IS_FORMAT_ONE: u32 = 1 << 7;
/// Bit 8 of *format zero*: the code is of TPM 2.0.
const IS_TPM_20: u32 = 1 << 8;
/// Bit 10 of *format zero*, and TPM 1.2's `TPM_VENDOR_ERROR`: the code is the maker's own.
const IS_VENDORS: u32 = 1 << 10;
/// Bit 11 of *format zero*: a warning.
const IS_WARNING: u32 = 1 << 11;
/// The bits of *format one* that number the code.
const FORMAT_ONE_NUMBER: u32 = 0x3f;
/// Bit 6 of *format one*: the code is about a parameter.
const IS_PARAMETER: u32 = 1 << 6;
/// Bit 11 of *format one*, where it is not about a parameter: it is about a session.
const IS_SESSION: u32 = 1 << 11;
/// The bits that the specifications give to codes.
const ALL_BITS: u32 = 0xfff;

impl ReturnCode {
    /// TPM 1.2: the command is switched off, which is what its owner can do.
    pub const DISABLED_COMMAND: Self = Self(0x8);
    /// TPM 1.2 (and emulators whose TPM has gone): the TPM failed.
    pub const FAIL: Self = Self(0x9);
    /// TPM 1.2: there is no endorsement key.
    pub const NO_ENDORSEMENT: Self = Self(0x23);
    /// TPM 1.2: the startup command is missing, or came twice.
    pub const INVALID_POST_INIT: Self = Self(0x26);
    /// TPM 1.2: the TPM is busy.
    pub const RETRY_12: Self = Self(0x800);
    /// TPM 1.2: the command needs a self-test.
    pub const NEEDS_SELF_TEST: Self = Self(0x801);
    /// TPM 1.2: the self-test is going on.
    pub const DOING_SELF_TEST: Self = Self(0x802);
    /// TPM 2.0: the startup command is missing, or came twice.
    pub const INITIALIZE: Self = Self(0x100);
    /// TPM 2.0: the command needs a self-test.
    pub const NEEDS_TEST: Self = Self(0x153);
    /// TPM 2.0: the TPM put the command aside.
    pub const YIELDED: Self = Self(0x908);
    /// TPM 2.0: the self-test is going on.
    pub const TESTING: Self = Self(0x90a);
    /// TPM 2.0: the TPM could not begin the command.
    pub const RETRY_20: Self = Self(0x922);

    /// The TPM waits for its startup command.
    #[must_use]
    pub const fn wants_startup(self) -> bool {
        matches!(self, Self::INVALID_POST_INIT | Self::INITIALIZE)
    }

    /// The same command will do a little later.
    #[must_use]
    pub const fn wants_retry(self) -> bool {
        matches!(self, Self::RETRY_12 | Self::RETRY_20 | Self::YIELDED)
    }

    /// The same command will do after a self-test that has begun.
    #[must_use]
    pub const fn is_testing(self) -> bool {
        matches!(self, Self::DOING_SELF_TEST | Self::TESTING)
    }

    /// The same command will do after a self-test, which nobody has begun.
    #[must_use]
    pub const fn wants_self_test(self) -> bool {
        matches!(self, Self::NEEDS_SELF_TEST | Self::NEEDS_TEST)
    }

    /// The code's name in the specifications, without `TPM_` or `TPM_RC_`; empty if they do not have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |(_, name, _)| name)
    }

    /// The code's meaning, in a sentence.
    #[must_use]
    pub fn explain(self) -> &'static str {
        match self.entry() {
            Some((_, _, sentence)) => sentence,
            None if self.is_vendors() => "the TPM's maker has a code of its own for this",
            None => "the specifications do not have this code",
        }
    }

    /// The part of the command that the code is about, if it says so.
    #[must_use]
    pub const fn subject(self) -> Option<Subject> {
        if self.0 & IS_FORMAT_ONE == 0 || self.0 & !ALL_BITS != 0 {
            return None;
        }
        let number = self.0 >> 8;
        match (self.0 & IS_PARAMETER != 0, self.0 & IS_SESSION != 0) {
            (true, _) if number > 0 => Some(Subject::Parameter(number)),
            (false, true) if number & 7 > 0 => Some(Subject::Session(number & 7)),
            (false, false) if number > 0 => Some(Subject::Handle(number)),
            _ => None,
        }
    }

    fn entry(self) -> Option<&'static table::Entry> {
        let (table, number): (&[table::Entry], u32) = match self.0 {
            code if code & !ALL_BITS != 0 => return None,
            code if code & IS_FORMAT_ONE != 0 => (FORMAT_ONE, code & FORMAT_ONE_NUMBER),
            code if code & IS_TPM_20 == 0 => (TPM_12, code),
            code if code & IS_VENDORS != 0 => return None,
            // Bit 9 is reserved: a code that has it is not the one without it.
            code if code & IS_WARNING != 0 => (WARNINGS, code & !(IS_TPM_20 | IS_WARNING)),
            code => (FORMAT_ZERO, code & !IS_TPM_20),
        };
        table.iter().find(|(known, _, _)| u32::from(*known) == number)
    }

    const fn is_vendors(self) -> bool {
        self.0 & IS_FORMAT_ONE == 0 && self.0 & IS_VENDORS != 0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(number) => write!(out, "parameter {number}"),
            Self::Handle(number) => write!(out, "handle {number}"),
            Self::Session(number) => write!(out, "session {number}"),
        }
    }
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(subject) = self.subject() {
            write!(out, "{subject}: ")?;
        }
        let gap = if self.name().is_empty() { "" } else { ", " };
        write!(out, "{} (code {:#x}{gap}{})", self.explain(), self.0, self.name())
    }
}
