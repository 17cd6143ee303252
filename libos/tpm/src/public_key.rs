//! The public part of an RSA key, as both versions give it.

use sha1::{Digest, Sha1};

/// Public exponent that is meant when a TPM gives none.
const DEFAULT_EXPONENT: u32 = 65_537;

/// The public part of an RSA key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RsaPublicKey<'a> {
    /// Length of the modulus, in bits, as the TPM states it.
    pub bits: u32,
    /// The public exponent.
    pub exponent: u32,
    /// The modulus, most significant byte first.
    pub modulus: &'a [u8],
    /// The structure that holds all this, as the TPM gave it: `TPM_PUBKEY` in 1.2, `TPMT_PUBLIC` in 2.0.
    pub structure: &'a [u8],
}

impl RsaPublicKey<'_> {
    /// SHA-1 of [`RsaPublicKey::structure`], a short name for the key.
    #[must_use]
    pub fn sha1(&self) -> [u8; 20] {
        Sha1::digest(self.structure).into()
    }

    /// The exponent that a TPM means by `stated`.
    pub(crate) const fn exponent_from(stated: u32) -> u32 {
        if stated == 0 { DEFAULT_EXPONENT } else { stated }
    }
}
