//! What a machine gives to somebody who wants to know what runs on it: a TPM's quote, the key that signs it, and the log.
//!
//! A header states how long each part is, and the parts follow. None of them is looked into here.

/// First bytes of evidence.
pub const MAGIC: [u8; 8] = *b"cl-evid1";
/// Length of the header: those bytes, and a length for each part.
pub const HEADER_BYTES: usize = MAGIC.len() + 4 * PARTS;
/// How many parts there are.
const PARTS: usize = 4;

/// Bytes of the nonce that a verifier sends.
pub const NONCE_BYTES: usize = 32;
/// The registers that a quote has to have, as bits: those that firmware and loader extend, and the one for what starts later.
pub const REGISTERS: u32 = 0x7bff;

/// The parts of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence<'a> {
    /// The public part of the key, as a `TPMT_PUBLIC`.
    pub key: &'a [u8],
    /// What the TPM states, as a `TPMS_ATTEST`.
    pub statement: &'a [u8],
    /// The signature of that, as a `TPMT_SIGNATURE`.
    pub signature: &'a [u8],
    /// The log of what was measured; see [`crate::log`].
    pub log: &'a [u8],
}

impl<'a> Evidence<'a> {
    /// Reads evidence, of which nothing may be missing, and behind which nothing may come. `None`: it is none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (lengths, mut rest) = bytes.strip_prefix(&MAGIC)?.split_first_chunk::<{ 4 * PARTS }>()?;
        let mut parts = [&[][..]; PARTS];
        for (part, length) in parts.iter_mut().zip(lengths.as_chunks::<4>().0) {
            (*part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        }
        let [key, statement, signature, log] = parts;
        rest.is_empty().then_some(Self { key, statement, signature, log })
    }

    /// The header. The parts follow, in their order.
    #[must_use]
    pub fn header(&self) -> [u8; HEADER_BYTES] {
        self.header_before(0)
    }

    /// The header, if so many bytes more of the log follow the parts.
    #[must_use]
    pub fn header_before(&self, more_of_log: usize) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let (magic, lengths) = header.split_at_mut(MAGIC.len());
        magic.copy_from_slice(&MAGIC);
        let [key, statement, signature, log] = self.parts().map(<[u8]>::len);
        let stated = [key, statement, signature, log + more_of_log];
        for (place, length) in lengths.as_chunks_mut::<4>().0.iter_mut().zip(stated) {
            *place = (length as u32).to_le_bytes();
        }
        header
    }

    /// The parts, in their order.
    #[must_use]
    pub fn parts(&self) -> [&'a [u8]; PARTS] {
        [self.key, self.statement, self.signature, self.log]
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn written(evidence: &Evidence<'_>) -> Vec<u8> {
        [&evidence.header()[..], &evidence.parts().concat()].concat()
    }

    #[test]
    fn what_is_written_is_what_is_read_and_nothing_else_is() {
        let evidence = Evidence { key: b"key", statement: b"", signature: b"signed", log: &[7; 300] };
        let bytes = written(&evidence);
        assert_eq!(Evidence::read(&bytes), Some(evidence));
        let more = [&evidence.header_before(2)[..], &evidence.parts().concat(), &[8; 2]].concat();
        let log = [&[7; 300][..], &[8; 2]].concat();
        assert_eq!(Evidence::read(&more), Some(Evidence { log: &log, ..evidence }));
        assert!((0..bytes.len()).all(|end| Evidence::read(&bytes[..end]).is_none()), "cut");
        assert_eq!(Evidence::read(&[&bytes[..], &[0]].concat()), None, "longer");
        for place in 0..HEADER_BYTES {
            let mut changed = bytes.clone();
            changed[place] ^= 0x80;
            assert_eq!(Evidence::read(&changed), None, "byte {place}");
        }
    }
}
