//! The quote of a TPM 1.2: registers of SHA-1, and a key of RSA that has signed them with a nonce.

use std::fmt;

use cloison_tpm::{
    Error,
    tpm12::{Composite, DIGEST_BYTES, SigningKey, quote_info},
};
use rsa::{BoxedUint, Pkcs1v15Sign, PublicKey};
use sha1::{Digest, Sha1};

/// A register and its value.
type Register = (u32, [u8; DIGEST_BYTES]);

/// What a machine with a TPM 1.2 shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldQuote<'a> {
    /// The key, as a `TPM_KEY`.
    pub key: &'a [u8],
    /// The registers, as a `TPM_PCR_COMPOSITE`.
    pub composite: &'a [u8],
    /// The signature of both them and the nonce.
    pub signature: &'a [u8],
}

/// Why a quote shows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotQuoted {
    /// The key is none that signs quotes and what others say apart.
    Key(Error),
    /// It has not signed these registers with this nonce.
    Signature,
    /// The registers cannot be read.
    Registers(Error),
    /// This register is not among them.
    Lacks(u32),
    /// This register is another than the one expected.
    Differs(u32),
    /// No register is expected to be anything, so anything would pass.
    NothingExpected,
}

impl fmt::Display for NotQuoted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => write!(out, "key: it is not one that signs quotes alone: {error}"),
            Self::Signature => {
                out.write_str("signature: the key has not signed these registers with this nonce")
            }
            Self::Registers(error) => write!(out, "registers: {error}"),
            Self::Lacks(pcr) => write!(out, "registers: PCR {pcr} is not quoted"),
            Self::Differs(pcr) => write!(out, "PCR {pcr} is not as foretold"),
            Self::NothingExpected => out.write_str("no register is foretold, so anything would pass"),
        }
    }
}

impl OldQuote<'_> {
    /// Whether the key has signed these registers with this nonce, and they are as expected. It does not say whose key it is.
    ///
    /// # Errors
    ///
    /// [`NotQuoted`].
    pub fn check(&self, nonce: &[u8; DIGEST_BYTES], expected: &[Register]) -> Result<(), NotQuoted> {
        if expected.is_empty() {
            return Err(NotQuoted::NothingExpected);
        }
        let key = SigningKey::read(self.key).map_err(NotQuoted::Key)?;
        let digest = Sha1::digest(quote_info(self.composite, nonce));
        public(&key)
            .and_then(|key| key.verify(Pkcs1v15Sign::new::<Sha1>(), &digest, self.signature))
            .map_err(|_| NotQuoted::Signature)?;
        let composite = Composite::read(self.composite).map_err(NotQuoted::Registers)?;
        for (pcr, value) in expected {
            match composite.iter().find(|(number, _)| number == pcr) {
                None => return Err(NotQuoted::Lacks(*pcr)),
                Some((_, quoted)) if quoted != value => return Err(NotQuoted::Differs(*pcr)),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn public(key: &SigningKey<'_>) -> rsa::Result<PublicKey> {
    PublicKey::new(BoxedUint::from_be_slice_vartime(key.modulus), key.exponent.into())
}
