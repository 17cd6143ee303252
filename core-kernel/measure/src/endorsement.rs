//! How a machine shows whose TPM its key is in: what it is asked, and the form of its answer.
//!
//! Where a nonce is expected, one of two texts comes instead. The machine answers the first with the public parts of both
//! keys and the certificate of one; the second, behind which a credential comes, with the secret in it, if its TPM tells that.

use crate::evidence::NONCE_BYTES;

/// Asks for the keys.
pub const ASK_KEYS: [u8; NONCE_BYTES] = *b"cloison: which keys are these? 1";
/// Asks for the secret in a credential, which follows: its length in two bytes, then it.
pub const ASK_SECRET: [u8; NONCE_BYTES] = *b"cloison: what is hidden herein 1";
/// The most bytes that a credential can have: what is encrypted, and what it is encrypted
/// with, each with its length in front.
pub const MAX_CREDENTIAL_BYTES: usize = 384;
/// The most bytes that a certificate can have.
pub const MAX_CERTIFICATE_BYTES: usize = 2048;

/// First bytes of the keys.
pub const MAGIC: [u8; 8] = *b"cl-keys2";

/// The keys of a TPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys<'a> {
    /// The public part of the endorsement key, as a `TPMT_PUBLIC`.
    pub endorsement: &'a [u8],
    /// That of the key which signs quotes.
    pub key: &'a [u8],
    /// What the TPM has as the certificate of the former, with anything behind it; nothing if it has none.
    pub certificate: &'a [u8],
}

impl<'a> Keys<'a> {
    /// Reads keys. `None`: they are none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (lengths, rest) = bytes.strip_prefix(&MAGIC)?.split_first_chunk()?;
        let [a, b, c, d] = *lengths;
        let (endorsement, rest) = rest.split_at_checked(u16::from_le_bytes([a, b]).into())?;
        let (key, certificate) = rest.split_at_checked(u16::from_le_bytes([c, d]).into())?;
        Some(Self { endorsement, key, certificate })
    }

    /// What comes first.
    #[must_use]
    pub fn header(&self) -> [u8; MAGIC.len() + 4] {
        let mut header = [0; MAGIC.len() + 4];
        let (magic, lengths) = header.split_at_mut(MAGIC.len());
        magic.copy_from_slice(&MAGIC);
        lengths[..2].copy_from_slice(&(self.endorsement.len() as u16).to_le_bytes());
        lengths[2..].copy_from_slice(&(self.key.len() as u16).to_le_bytes());
        header
    }

    /// What follows, in order.
    #[must_use]
    pub const fn parts(&self) -> [&'a [u8]; 3] {
        [self.endorsement, self.key, self.certificate]
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let keys = Keys { endorsement: &[7; 300], key: b"key", certificate: b"certificate" };
        let bytes = [&keys.header()[..], &keys.parts().concat()].concat();
        assert_eq!(Keys::read(&bytes), Some(keys));
        assert!((0..315).all(|end| Keys::read(&bytes[..end]).is_none()), "cut");
        assert_eq!(Keys::read(&[b"cl-keys1", &bytes[8..]].concat()), None);
        let without = Keys { certificate: &[], ..keys };
        assert_eq!(Keys::read(&bytes[..315]), Some(without));
    }
}
