//! The certificate of an endorsement key: who vouches that it is in a TPM (RFC 5280; TCG *EK Credential Profile*, section 3).

use std::{fmt, time::Duration};

use cloison_tpm::tpm20::EndorsementKey;
use p256::ecdsa::{self, signature::Verifier};
use rsa::{Pkcs1v15Sign, PublicKey, pkcs1::DecodeRsaPublicKey, traits::PublicKeyParts};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::{
    Certificate,
    der::{Decode, Encode, SliceReader, oid::ObjectIdentifier},
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage},
};

use crate::event::shown;

/// The public exponent of every endorsement key.
const EXPONENT: [u8; 3] = [1, 0, 1];
/// `tcg-kp-EKCertificate`: what the certificate of an endorsement key is for.
const FOR_ENDORSEMENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.8.1");
/// `sha256WithRSAEncryption`, `sha384WithRSAEncryption`, `sha512WithRSAEncryption`, `ecdsa-with-SHA256`.
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// Extensions that may be critical: how a key is used, other names, whether it is an authority's, what it is for.
const KNOWN_EXTENSIONS: [&str; 4] = ["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37"];

/// Those who are believed when they vouch for a TPM.
#[derive(Debug, Clone)]
pub struct Authorities(Vec<Certificate>);

/// Why nobody who is believed vouches for an endorsement key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCertified {
    /// The TPM has no certificate.
    Missing,
    /// What it has is none.
    Unreadable(String),
    /// It is of another key.
    OtherKey,
    /// It is for something else than an endorsement key.
    OtherUse,
    /// It has an extension that has to be understood, and is not.
    Extension(String),
    /// This one has issued it, and is not among those who are believed.
    OtherAuthority(String),
    /// This one is said to have issued it, and has not signed it.
    Signature(String),
    /// The one who has issued it may issue none.
    NoAuthority(String),
    /// It does not hold yet.
    NotYet(String),
    /// It holds no longer.
    Expired(String),
}

impl fmt::Display for NotCertified {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => out.write_str("the TPM has none"),
            Self::Unreadable(why) => write!(out, "what the TPM has is none: {why}"),
            Self::OtherKey => out.write_str("it is of another key"),
            Self::OtherUse => out.write_str("it is not for an endorsement key"),
            Self::Extension(number) => {
                write!(out, "it has the critical extension {number}, which is not known here")
            }
            Self::OtherAuthority(name) => write!(out, "it was issued by {name}, whom nobody here believes"),
            Self::Signature(name) => {
                write!(out, "{name} has not signed it, or by an algorithm that is not known here")
            }
            Self::NoAuthority(name) => write!(out, "{name} may not issue certificates"),
            Self::NotYet(start) => write!(out, "it holds from {start} on"),
            Self::Expired(end) => write!(out, "it has expired, at {end}"),
        }
    }
}

impl Authorities {
    /// Reads their certificates: one in the form DER, or any number in the form PEM.
    ///
    /// # Errors
    ///
    /// Why these are none.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let der = || Certificate::from_der(bytes).map(|one| vec![one]);
        let all = if bytes.starts_with(&[0x30]) { der() } else { Certificate::load_pem_chain(bytes) };
        let all = all.map_err(|error| format!("it holds no certificates: {error}"))?;
        if all.is_empty() { Err("it holds no certificates".to_owned()) } else { Ok(Self(all)) }
    }

    /// Whether one of them vouches for an endorsement key, at a time since 1970. Returns who.
    ///
    /// # Errors
    ///
    /// [`NotCertified`].
    pub(crate) fn check(
        &self,
        certificate: &[u8],
        key: &EndorsementKey<'_>,
        now: Duration,
    ) -> Result<String, NotCertified> {
        if certificate.is_empty() {
            return Err(NotCertified::Missing);
        }
        // A TPM may have room behind it, with anything in it.
        let unreadable = |error: x509_cert::der::Error| NotCertified::Unreadable(error.to_string());
        let mut reader = SliceReader::new(certificate).map_err(unreadable)?;
        let certificate = Certificate::decode(&mut reader).map_err(unreadable)?;
        if !is_of(&certificate, key) {
            return Err(NotCertified::OtherKey);
        }
        is_understood(&certificate)?;
        is_for_endorsement(&certificate)?;
        let issuer = certificate.tbs_certificate().issuer();
        let name = shown(issuer.to_string().as_bytes());
        let mut named = self.0.iter().filter(|one| one.tbs_certificate().subject() == issuer).peekable();
        if named.peek().is_none() {
            return Err(NotCertified::OtherAuthority(name));
        }
        let signer = named.find(|one| has_signed(one, &certificate).unwrap_or(false));
        let signer = signer.ok_or_else(|| NotCertified::Signature(name.clone()))?;
        if !may_issue(signer) {
            return Err(NotCertified::NoAuthority(name));
        }
        is_understood(signer)?;
        [signer, &certificate].into_iter().try_for_each(|one| holds(one, now))?;
        Ok(name)
    }
}

/// Whether it is the certificate of this key.
fn is_of(certificate: &Certificate, key: &EndorsementKey<'_>) -> bool {
    let Some(bits) = certificate.tbs_certificate().subject_public_key_info().subject_public_key.as_bytes()
    else {
        return false;
    };
    match key {
        EndorsementKey::Curve { point: [x, y] } => bits == [&[4][..], *x, *y].concat(),
        EndorsementKey::Rsa { modulus } => PublicKey::from_pkcs1_der(bits)
            .is_ok_and(|key| *key.n_bytes() == modulus[..] && *key.e_bytes() == EXPONENT),
    }
}

/// Whether nothing in it is critical that is not looked at here: what it restricts would be passed over.
fn is_understood(certificate: &Certificate) -> Result<(), NotCertified> {
    let extensions = certificate.tbs_certificate().extensions().into_iter().flatten();
    let mut numbers = extensions.filter(|one| one.critical).map(|one| one.extn_id.to_string());
    match numbers.find(|number| !KNOWN_EXTENSIONS.contains(&number.as_str())) {
        Some(number) => Err(NotCertified::Extension(number)),
        None => Ok(()),
    }
}

/// Who has a certificate for something else, such as a server's, has none that makes a TPM of a program.
fn is_for_endorsement(certificate: &Certificate) -> Result<(), NotCertified> {
    match certificate.tbs_certificate().get_extension::<ExtendedKeyUsage>() {
        Ok(Some((_, uses))) if uses.0.contains(&FOR_ENDORSEMENT) => Ok(()),
        _ => Err(NotCertified::OtherUse),
    }
}

/// Whether it is an authority's, whose key may sign certificates if it says what that key is for (RFC 5280, 6.1.4 k and n).
fn may_issue(authority: &Certificate) -> bool {
    let authority = authority.tbs_certificate();
    let may_sign = match authority.get_extension::<KeyUsage>() {
        Ok(usage) => usage.is_none_or(|(_, usage)| usage.key_cert_sign()),
        Err(_) => false,
    };
    let constraints = authority.get_extension::<BasicConstraints>();
    may_sign && matches!(constraints, Ok(Some((_, BasicConstraints { ca: true, .. }))))
}

fn holds(certificate: &Certificate, now: Duration) -> Result<(), NotCertified> {
    let validity = certificate.tbs_certificate().validity();
    if now < validity.not_before.to_unix_duration() {
        return Err(NotCertified::NotYet(validity.not_before.to_string()));
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(NotCertified::Expired(validity.not_after.to_string()));
    }
    Ok(())
}

/// Whether one has signed the other. `None`: keys or signature cannot be read, or are of another kind.
fn has_signed(authority: &Certificate, certificate: &Certificate) -> Option<bool> {
    let (text, stated) = (certificate.tbs_certificate(), certificate.signature_algorithm());
    // The one inside is signed, the one outside is what is gone by.
    if text.signature() != stated {
        return None;
    }
    let (text, signature) = (text.to_der().ok()?, certificate.signature().as_bytes()?);
    let key = authority.tbs_certificate().subject_public_key_info().subject_public_key.as_bytes()?;
    let by_rsa = |scheme, digest: &[u8]| {
        Some(PublicKey::from_pkcs1_der(key).ok()?.verify(scheme, digest, signature).is_ok())
    };
    match stated.oid {
        RSA_SHA256 => by_rsa(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(&text)),
        RSA_SHA384 => by_rsa(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(&text)),
        RSA_SHA512 => by_rsa(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(&text)),
        ECDSA_SHA256 => {
            let signature = ecdsa::Signature::from_der(signature).ok()?;
            Some(ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?.verify(&text, &signature).is_ok())
        }
        _ => None,
    }
}
