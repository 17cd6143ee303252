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

/// The digest that tools print so.
#[must_use]
pub fn from_hex(text: &str) -> Option<Digest> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = pairs.iter().map(|[high, low]| Some((digit(*high)? * 16 + digit(*low)?) as u8));
    let bytes: Vec<u8> = bytes.collect::<Option<_>>().filter(|_| rest.is_empty())?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_printed() {
        let digest = digest(b"some bytes");
        let text = hex(&digest);
        assert_eq!(from_hex(&text), Some(digest));
        assert_eq!(from_hex(&text.to_uppercase()), Some(digest));
        for text in
            ["", &text[1..], &text[2..], &(text.clone() + "0"), &text.replace(['0', '1', '2', '3'], "x")]
        {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }
}
