//! How a machine shows whose TPM its key is in: both keys, the certificate of one of them, and a secret that the TPM tells only if
//! it holds both.

use cloison_measure::{
    endorsement::{Keys, MAX_CERTIFICATE_BYTES},
    evidence::NONCE_BYTES,
};
use cloison_tpm::{
    Error,
    tpm20::{
        ActivateCredential, CURVE_CERTIFICATE, CreateAttestationKey, CreateCurveEndorsementKey,
        CreateEndorsementKey, KeptBytes, LoadedKey, MAX_READ_BYTES, PolicySecret, RSA_CERTIFICATE, ReadKept,
        StartPolicySession,
    },
};

use crate::{MAX_COMMAND_BYTES, Room, Transmit, Trouble, flush, run};

/// The endorsement key that a TPM shows, and where its certificate is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Endorsement {
    Rsa,
    /// The quicker one, which a TPM shows that has no certificate.
    Curve,
}

impl Endorsement {
    const fn certificate(self) -> u32 {
        match self {
            Self::Rsa => RSA_CERTIFICATE,
            Self::Curve => CURVE_CERTIFICATE,
        }
    }

    /// The one that has a certificate, of so many bytes, which may be none at all. A TPM gives the same answer each time.
    fn of<T: Transmit>(tpm: &mut T) -> Result<(Self, usize), Trouble<T::Error>> {
        for kind in [Self::Rsa, Self::Curve] {
            let mut small = [0; MAX_COMMAND_BYTES];
            match run(tpm, &KeptBytes { index: kind.certificate() }, &mut small) {
                Ok(bytes) => return Ok((kind, bytes.into())),
                // Nothing is kept there.
                Err(Trouble::Tpm(Error::Refused(_))) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        Ok((Self::Curve, 0))
    }

    fn create<'b, T: Transmit>(
        self,
        tpm: &mut T,
        room: &'b mut [u8],
    ) -> Result<LoadedKey<'b>, Trouble<T::Error>> {
        match self {
            Self::Rsa => run(tpm, &CreateEndorsementKey, room),
            Self::Curve => run(tpm, &CreateCurveEndorsementKey, room),
        }
    }
}

/// The public parts of both keys, and the certificate. Neither key stays in the TPM.
///
/// # Errors
/// Why there are none.
pub fn keys<'b, T: Transmit>(tpm: &mut T, room: &'b mut Room) -> Result<Keys<'b>, Trouble<T::Error>> {
    let (kind, bytes) = Endorsement::of(tpm)?;
    let certificate = certificate(tpm, kind.certificate(), bytes, &mut room.certificate)?;
    let endorsement = kind.create(tpm, &mut room.quote)?;
    flush(tpm, endorsement.handle)?;
    let key = run(tpm, &CreateAttestationKey, &mut room.key)?;
    flush(tpm, key.handle)?;
    let public = |loaded: LoadedKey<'b>| loaded.key.map(|key| key.structure).map_err(Trouble::Tpm);
    Ok(Keys { endorsement: public(endorsement)?, key: public(key)?, certificate })
}

/// What is kept under a number, part by part.
fn certificate<'b, T: Transmit>(
    tpm: &mut T,
    index: u32,
    bytes: usize,
    room: &'b mut [u8; MAX_CERTIFICATE_BYTES],
) -> Result<&'b [u8], Trouble<T::Error>> {
    let too_long = Error::Unexpected { field: "length of the certificate", value: bytes as u32 };
    let room = room.get_mut(..bytes).ok_or(Trouble::Tpm(too_long))?;
    let mut offset = 0;
    for part in room.chunks_mut(MAX_READ_BYTES.into()) {
        let mut response = [0; MAX_READ_BYTES as usize + MAX_COMMAND_BYTES];
        let bytes = part.len() as u16;
        part.copy_from_slice(run(tpm, &ReadKept { index, offset, bytes }, &mut response)?);
        offset += bytes;
    }
    Ok(room)
}

/// The secret in a credential. Nothing of what is needed for it stays in the TPM.
///
/// # Errors
/// Why it is not told: among others, that the credential is for another TPM, or bound to another key.
pub fn tell<T: Transmit>(
    tpm: &mut T,
    credential: &[u8],
    room: &mut Room,
) -> Result<[u8; NONCE_BYTES], Trouble<T::Error>> {
    let (kind, _) = Endorsement::of(tpm)?;
    let endorsement = kind.create(tpm, &mut room.quote)?.handle;
    let told = with_key(tpm, endorsement, credential, room);
    let flushed = flush(tpm, endorsement);
    let secret = told?;
    flushed?;
    Ok(secret)
}

fn with_key<T: Transmit>(
    tpm: &mut T,
    endorsement: u32,
    credential: &[u8],
    room: &mut Room,
) -> Result<[u8; NONCE_BYTES], Trouble<T::Error>> {
    let key = run(tpm, &CreateAttestationKey, &mut room.key)?.handle;
    let mut small = [0; MAX_COMMAND_BYTES];
    let session = run(tpm, &StartPolicySession, &mut small);
    let told = session.and_then(|session| {
        let allowed = run(tpm, &PolicySecret { session }, &mut small);
        let activate = ActivateCredential { key, endorsement, session, credential };
        let told = allowed.and_then(|()| secret(run(tpm, &activate, &mut small)?));
        if told.is_err() {
            // The command would have ended it. What went wrong is said already.
            let _ = flush(tpm, session);
        }
        told
    });
    let flushed = flush(tpm, key);
    let secret = told?;
    flushed?;
    Ok(secret)
}

fn secret<E>(told: &[u8]) -> Result<[u8; NONCE_BYTES], Trouble<E>> {
    let value = told.len() as u32;
    told.try_into().map_err(|_| Trouble::Tpm(Error::Unexpected { field: "length of the secret", value }))
}
