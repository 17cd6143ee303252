//! What a TPM says when it refuses.

use core::fmt;

/// The code in a response's header; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnCode(
    /// The number as the TPM gave it.
    pub u32,
);

impl ReturnCode {
    /// TPM 1.2 (and emulators whose TPM has gone): the TPM failed.
    pub const FAIL: Self = Self(0x9);
    /// TPM 1.2: there is no endorsement key.
    pub const NO_ENDORSEMENT: Self = Self(0x23);
    /// TPM 1.2: the startup command is missing, or came twice.
    pub const INVALID_POST_INIT: Self = Self(0x26);
    /// TPM 2.0: the startup command is missing, or came twice.
    pub const INITIALIZE: Self = Self(0x100);

    /// The TPM waits for its startup command.
    #[must_use]
    pub const fn wants_startup(self) -> bool {
        matches!(self, Self::INVALID_POST_INIT | Self::INITIALIZE)
    }

    /// What the code means, for the ones met in practice.
    #[must_use]
    pub const fn explain(self) -> &'static str {
        match tpm20_format_one_base(self.0) {
            0x01 => "an authorisation failed",
            0x02 => "a register or handle number is out of range",
            0x03 => "a parameter is bad",
            0x06 => "the TPM is deactivated",
            0x07 => "the TPM is disabled",
            0x09 => "the TPM failed",
            0x0a => "no such command",
            0x1e => "the command is of the other TPM version",
            0x23 => "there is no endorsement key",
            0x26 | 0x100 => "the startup command is missing, or came twice",
            0x801 | 0x922 => "try again later",
            0x802 => "the self-test is running",
            0x101 => "the TPM failed and must be reset",
            0x143 => "no such command",
            0x144 => "the size of the command is wrong",
            0x902 => "no room for another loaded object",
            0x903 => "no room for another session",
            0x907 => "the locality is wrong",
            0x909 => "the command was cancelled",
            0x90a => "the self-test is running",
            0x921 => "locked out after too many failed authorisations",
            0x1081 => "the algorithm is not supported",
            0x1082 => "the attributes do not fit",
            0x1084 => "a value is out of range",
            0x1085 => "the hierarchy is not enabled",
            0x108b => "no such handle",
            0x108e => "an authorisation failed",
            0x1095 => "a size is wrong",
            0x109a => "a structure ends early",
            _ => "see the specification for this code",
        }
    }
}

/// Takes the number of the parameter, handle or session out of a TPM 2.0 *format one* code (bit 7), and marks
/// it so that it cannot be taken for a TPM 1.2 code.
const fn tpm20_format_one_base(code: u32) -> u32 {
    if code & 0x80 != 0 { 0x1000 | code & 0xbf } else { code }
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (code {:#x})", self.explain(), self.0)
    }
}
