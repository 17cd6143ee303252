//! Reads the exchanges of a TPM 1.2 that quotes, which were recorded with swtpm; `examples/record.rs` made the file.

mod recording;

use cloison_tpm::{
    Command, Error, ReturnCode,
    tpm12::{
        Composite, CreateSigningKey, LoadKey, Quote, STORAGE_ROOT_KEY, Secret, Session, SigningKey,
        StartKeySession, StartSession, UnloadKey, quote_info, secret_of,
    },
};
use proptest::{prelude::*, sample::Index};
use recording::Recording;

/// What the recorder used: the nonce of its side, the secret of the key that it made, the nonce of the quote, its registers.
const ODD: Secret = *b"odd nonce: 20 bytes.";
const SECRET: Secret = *b"the secret of a key.";
const NONCE: [u8; 20] = *b"twenty-byte nonce 12";
const REGISTERS: u32 = 0x7bff;

fn recorded() -> Recording {
    Recording::read(include_str!("../recorded/quote12.hex"))
}

/// The session that a TPM has begun for a command.
fn session(tpm: &Recording, name: &str, secret: &Secret) -> Session {
    let begun = tpm.parse(&format!("session for {name}"), &StartSession).expect("a session");
    Session::new(&begun, secret, ODD)
}

/// The session in which the key was made.
fn root_session(tpm: &Recording) -> Session {
    let begin = StartKeySession { key: STORAGE_ROOT_KEY, odd: ODD };
    let begun = tpm.parse("session for the root", &begin).expect("a session");
    Session::new(&begun, &secret_of(b"storage"), ODD)
}

/// The key, as its maker has it.
fn key(tpm: &Recording) -> Vec<u8> {
    let session = root_session(tpm);
    let create = CreateSigningKey { parent: STORAGE_ROOT_KEY, secret: &SECRET, session: &session };
    tpm.parse("create signing key", &create).expect("a key").to_vec()
}

#[test]
fn a_quote_states_the_registers_and_the_nonce() {
    let tpm = recorded();
    let key = key(&tpm);
    assert_eq!(SigningKey::read(&key).map(|key| (key.modulus.len(), key.exponent)), Ok((256, 65_537)));
    let loading = session(&tpm, "loading", &secret_of(b"storage"));
    let load = LoadKey { parent: STORAGE_ROOT_KEY, key: &key, session: &loading };
    let handle = tpm.parse("load key", &load).expect("a handle");
    let session = session(&tpm, "the quote", &SECRET);
    let quote = Quote { key: handle, nonce: &NONCE, registers: REGISTERS, session: &session };
    let quoted = tpm.parse("quote", &quote).expect("a quote");
    let composite = Composite::read(quoted.composite).expect("registers");
    assert_eq!((composite.registers, quoted.signature.len()), (REGISTERS, 256));
    let numbers: Vec<u32> = composite.iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14]);
    assert!(composite.iter().all(|(_, value)| *value == [0; 20]), "nobody has measured anything");
    let info = quote_info(quoted.composite, &NONCE);
    assert_eq!((&info[..8], &info[28..]), (&b"\x01\x01\0\0QUOT"[..], &NONCE[..]));
    assert_eq!(tpm.parse("unload key", &UnloadKey { key: handle }), Ok(()));
    assert!(matches!(tpm.parse("unload key again", &UnloadKey { key: handle }), Err(Error::Refused(_))));
}

#[test]
fn who_does_not_know_the_secret_has_no_quote() {
    let tpm = recorded();
    let session = session(&tpm, "the quote by a guess", &ODD);
    let handle = u32::from_be_bytes(*tpm.response("load key")[10..].first_chunk().expect("a handle"));
    let quote = Quote { key: handle, nonce: &NONCE, registers: REGISTERS, session: &session };
    assert_eq!(tpm.parse("quote by a guess", &quote).unwrap_err(), Error::Refused(ReturnCode(1)));
}

/// Each byte of what is not secret or the key's own has to be as this crate makes it.
#[test]
fn a_key_that_could_sign_anything_else_is_none() {
    let key = key(&recorded());
    for place in 0..43 {
        let mut changed = key.clone();
        changed[place] ^= 1;
        assert!(SigningKey::read(&changed).is_err(), "byte {place}");
    }
    assert!((0..key.len()).all(|end| SigningKey::read(&key[..end]).is_err()), "cut");
    assert!(SigningKey::read(&[&key[..], &[0]].concat()).is_err(), "longer");
}

#[test]
fn registers_are_read_to_the_last_byte() {
    let tpm = recorded();
    let response = tpm.response("quote");
    let composite = &response[10..10 + 5 + 4 + 14 * 20];
    assert!(Composite::read(composite).is_ok());
    assert!((0..composite.len()).all(|end| Composite::read(&composite[..end]).is_err()), "cut");
    assert!(Composite::read(&[composite, &[0]].concat()).is_err(), "longer");
    let mut fewer = composite.to_vec();
    fewer[2] = 0xfe;
    assert!(Composite::read(&fewer).is_err(), "a register less than there are values");
}

proptest! {
    /// One changed byte, and the answer is none: the proof covers all that it says.
    #[test]
    fn a_changed_answer_is_noticed(place in any::<Index>(), change in 1..=255_u8) {
        let tpm = recorded();
        let session = session(&tpm, "the quote", &SECRET);
        let quote = Quote { key: 0, nonce: &NONCE, registers: REGISTERS, session: &session };
        let mut response = tpm.response("quote").to_vec();
        prop_assert!(quote.parse(&response).is_ok());
        let place = 10 + place.index(response.len() - 10);
        response[place] ^= change;
        prop_assert_eq!(quote.parse(&response), Err(Error::WrongProof), "byte {}", place);
    }
}
