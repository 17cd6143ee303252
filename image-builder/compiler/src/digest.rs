//! Digests of what is read and written.

use cloison_abi::image::Digest;
use sha2::{Digest as _, Sha256};

/// SHA-256.
#[must_use]
pub fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// A digest's bytes, as tools print them.
#[must_use]
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
