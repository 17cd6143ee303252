//! The key that signs quotes: its name, and a signature by it.

use std::{fmt, str::FromStr};

use cloison_tpm::tpm20::{AttestationKey, Signature};
use p256::ecdsa::{self, VerifyingKey, signature::Verifier};
use sha2::{Digest, Sha256};

use crate::hex::{hex, unhex};

/// What a name begins with: the number of SHA-256.
const NAME_HASH: [u8; 2] = [0x00, 0x0b];

/// The name that a TPM gives to a key: a digest of its public part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyName([u8; 34]);

impl KeyName {
    /// Of a public part, as a `TPMT_PUBLIC`.
    #[must_use]
    pub fn of(public: &[u8]) -> Self {
        let mut name = [0; 34];
        name[..2].copy_from_slice(&NAME_HASH);
        name[2..].copy_from_slice(&Sha256::digest(public));
        Self(name)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex(&self.0))
    }
}

impl FromStr for KeyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = unhex(text).filter(|name: &[u8; 34]| name.starts_with(&NAME_HASH));
        name.map(Self).ok_or_else(|| format!("{text:?} is no name of a key: 68 digits, the first 000b"))
    }
}

/// Whether a key has signed a text. A point off the curve, and a half of a signature that is 0 or too large, sign nothing.
pub(crate) fn has_signed(key: &AttestationKey<'_>, signature: &Signature<'_>, text: &[u8]) -> bool {
    let ([x, y], [r, s]) = (key.point, signature.halves);
    let point = [&[4][..], x, y].concat();
    let (Ok(key), Ok(signature)) =
        (VerifyingKey::from_sec1_bytes(&point), ecdsa::Signature::from_scalars(*r, *s))
    else {
        return false;
    };
    key.verify(text, &signature).is_ok()
}
