//! A secret that a TPM tells only if both of two keys are in it: its endorsement key and another one (TPM library, part 1,
//! sections 11.4.10 and 24; part 3, `MakeCredential`).
//!
//! An endorsement key signs nothing. So what shows that it is somewhere is what only it can decrypt; and a TPM that
//! decrypts this looks first whether the name that was bound to it is that of a key it holds.

use aes::{
    Aes128,
    cipher::{BlockCipherEncrypt, KeyInit as _},
};
use cloison_tpm::tpm20::EndorsementKey;
use hmac::{Hmac, Mac};
use p256::{PublicKey, SecretKey, elliptic_curve::sec1::ToSec1Point};
use rsa::{BoxedUint, oaep::Oaep};
use sha2::{Digest, Sha256};

use crate::{key::KeyName, once::Once};

/// Bytes of the secret.
pub const SECRET_BYTES: usize = 32;
const CIPHER_BLOCK: usize = 16;

/// What a TPM has to be given, each with its length in front: what is encrypted, and what it is encrypted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// A `TPM2B_ID_OBJECT`.
    pub identity: Vec<u8>,
    /// A `TPM2B_ENCRYPTED_SECRET`: a point of the curve, or what is encrypted by RSA.
    pub seed: Vec<u8>,
}

/// Hides a secret for the TPM with an endorsement key, which tells it only if it holds the key with this name. `once` is a key
/// that is used for nothing else. `None`: the endorsement key is no point of the curve, or no modulus.
#[must_use]
pub fn hide(
    secret: &[u8; SECRET_BYTES],
    name: &KeyName,
    endorsement: &EndorsementKey<'_>,
    once: &SecretKey,
) -> Option<Credential> {
    let (seed, sent) = match endorsement {
        EndorsementKey::Curve { point } => agreed_on(point, once)?,
        EndorsementKey::Rsa { modulus } => encrypted(&modulus[..], once)?,
    };
    let mut hidden = sized(secret);
    encrypt(&derived::<CIPHER_BLOCK>(&seed, b"STORAGE", name.bytes()), &mut hidden);
    let proof = signed(&derived::<32>(&seed, b"INTEGRITY", &[]), &[&hidden, name.bytes()]);
    let identity = [sized(&proof), hidden].concat();
    Some(Credential { identity: sized(&identity), seed: sized(&sent) })
}

/// A seed on which both sides agree by a point of the curve, and the point that is sent for it.
fn agreed_on([x, y]: &[&[u8; 32]; 2], once: &SecretKey) -> Option<([u8; 32], Vec<u8>)> {
    let theirs = PublicKey::from_sec1_bytes(&[&[4][..], *x, *y].concat()).ok()?;
    let own = once.public_key().to_sec1_point(false);
    let (own_x, own_y) = own.as_bytes().get(1..)?.split_at_checked(x.len())?;
    let shared = once.diffie_hellman(&theirs);
    Some((agreed(shared.raw_secret_bytes(), own_x, *x), [sized(own_x), sized(own_y)].concat()))
}

/// A seed, and what RSA makes of it (part 1, section B.10.3: OAEP with the label and the zero at its end).
fn encrypted(modulus: &[u8], once: &SecretKey) -> Option<([u8; 32], Vec<u8>)> {
    const EXPONENT: u32 = 65_537;
    let theirs = rsa::PublicKey::new(BoxedUint::from_be_slice_vartime(modulus), EXPONENT.into()).ok()?;
    let mut random = Once::new(once);
    let seed = random.next();
    let padding = Oaep::<Sha256>::new_with_label(b"IDENTITY\0".as_slice());
    Some((seed, theirs.encrypt(&mut random, padding, &seed).ok()?))
}

/// What both sides make of the number that they have agreed on (`KDFe`).
fn agreed(number: &[u8], own_x: &[u8], their_x: &[u8]) -> [u8; 32] {
    let parts = [&1_u32.to_be_bytes()[..], number, b"IDENTITY\0", own_x, their_x];
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

/// A key for one use, made of a seed (`KDFa`).
fn derived<const N: usize>(seed: &[u8; 32], label: &[u8], context: &[u8]) -> [u8; N] {
    let bits = (8 * N as u32).to_be_bytes();
    let made = signed(seed, &[&1_u32.to_be_bytes(), label, &[0], context, &bits]);
    core::array::from_fn(|at| made[at])
}

fn signed(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // A key that is shorter than a block has zeros behind it.
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let mac = Hmac::<Sha256>::new(&block.into());
    parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
}

/// AES in the mode CFB, beginning with zeros.
fn encrypt(key: &[u8; CIPHER_BLOCK], text: &mut [u8]) {
    let (cipher, mut block) = (Aes128::new(key.into()), [0; CIPHER_BLOCK].into());
    for part in text.chunks_mut(CIPHER_BLOCK) {
        cipher.encrypt_block(&mut block);
        for (byte, stream) in part.iter_mut().zip(&mut block) {
            *stream ^= *byte;
            *byte = *stream;
        }
    }
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}
