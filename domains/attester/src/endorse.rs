//! How a machine shows whose TPM its key is in: both keys, and a secret that the TPM tells only if it holds both.

use cloison_measure::{endorsement::Keys, evidence::NONCE_BYTES};
use cloison_tpm::{
    Error,
    tpm20::{
        ActivateCredential, CreateAttestationKey, CreateCurveEndorsementKey, LoadedKey, PolicySecret,
        StartPolicySession,
    },
};

use crate::{MAX_COMMAND_BYTES, Room, Transmit, Trouble, flush, run};

/// The public parts of both keys. Neither stays in the TPM.
///
/// # Errors
/// Why there are none.
pub fn keys<'b, T: Transmit>(tpm: &mut T, room: &'b mut Room) -> Result<Keys<'b>, Trouble<T::Error>> {
    let endorsement = run(tpm, &CreateCurveEndorsementKey, &mut room.quote)?;
    flush(tpm, endorsement.handle)?;
    let key = run(tpm, &CreateAttestationKey, &mut room.key)?;
    flush(tpm, key.handle)?;
    let public = |loaded: LoadedKey<'b>| loaded.key.map(|key| key.structure).map_err(Trouble::Tpm);
    Ok(Keys { endorsement: public(endorsement)?, key: public(key)? })
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
    let endorsement = run(tpm, &CreateCurveEndorsementKey, &mut room.quote)?.handle;
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
