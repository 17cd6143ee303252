//! How a machine shows whose TPM its key is in: what it is asked, and the form of its answer.
//!
//! Where a nonce is expected, one of two texts comes instead. The machine answers the first with the public parts of both
//! keys; the second, behind which a credential comes, with the secret in it, if its TPM tells that.

use crate::evidence::NONCE_BYTES;

/// Asks for the keys.
pub const ASK_KEYS: [u8; NONCE_BYTES] = *b"cloison: which keys are these? 1";
/// Asks for the secret in a credential, which follows: its length in two bytes, then it.
pub const ASK_SECRET: [u8; NONCE_BYTES] = *b"cloison: what is hidden herein 1";
/// The most bytes that a credential can have: what is encrypted, and the point, each with its length in front.
pub const MAX_CREDENTIAL_BYTES: usize = 192;

/// First bytes of the keys.
pub const MAGIC: [u8; 8] = *b"cl-keys1";

/// The keys of a TPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys<'a> {
    /// The public part of the endorsement key, as a `TPMT_PUBLIC`.
    pub endorsement: &'a [u8],
    /// That of the key which signs quotes.
    pub key: &'a [u8],
}

impl<'a> Keys<'a> {
    /// Reads keys. `None`: they are none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (length, rest) = bytes.strip_prefix(&MAGIC)?.split_first_chunk()?;
        let (endorsement, key) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
        Some(Self { endorsement, key })
    }

    /// What comes first. The keys follow, in their order.
    #[must_use]
    pub fn header(&self) -> [u8; MAGIC.len() + 2] {
        let mut header = [0; MAGIC.len() + 2];
        let (magic, length) = header.split_at_mut(MAGIC.len());
        magic.copy_from_slice(&MAGIC);
        length.copy_from_slice(&(self.endorsement.len() as u16).to_le_bytes());
        header
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let keys = Keys { endorsement: &[7; 300], key: b"key" };
        let bytes = [&keys.header()[..], keys.endorsement, keys.key].concat();
        assert_eq!(Keys::read(&bytes), Some(keys));
        assert!((0..310).all(|end| Keys::read(&bytes[..end]).is_none()), "cut");
        assert_eq!(Keys::read(&[b"cl-keys2", &bytes[8..]].concat()), None);
    }
}
