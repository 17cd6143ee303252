//! Finds out whose TPM a key is in: by a secret that only the TPM with an endorsement key tells, and only if the other key is
//! in it too.

use std::{fmt, time::Duration};

use cloison_measure::endorsement::Keys;
use cloison_tpm::{
    Error,
    tpm20::{AttestationKey, EndorsementKey},
};
use p256::SecretKey;

use crate::{
    certificate::{Authorities, NotCertified},
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
    /// Nobody who is believed vouches for the endorsement key.
    Certificate(NotCertified),
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
            Self::Certificate(why) => write!(out, "certificate of the endorsement key: {why}"),
            Self::Key(error) => write!(out, "key: it is not an attester's: {error}"),
            Self::Secret => out.write_str("no TPM that holds both keys has told the secret"),
        }
    }
}

/// What is known of the endorsement key that a machine has to have. With nothing, any counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// Its name.
    pub endorsement: Option<KeyName>,
    /// Those one of whom has to vouch for it.
    pub authorities: Option<&'a Authorities>,
    /// The time, since 1970.
    pub now: Duration,
}

/// A machine that has been asked for a secret.
#[derive(Debug)]
pub struct Asked {
    /// The name of its endorsement key.
    pub endorsement: KeyName,
    /// The name of the key that signs its quotes.
    pub key: KeyName,
    /// Who vouches for the endorsement key; `None` if nobody was asked for.
    pub voucher: Option<String>,
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
        known: &Known<'_>,
        secret: [u8; SECRET_BYTES],
        once: &SecretKey,
    ) -> Result<Self, NotEnrolled> {
        let keys = Keys::read(answer).ok_or_else(|| said(answer).unwrap_or(NotEnrolled::Keys))?;
        let theirs = EndorsementKey::read(keys.endorsement).map_err(NotEnrolled::Endorsement)?;
        let (endorsement, key) = (KeyName::of(keys.endorsement), KeyName::of(keys.key));
        if known.endorsement.is_some_and(|expected| expected != endorsement) {
            return Err(NotEnrolled::Other(endorsement));
        }
        let vouch = |believed: &Authorities| believed.check(keys.certificate, &theirs, known.now);
        let voucher = known.authorities.map(vouch).transpose().map_err(NotEnrolled::Certificate)?;
        AttestationKey::read(keys.key).map_err(NotEnrolled::Key)?;
        let credential = hide(&secret, &key, &theirs, once).ok_or(NotEnrolled::Keys)?;
        Ok(Self { endorsement, key, voucher, secret, credential })
    }

    /// What the machine has to be sent.
    #[must_use]
    pub fn credential(&self) -> Vec<u8> {
        [&self.credential.identity[..], &self.credential.seed].concat()
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
