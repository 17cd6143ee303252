//! The public part of a key, as both versions give it.

use sha1::{Digest, Sha1};

/// Public exponent that is meant when a TPM gives none.
const DEFAULT_EXPONENT: u32 = 65_537;

/// The public part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey<'a> {
    /// The key itself.
    pub kind: KeyKind<'a>,
    /// The structure that holds all this, as the TPM gave it: `TPM_PUBKEY` in 1.2, `TPMT_PUBLIC` in 2.0.
    pub structure: &'a [u8],
}

/// The content of a key's public part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind<'a> {
    /// An RSA key.
    Rsa {
        /// Length of the modulus, in bits, as the TPM states it.
        bits: u32,
        /// The public exponent.
        exponent: u32,
        /// The modulus, most significant byte first.
        modulus: &'a [u8],
    },
    /// A point on an elliptic curve.
    Ecc {
        /// The curve's identifier (TCG *Algorithm Registry*, `TPM_ECC_CURVE`).
        curve: u16,
        /// One coordinate, most significant byte first.
        x: &'a [u8],
        /// The other one.
        y: &'a [u8],
    },
    /// A key that this crate does not read further.
    Other {
        /// The algorithm's identifier, of the version that the key is from.
        algorithm: u32,
    },
}

impl PublicKey<'_> {
    /// SHA-1 of [`PublicKey::structure`], a short name for the key.
    #[must_use]
    pub fn sha1(&self) -> [u8; 20] {
        Sha1::digest(self.structure).into()
    }

    /// The exponent that a TPM means by `stated`.
    pub(crate) const fn exponent_from(stated: u32) -> u32 {
        if stated == 0 { DEFAULT_EXPONENT } else { stated }
    }
}
