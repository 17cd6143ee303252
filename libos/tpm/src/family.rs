//! Which version a TPM has.

use crate::{
    Error, ReturnCode,
    numbers::{TAG_12_RESPONSE, TAG_20_NO_SESSIONS},
    tpm20,
    wire::Reader,
};

/// The version of a TPM's command set. The two share nothing but the header's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// TPM 1.2.
    Tpm12,
    /// TPM 2.0.
    Tpm20,
}

impl Family {
    /// The command that tells the two apart: a TPM 2.0 carries it out, a TPM 1.2 refuses its tag.
    pub const PROBE: tpm20::GetProperties =
        tpm20::GetProperties { first: tpm20::property::FAMILY_INDICATOR, count: 1 };

    /// Reads the answer to [`Family::PROBE`].
    ///
    /// A TPM that still waits for its startup command refuses with the tag of its own version, so this works
    /// before startup as well.
    ///
    /// # Errors
    /// The bytes are the answer of neither.
    pub fn from_probe(response: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(response);
        let (tag, stated, code) = (reader.u16()?, reader.u32()?, reader.u32()?);
        if usize::try_from(stated) != Ok(response.len()) {
            return Err(Error::WrongLength { stated, given: response.len() });
        }
        match (tag, code) {
            (TAG_20_NO_SESSIONS, _) => Ok(Self::Tpm20),
            (TAG_12_RESPONSE, code) if ReturnCode(code) == ReturnCode::FAIL => {
                Err(Error::Refused(ReturnCode::FAIL))
            }
            (TAG_12_RESPONSE, code) if code != 0 => Ok(Self::Tpm12),
            _ => Err(Error::WrongTag { tag }),
        }
    }

    /// The version as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tpm12 => "1.2",
            Self::Tpm20 => "2.0",
        }
    }
}
