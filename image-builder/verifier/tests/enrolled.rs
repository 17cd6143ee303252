//! A TPM that is a program opens what a verifier hides for it, and whose keys are told apart by that.

use aes::{
    Aes128,
    cipher::{BlockCipherEncrypt, KeyInit as _},
};
use cloison_measure::endorsement::Keys;
use cloison_verify::{Asked, KeyName, Known, NotEnrolled, SECRET_BYTES};
use hmac::{Hmac, Mac};
use p256::{PublicKey, SecretKey, elliptic_curve::sec1::ToSec1Point};
use proptest::{prelude::*, sample::Index};
use sha2::{Digest, Sha256};

const SECRET: [u8; SECRET_BYTES] = [0x5e; SECRET_BYTES];

/// The public part of a recorded answer to `CreatePrimary`.
fn recorded(name: &str) -> Vec<u8> {
    let text = include_str!("../../../libos/tpm/recorded/quote.hex");
    let answer = text.lines().skip_while(|line| *line != format!("# {name}")).nth(2).unwrap();
    let bytes = unhex(answer.strip_prefix("< ").unwrap());
    // Behind the header, the handle and the length of the parameters.
    let length = u16::from_be_bytes([bytes[18], bytes[19]]);
    bytes[20..20 + usize::from(length)].to_vec()
}

fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..][..2], 16).unwrap()).collect()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn taken(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = u16::from_be_bytes([bytes[0], bytes[1]]);
    bytes[2..].split_at(length.into())
}

fn point(key: &SecretKey) -> Vec<u8> {
    key.public_key().to_sec1_point(false).as_bytes()[1..].to_vec()
}

/// A TPM with an endorsement key and another one.
struct Tpm {
    seed: SecretKey,
    endorsement: Vec<u8>,
    key: Vec<u8>,
}

fn tpm(seed: u8) -> Tpm {
    let key = SecretKey::from_slice(&[seed; 32]).unwrap();
    let mut endorsement = recorded("create endorsement key");
    endorsement.truncate(endorsement.len() - 68);
    let both = point(&key);
    endorsement.extend([sized(&both[..32]), sized(&both[32..])].concat());
    Tpm { seed: key, endorsement, key: recorded("create attestation key") }
}

impl Tpm {
    fn keys(&self) -> Vec<u8> {
        let keys = Keys { endorsement: &self.endorsement, key: &self.key, certificate: &[] };
        [&keys.header()[..], &keys.parts().concat()].concat()
    }

    /// What the TPM tells of a credential, if it is bound to its key; as `ActivateCredential` has it.
    fn tell(&self, credential: &[u8]) -> Option<Vec<u8>> {
        let (identity, rest) = taken(credential);
        let (theirs, end) = taken(rest);
        assert!(end.is_empty());
        let ((x, rest), name) = (taken(theirs), Sha256::digest(&self.key));
        let (y, _) = taken(rest);
        let name = [&[0, 0x0b][..], &name].concat();
        let public = PublicKey::from_sec1_bytes(&[&[4][..], x, y].concat()).unwrap();
        let shared = self.seed.diffie_hellman(&public);
        let own = point(&self.seed);
        let number = shared.raw_secret_bytes();
        let seed = Sha256::digest([&[0, 0, 0, 1][..], number, b"IDENTITY\0", x, &own[..32]].concat());
        let keyed = |key: &[u8], text: &[u8]| {
            let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text);
            mac.finalize().into_bytes().to_vec()
        };
        let (proof, hidden) = taken(identity);
        let key = keyed(&seed, &[&[0, 0, 0, 1][..], b"INTEGRITY\0", &[0, 0, 1, 0]].concat());
        if keyed(&key, &[hidden, &name].concat()) != proof {
            return None;
        }
        let key = keyed(&seed, &[&[0, 0, 0, 1][..], b"STORAGE\0", &name, &[0, 0, 0, 128]].concat());
        let cipher = Aes128::new_from_slice(&key[..16]).unwrap();
        let (mut before, mut plain) = ([0; 16], Vec::new());
        for part in hidden.chunks(16) {
            let mut stream = before.into();
            cipher.encrypt_block(&mut stream);
            plain.extend(part.iter().zip(&stream).map(|(byte, stream)| byte ^ stream));
            before[..part.len()].copy_from_slice(part);
        }
        Some(taken(&plain).0.to_vec())
    }
}

fn asked(keys: &[u8], expected: Option<KeyName>) -> Result<Asked, NotEnrolled> {
    let known = Known { endorsement: expected, ..Known::default() };
    Asked::of(keys, &known, SECRET, &SecretKey::from_slice(&[3; 32]).unwrap())
}

#[test]
fn a_tpm_with_both_keys_tells_the_secret() {
    let tpm = tpm(7);
    let asked = asked(&tpm.keys(), Some(KeyName::of(&tpm.endorsement))).unwrap();
    assert_eq!((asked.endorsement, asked.key), (KeyName::of(&tpm.endorsement), KeyName::of(&tpm.key)));
    let told = tpm.tell(&asked.credential()).unwrap();
    assert_eq!(told, SECRET);
    assert_eq!(asked.check(&told), Ok(()));
}

/// A key that is not in the TPM, an endorsement key that is another TPM's, a secret that was guessed.
#[test]
fn who_lacks_one_of_the_keys_tells_nothing() {
    let honest = tpm(7);
    let credential = asked(&honest.keys(), None).unwrap().credential();
    let mut without_key = tpm(7);
    *without_key.key.last_mut().unwrap() ^= 1;
    assert_eq!(without_key.tell(&credential), None);
    assert_eq!(tpm(8).tell(&credential), None);
    let claims = Tpm { key: without_key.key, ..tpm(7) }.keys();
    assert_eq!(honest.tell(&asked(&claims, None).unwrap().credential()), None, "the TPM has another key");
    let guess = asked(&honest.keys(), None).unwrap();
    for answer in [&[][..], &[0; 32], &SECRET[..31], &[&SECRET[..], &[0]].concat()] {
        assert_eq!(guess.check(answer), Err(NotEnrolled::Secret));
    }
    let none = b"none: the TPM does not show whose it is\n";
    assert_eq!(guess.check(none), Err(NotEnrolled::None("the TPM does not show whose it is".into())));
}

#[test]
fn keys_of_another_form_are_refused() {
    let tpm = tpm(7);
    let expected = KeyName::of(b"the endorsement key of another TPM");
    assert_eq!(
        asked(&tpm.keys(), Some(expected)).unwrap_err(),
        NotEnrolled::Other(KeyName::of(&tpm.endorsement))
    );
    let with = |endorsement: &[u8], key: &[u8]| {
        let header = Keys { endorsement, key, certificate: &[] }.header();
        asked(&[&header[..], endorsement, key].concat(), None).unwrap_err()
    };
    assert!(matches!(with(&tpm.key, &tpm.key), NotEnrolled::Endorsement(_)));
    assert!(matches!(with(&tpm.endorsement, &tpm.endorsement), NotEnrolled::Key(_)));
    let mut off_curve = tpm.endorsement.clone();
    *off_curve.last_mut().unwrap() ^= 1;
    assert_eq!(with(&off_curve, &tpm.key), NotEnrolled::Keys);
    for bytes in [&b""[..], b"cl-keys2", b"none: "] {
        assert_eq!(asked(bytes, None).unwrap_err(), NotEnrolled::Keys);
    }
    assert_eq!(asked(b"none: no\n", None).unwrap_err(), NotEnrolled::None("no".into()));
}

proptest! {
    /// Whatever a machine sends is judged, and nothing but the secret is taken for it.
    #[test]
    fn any_answer_is_judged(bytes in prop::collection::vec(any::<u8>(), 0..400), has_magic: bool) {
        let answer = if has_magic { [&b"cl-keys2"[..], &bytes].concat() } else { bytes.clone() };
        prop_assert!(asked(&answer, None).is_err());
        prop_assert_eq!(asked(&tpm(7).keys(), None).unwrap().check(&bytes).is_ok(), bytes == SECRET);
    }

    /// One changed byte of what is hidden, and the TPM tells nothing.
    #[test]
    fn a_changed_credential_tells_nothing(place in any::<Index>(), change in 1..=255_u8) {
        let tpm = tpm(7);
        let mut credential = asked(&tpm.keys(), None).unwrap().credential();
        // The proof, behind its length, and what is encrypted.
        let place = 4 + place.index(66);
        credential[place] ^= change;
        prop_assert_eq!(tpm.tell(&credential), None);
    }
}
