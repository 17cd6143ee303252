//! Finds out whose TPM a key is in: by a secret that only the TPM with an endorsement key tells, and only if the other key is
//! in it too.

use std::fmt;

use cloison_measure::endorsement::Keys;
use cloison_tpm::{
    Error,
    tpm20::{AttestationKey, EndorsementKey},
};
use p256::SecretKey;

use crate::{
    credential::{Credential, SECRET_BYTES, hide},
    event::shown,
    key::KeyName,
};

/// Why a key is not known to be in a TPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotEnrolled {
    /// The machine gives no keys, or no secret, and says why.
    None(String),
    /// What it sends are no keys.
    Keys,
    /// The endorsement key is none that every TPM can make.
    Endorsement(Error),
    /// It has this name, which is another than the one expected.
    Other(KeyName),
    /// The other key is not one that signs a TPM's own statements alone, for the attester alone.
    Key(Error),
    /// The secret is another one.
    Secret,
}

impl fmt::Display for NotEnrolled {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None(why) => write!(out, "the machine says: {why}"),
            Self::Keys => out.write_str("what the machine sends are no keys"),
            Self::Endorsement(error) => write!(out, "endorsement key: {error}"),
            Self::Other(name) => {
                write!(out, "endorsement key: its name is {name}, which is not the one expected")
            }
            Self::Key(error) => write!(out, "key: it is not an attester's: {error}"),
            Self::Secret => out.write_str("no TPM that holds both keys has told the secret"),
        }
    }
}

/// A machine that has been asked for a secret.
#[derive(Debug)]
pub struct Asked {
    /// The name of its endorsement key.
    pub endorsement: KeyName,
    /// The name of the key that signs its quotes.
    pub key: KeyName,
    secret: [u8; SECRET_BYTES],
    credential: Credential,
}

impl Asked {
    /// Hides a secret for a machine that has sent its keys. `once` is a key that is used for nothing else.
    ///
    /// # Errors
    ///
    /// [`NotEnrolled`].
    pub fn of(
        answer: &[u8],
        expected: Option<KeyName>,
        secret: [u8; SECRET_BYTES],
        once: &SecretKey,
    ) -> Result<Self, NotEnrolled> {
        let keys = Keys::read(answer).ok_or_else(|| said(answer).unwrap_or(NotEnrolled::Keys))?;
        let theirs = EndorsementKey::read(keys.endorsement).map_err(NotEnrolled::Endorsement)?;
        let (endorsement, key) = (KeyName::of(keys.endorsement), KeyName::of(keys.key));
        if expected.is_some_and(|expected| expected != endorsement) {
            return Err(NotEnrolled::Other(endorsement));
        }
        AttestationKey::read(keys.key).map_err(NotEnrolled::Key)?;
        let credential = hide(&secret, &key, &theirs, once).ok_or(NotEnrolled::Keys)?;
        Ok(Self { endorsement, key, secret, credential })
    }

    /// What the machine has to be sent.
    #[must_use]
    pub fn credential(&self) -> Vec<u8> {
        [&self.credential.identity[..], &self.credential.point].concat()
    }

    /// Whether it has answered with the secret.
    ///
    /// # Errors
    ///
    /// [`NotEnrolled`].
    pub fn check(&self, answer: &[u8]) -> Result<(), NotEnrolled> {
        if answer == self.secret { Ok(()) } else { Err(said(answer).unwrap_or(NotEnrolled::Secret)) }
    }
}

/// What a machine says that has nothing to give.
fn said(answer: &[u8]) -> Option<NotEnrolled> {
    let why = answer.strip_prefix(b"none: ")?.strip_suffix(b"\n")?;
    Some(NotEnrolled::None(shown(why)))
}
