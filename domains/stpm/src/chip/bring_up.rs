//! What a TPM is asked before it is used.
//!
//! Firmware normally starts the TPM; where it did not, the first question is refused, the startup command is
//! sent and the question asked again.

use cloison_tpm::{Command, Error, Family, ReturnCode, duration::Durations12, tpm12, tpm20};

use super::ChipError;

/// Bytes of the longest question.
pub(super) const MAX_QUESTION_BYTES: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Family,
    MaxCommandBytes(Family),
    Startup(Family),
    SelfTest(Family),
    Timeouts,
    Durations,
}

/// What the TPM says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Family(Family),
    MaxCommandBytes(u32),
    Timeouts([u32; 4]),
    Durations(Durations12),
    WantsStartup(Family),
    /// Nothing that matters; defaults stay.
    Nothing,
}

/// Asks a TPM 2.0 for the longest command it takes.
const MAX_COMMAND_BYTES_20: tpm20::GetProperties =
    tpm20::GetProperties { first: tpm20::property::MAX_COMMAND_BYTES, count: 1 };

impl Question {
    /// The question after this one. Only TPM 1.2 says how long things take.
    pub(super) fn next(self, answer: Answer) -> Option<Self> {
        match self {
            Self::Family => match answer {
                Answer::Family(family) => Some(Self::MaxCommandBytes(family)),
                _ => None,
            },
            Self::Startup(family) => Some(Self::SelfTest(family)),
            Self::SelfTest(family) => Some(Self::MaxCommandBytes(family)),
            Self::MaxCommandBytes(Family::Tpm12) => Some(Self::Timeouts),
            Self::Timeouts => Some(Self::Durations),
            Self::MaxCommandBytes(Family::Tpm20) | Self::Durations => None,
        }
    }

    pub(super) fn write(self, buffer: &mut [u8]) -> Result<&[u8], Error> {
        match self {
            Self::Family => Family::PROBE.write(buffer),
            Self::MaxCommandBytes(Family::Tpm12) => tpm12::GetMaxCommandBytes.write(buffer),
            Self::MaxCommandBytes(Family::Tpm20) => MAX_COMMAND_BYTES_20.write(buffer),
            Self::Startup(Family::Tpm12) => tpm12::Startup.write(buffer),
            Self::Startup(Family::Tpm20) => tpm20::Startup.write(buffer),
            Self::SelfTest(Family::Tpm12) => tpm12::ContinueSelfTest.write(buffer),
            Self::SelfTest(Family::Tpm20) => tpm20::SelfTest.write(buffer),
            Self::Timeouts => tpm12::GetTimeouts.write(buffer),
            Self::Durations => tpm12::GetDurations.write(buffer),
        }
    }

    /// Reads the answer. Only the version has to be known; a TPM that refuses to say the rest, or says it in a
    /// form of its own, keeps the defaults.
    pub(super) fn read(self, response: &[u8]) -> Result<Answer, ChipError> {
        let read = match self {
            Self::Family => return Ok(Answer::Family(Family::from_probe(response)?)),
            Self::MaxCommandBytes(Family::Tpm12) => {
                tpm12::GetMaxCommandBytes.parse(response).map(Answer::MaxCommandBytes)
            }
            Self::MaxCommandBytes(Family::Tpm20) => MAX_COMMAND_BYTES_20.parse(response).map(|found| {
                found.find(MAX_COMMAND_BYTES_20.first).map_or(Answer::Nothing, Answer::MaxCommandBytes)
            }),
            Self::Timeouts => tpm12::GetTimeouts.parse(response).map(Answer::Timeouts),
            Self::Durations => tpm12::GetDurations.parse(response).map(Answer::Durations),
            // The shape of these answers is the same in both versions but for the tag, and all that matters
            // is whether the next question is refused again.
            Self::Startup(_) | Self::SelfTest(_) => return Ok(Answer::Nothing),
        };
        match read {
            Err(Error::Refused(ReturnCode::FAIL)) => Err(ChipError::Refused(ReturnCode::FAIL)),
            Err(Error::Refused(code)) if code.wants_startup() => Ok(self.wants_startup()),
            Err(Error::Refused(_) | Error::Truncated { .. } | Error::Unexpected { .. }) => {
                Ok(Answer::Nothing)
            }
            read => Ok(read?),
        }
    }

    fn wants_startup(self) -> Answer {
        match self {
            Self::MaxCommandBytes(family) => Answer::WantsStartup(family),
            _ => Answer::Nothing,
        }
    }
}
