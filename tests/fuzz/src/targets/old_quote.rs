//! The quote of a TPM 1.2: key, registers and signature are read or refused, and one is accepted for no nonce but its own.

use cloison_tpm::tpm12::{Composite, SigningKey};
use cloison_verify::OldQuote;

/// Reads the three, of which the first two have their length in front.
pub fn run(bytes: &[u8]) {
    let part = |bytes: &'_ [u8]| -> Option<(usize, usize)> {
        let length = usize::from(u16::from_be_bytes(*bytes.first_chunk()?));
        (2 + length <= bytes.len()).then_some((2, 2 + length))
    };
    let Some((start, end)) = part(bytes) else { return };
    let (key, rest) = (&bytes[start..end], &bytes[end..]);
    let Some((start, end)) = part(rest) else { return };
    let (composite, signature) = (&rest[start..end], &rest[end..]);
    if let Ok(key) = SigningKey::read(key) {
        assert!(key.modulus.len() < bytes.len());
    }
    if let Ok(composite) = Composite::read(composite) {
        assert_eq!(composite.iter().count(), composite.registers.count_ones() as usize);
    }
    let quote = OldQuote { key, composite, signature };
    assert!(quote.check(b"nobody has asked so.", &[(9, [0; 20])]).is_err());
}
