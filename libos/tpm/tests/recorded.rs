//! Reads every exchange that was recorded with swtpm; `examples/record.rs` made the files.

mod recording;

use std::time::Duration;

use cloison_tpm::{Command, Error, Family, KeyKind, ReturnCode, duration::Durations12, header, tpm12, tpm20};
use recording::Recording;

/// The nonce that the recorder used.
const NONCE: [u8; 20] = *b"twenty-byte nonce 12";

fn recorded_12() -> Recording {
    Recording::read(include_str!("../recorded/tpm12.hex"))
}

fn recorded_20() -> Recording {
    Recording::read(include_str!("../recorded/tpm20.hex"))
}

fn recorded_quote() -> Recording {
    Recording::read(include_str!("../recorded/quote.hex"))
}

fn recorded_quote_12() -> Recording {
    Recording::read(include_str!("../recorded/quote12.hex"))
}

fn recorded_certificate() -> Recording {
    Recording::read(include_str!("../recorded/certificate.hex"))
}

fn recorded_event() -> Recording {
    Recording::read(include_str!("../recorded/event.hex"))
}

fn refused<T>(code: u32) -> Result<T, Error> {
    Err(Error::Refused(ReturnCode(code)))
}

#[test]
fn every_recorded_command_passes_the_check() {
    for recording in [
        recorded_12(),
        recorded_20(),
        recorded_quote(),
        recorded_event(),
        recorded_quote_12(),
        recorded_certificate(),
    ] {
        assert!(recording.0.len() > 3);
        for exchange in &recording.0 {
            let header = header::check_command(&exchange.command, 4096).expect("a good command");
            assert_eq!(header.length, exchange.command.len(), "{}", exchange.name);
        }
    }
}

#[test]
fn probe_tells_the_versions_apart() {
    assert_eq!(Family::from_probe(recorded_12().response("probe")), Ok(Family::Tpm12));
    assert_eq!(Family::from_probe(recorded_20().response("probe")), Ok(Family::Tpm20));
    assert_eq!(Family::from_probe(recorded_20().response("probe after startup")), Ok(Family::Tpm20));
}

#[test]
fn probe_does_not_take_a_failed_tpm_for_a_version() {
    let failed = [0x00, 0xc4, 0, 0, 0, 10, 0, 0, 0, 9];
    assert_eq!(Family::from_probe(&failed), refused(9));
}

#[test]
fn tpm12_starts() {
    let tpm = recorded_12();
    let before = tpm.parse("version before startup", &tpm12::GetVersion);
    assert_eq!(before, refused(ReturnCode::INVALID_POST_INIT.0));
    assert_eq!(tpm.parse("startup", &tpm12::Startup), Ok(()));
    assert_eq!(tpm.parse("self test", &tpm12::ContinueSelfTest), Ok(()));
}

#[test]
fn tpm12_capabilities() {
    let tpm = recorded_12();
    let version = tpm.parse("version", &tpm12::GetVersion).expect("a version");
    assert_eq!((version.specification, version.vendor), ((1, 2), *b"IBM\0"));
    assert_eq!(tpm.parse("manufacturer", &tpm12::GetManufacturer), Ok(*b"IBM\0"));
    assert_eq!(tpm.parse("register count", &tpm12::GetPcrCount), Ok(24));
    assert_eq!(tpm.parse("timeouts", &tpm12::GetTimeouts), Ok([1_000_000; 4]));
    let [short, medium, long] = [50, 100, 300].map(Duration::from_secs);
    assert_eq!(tpm.parse("durations", &tpm12::GetDurations), Ok(Durations12 { short, medium, long }));
    assert_eq!(tpm.parse("longest command", &tpm12::GetMaxCommandBytes), Ok(4096));
    let handles = tpm.parse("key handles", &tpm12::GetKeyHandles).expect("a list");
    assert_eq!(handles.iter().count(), 0);
}

#[test]
fn tpm12_registers() {
    let tpm = recorded_12();
    assert_eq!(tpm.parse("register 0", &tpm12::PcrRead { register: 0 }), Ok([0; 20]));
    assert_eq!(tpm.parse("register 23", &tpm12::PcrRead { register: 23 }), Ok([0; 20]));
    assert_eq!(tpm.parse("register 24", &tpm12::PcrRead { register: 24 }), refused(2));
    let extended = tpm.parse("extend", &tpm12::Extend { register: 10, digest: NONCE });
    assert_eq!(extended, tpm.parse("extended register", &tpm12::PcrRead { register: 10 }));
    assert_ne!(extended, Ok([0; 20]));
}

#[test]
fn tpm12_endorsement_key() {
    let tpm = recorded_12();
    let read = tpm12::ReadPubek { nonce: NONCE };
    assert_eq!(tpm.parse("no endorsement key", &read), refused(ReturnCode::NO_ENDORSEMENT.0));
    let key = tpm.parse("endorsement key", &read).expect("a key");
    let KeyKind::Rsa { bits, exponent, modulus } = key.kind else { panic!("an RSA key") };
    assert_eq!((bits, exponent, modulus.len()), (2048, 65_537, 256));
    let made = tpm.parse("create endorsement key", &tpm12::CreateEndorsementKeyPair { nonce: NONCE });
    assert_eq!(made, Ok(key));
    let other = tpm12::ReadPubek { nonce: [0; 20] };
    assert_eq!(other.parse(tpm.response("endorsement key")), Err(Error::WrongChecksum));
}

#[test]
fn random_bytes() {
    let (old, new) = (recorded_12(), recorded_20());
    assert_eq!(old.parse("random", &tpm12::GetRandom { count: 16 }).map(<[u8]>::len), Ok(16));
    assert_eq!(new.parse("random", &tpm20::GetRandom { count: 16 }).map(<[u8]>::len), Ok(16));
}

#[test]
fn tpm20_starts() {
    let tpm = recorded_20();
    let before = tpm.parse("probe", &Family::PROBE);
    assert_eq!(before, refused(ReturnCode::INITIALIZE.0));
    assert_eq!(tpm.parse("startup", &tpm20::Startup), Ok(()));
    assert_eq!(tpm.parse("self test", &tpm20::SelfTest), Ok(()));
    assert!(matches!(tpm.parse("1.2 command", &tpm12::GetVersion), Err(Error::Refused(_))));
}

#[test]
fn tpm20_properties() {
    let tpm = recorded_20();
    let all = tpm20::GetProperties { first: tpm20::property::FAMILY_INDICATOR, count: 48 };
    let properties = tpm.parse("properties", &all).expect("properties");
    let text = |property| properties.find(property).map(u32::to_be_bytes);
    assert_eq!(text(tpm20::property::FAMILY_INDICATOR), Some(*b"2.0\0"));
    assert_eq!(text(tpm20::property::MANUFACTURER), Some(*b"IBM\0"));
    assert!(!properties.has_more);
    assert_eq!(properties.find(tpm20::property::REVISION), Some(164));
    assert_eq!(properties.find(tpm20::property::PCR_COUNT), Some(24));
    assert_eq!(properties.find(tpm20::property::MAX_COMMAND_BYTES), Some(4096));
    let banks = tpm.parse("banks", &tpm20::GetBanks).expect("banks");
    let names: Vec<_> = banks.iter().filter_map(|bank| tpm20::hash_name(bank.algorithm)).collect();
    assert_eq!(names, ["sha1", "sha256", "sha384", "sha512"]);
    for bank in tpm20::Bank::ALL {
        let registers = banks.find(bank).expect("it is there").registers();
        assert!(registers.eq(0..24));
    }
}

#[test]
fn tpm20_registers() {
    let tpm = recorded_20();
    for bank in tpm20::Bank::ALL {
        let name = bank.name();
        let read =
            |register| tpm.parse(&format!("{name} register {register}"), &tpm20::PcrRead { bank, register });
        assert_eq!(read(0), Ok(&[0; 32][..bank.digest_bytes()]));
        assert_eq!(read(17), Ok(&[0xff; 32][..bank.digest_bytes()]));
        assert_eq!(read(24), refused(0x1c4));
    }
}

/// A response that says that it is of these registers of SHA-1.
fn register_response(selected: &[u8]) -> Vec<u8> {
    let body = [
        &[0, 0, 0, 7, 0, 0, 0, 1, 0, 4, selected.len() as u8][..],
        selected,
        &[0, 0, 0, 1, 0, 20],
        &[0xab; 20],
    ];
    let body = body.concat();
    [&[0x80, 1, 0, 0, 0, 10 + body.len() as u8, 0, 0, 0, 0][..], &body].concat()
}

#[test]
fn the_answer_for_another_register_is_none() {
    let read = |register, selected: &[u8]| {
        let response = register_response(selected);
        tpm20::PcrRead { bank: tpm20::Bank::Sha1, register }.parse(&response).map(<[u8]>::to_vec)
    };
    let wrong = |value| Err(Error::Unexpected { field: "selection", value });
    assert_eq!(read(9, &[0, 2, 0]), Ok(vec![0xab; 20]));
    assert_eq!(read(9, &[0, 2]), Ok(vec![0xab; 20]));
    assert_eq!(read(9, &[0, 4, 0]), wrong(0x400), "of another register");
    assert_eq!(read(9, &[0, 2, 1]), wrong(0x1_0200), "of two");
    assert_eq!(read(9, &[0, 0, 0]), wrong(0), "of none");
    assert_eq!(read(9, &[2]), wrong(2), "of one that is another there");
    assert_eq!(read(9, &[]), wrong(0), "of nothing that is said");
}

#[test]
fn tpm20_endorsement_key() {
    let tpm = recorded_20();
    let handle = tpm20::FIRST_TRANSIENT;
    let kept = tpm20::ReadPublic { handle: tpm20::ENDORSEMENT_KEY_HANDLE };
    assert!(matches!(tpm.parse("no such key", &kept), Err(Error::Refused(_))));
    let made = tpm.parse("create endorsement key", &tpm20::CreateEndorsementKey).expect("a key");
    assert_eq!(made.handle, handle);
    let KeyKind::Rsa { bits, exponent, modulus } = made.key.expect("a public part").kind else {
        panic!("an RSA key")
    };
    assert_eq!((bits, exponent, modulus.len()), (2048, 65_537, 256));
    assert_eq!(tpm.parse("endorsement key", &tpm20::ReadPublic { handle }), made.key);
    let list = tpm20::GetHandles { first: handle };
    assert_eq!(tpm.parse("transient handles", &list).map(|found| found.iter().count()), Ok(0));
    let loaded = tpm.parse("transient handles with key", &list).expect("a list");
    assert_eq!(loaded.iter().collect::<Vec<_>>(), [handle]);
    assert_eq!(tpm.parse("flush", &tpm20::FlushContext { handle }), Ok(()));
    assert!(matches!(tpm.parse("flush again", &tpm20::FlushContext { handle }), Err(Error::Refused(_))));
}

#[test]
fn a_quote_is_made_at_one_locality_alone() {
    let tpm = recorded_quote();
    let made = tpm.parse("create attestation key", &tpm20::CreateAttestationKey).expect("a key");
    let again = tpm.parse("create attestation key again", &tpm20::CreateAttestationKey).expect("a key");
    let public = made.key.expect("a public part");
    assert_eq!(Ok(public), again.key, "the same seed makes the same key");
    let key = tpm20::AttestationKey::read(public.structure).expect("the template's key");
    let [x, y] = key.point;
    assert_eq!(public.kind, KeyKind::Ecc { curve: 3, x, y });
    let session = tpm.parse("policy session", &tpm20::StartPolicySession).expect("a session");
    assert_eq!(tpm.parse("policy", &tpm20::PolicyLocality { session }), Ok(()));
    let nonce = b"a nonce of two and thirty bytes.";
    let quote = tpm20::Quote { key: made.handle, session, nonce, registers: 0x7bff };
    assert_eq!(tpm.parse("quote at another locality", &quote), refused(0x907));
    let quoted = tpm.parse("quote", &quote).expect("a quote");
    assert!(tpm20::Signature::read(quoted.signature).is_ok());
    let stated = tpm20::Statement::read(quoted.statement).expect("a statement");
    assert_eq!((stated.nonce, stated.registers, stated.digest.len()), (&nonce[..], 0x7bff, 32));
    assert!(tpm.parse("quote without the session", &quote).is_err(), "the session has ended with the quote");
}

/// One changed byte of the template, or one byte more or less: no key for attestation, whatever else it is.
#[test]
fn a_key_that_could_sign_anything_else_is_none() {
    let tpm = recorded_quote();
    let made = tpm.parse("create attestation key", &tpm20::CreateAttestationKey).expect("a key");
    let public = made.key.expect("a public part").structure;
    let is_key = |bytes: &[u8]| tpm20::AttestationKey::read(bytes).is_ok();
    assert!(is_key(public));
    for place in 0..public.len() - 68 {
        let mut changed = public.to_vec();
        changed[place] ^= 1;
        assert!(!is_key(&changed), "byte {place}");
    }
    assert!(!is_key(&public[..public.len() - 1]) && !is_key(&[public, &[0]].concat()));
}

/// A statement or a signature that is cut, longer, or of another kind is an error.
#[test]
fn a_statement_is_read_to_its_last_byte() {
    let tpm = recorded_quote();
    let quote = tpm20::Quote { key: 0, session: 0, nonce: &[0; 32], registers: 0 };
    let quoted = tpm20::Quote::parse(&quote, tpm.response("quote")).expect("a quote");
    let is_statement = |bytes: &[u8]| tpm20::Statement::read(bytes).is_ok();
    let is_signature = |bytes: &[u8]| tpm20::Signature::read(bytes).is_ok();
    for (bytes, reads) in
        [(quoted.statement, &is_statement as &dyn Fn(&[u8]) -> bool), (quoted.signature, &is_signature)]
    {
        assert!(reads(bytes));
        assert!((0..bytes.len()).all(|end| !reads(&bytes[..end])), "cut");
        assert!(!reads(&[bytes, &[0]].concat()), "longer");
    }
    // Mark and kind of the statement; its one selection, of SHA-256, of three bytes, lies before the digest.
    let selection = quoted.statement.len() - 34 - 10;
    for place in (0..6).chain(selection..selection + 7) {
        let mut changed = quoted.statement.to_vec();
        changed[place] ^= 0x40;
        assert!(!is_statement(&changed), "byte {place}");
    }
    for place in 0..6 {
        let mut changed = quoted.signature.to_vec();
        changed[place] ^= 0x40;
        assert!(!is_signature(&changed), "byte {place}");
    }
}

/// The TPM hashes the text for each bank, and extends each bank's register with that.
#[test]
fn a_register_is_extended_with_a_text() {
    use sha2::{Digest as _, Sha256};
    let tpm = recorded_event();
    let event = tpm20::PcrEvent { register: 14, text: b"some text" };
    let hashed = tpm.parse("event", &event).expect("digests");
    assert!(hashed.iter().count() > 1);
    let digest = hashed.find(0x0b).expect("a digest of SHA-256");
    assert_eq!(digest, Sha256::digest(event.text).as_slice());
    let extended = Sha256::new().chain_update([0; 32]).chain_update(digest).finalize();
    let read = tpm20::PcrRead { bank: tpm20::Bank::Sha256, register: 14 };
    assert_eq!(tpm.parse("sha256 register 14", &read), Ok(extended.as_slice()));
    assert_eq!(hashed.find(0x77), None);
    assert!(tpm.parse("event of no register", &tpm20::PcrEvent { register: 24, ..event }).is_err());
}

/// An answer that is cut, or with a digest of a hash that is not known, is an error.
#[test]
fn digests_of_a_text_are_read_to_the_last_byte() {
    let tpm = recorded_event();
    let event = tpm20::PcrEvent { register: 14, text: b"some text" };
    let good = tpm.response("event");
    // Behind the header and the length of the parameters: the number of digests, then the first one's hash.
    for (place, change) in [(13, 1), (14, 0x40), (15, 0x40), (17, 1)] {
        let mut changed = good.to_vec();
        changed[place] ^= change;
        assert!(event.parse(&changed).is_err(), "byte {place}");
    }
    assert!((0..good.len()).all(|end| event.parse(&good[..end]).is_err()));
}

/// What a verifier hides for another TPM, or bound to another key, is not told.
#[test]
fn an_endorsement_key_opens_nothing_that_is_for_others() {
    let tpm = recorded_quote();
    let made = tpm.parse("create endorsement key", &tpm20::CreateCurveEndorsementKey).expect("a key");
    let public = made.key.expect("a public part");
    let key = tpm20::EndorsementKey::read(public.structure).expect("the profile's key");
    let tpm20::EndorsementKey::Curve { point: [x, y] } = key else { panic!("a key of P-256") };
    assert_eq!(public.kind, KeyKind::Ecc { curve: 3, x, y });
    let session = tpm.parse("policy session again", &tpm20::StartPolicySession).expect("a session");
    assert_eq!(tpm.parse("policy of the endorsement key", &tpm20::PolicySecret { session }), Ok(()));
    let credential = [&[0, 68, 0, 32][..], &[7; 66], &[0, 68, 0, 32], &[7; 32], &[0, 32], &[7; 32]].concat();
    let (key, endorsement) = (made.handle - 2, made.handle);
    let activate = tpm20::ActivateCredential { key, endorsement, session, credential: &credential };
    assert!(matches!(tpm.parse("credential for another TPM", &activate), Err(Error::Refused(_))));
    let told = [&[0x80, 2, 0, 0, 0, 25, 0, 0, 0, 0, 0, 0, 0, 6, 0, 4][..], b"told", &[0, 0, 1, 0, 0]];
    assert_eq!(activate.parse(&told.concat()), Ok(&b"told"[..]));
}

/// Any byte of the template changed, or one byte more or less: no endorsement key that every TPM makes.
#[test]
fn an_endorsement_key_of_another_form_is_none() {
    let tpm = recorded_quote();
    let made = tpm.parse("create endorsement key", &tpm20::CreateCurveEndorsementKey).expect("a key");
    let public = made.key.expect("a public part").structure;
    let is_key = |bytes: &[u8]| tpm20::EndorsementKey::read(bytes).is_ok();
    assert!(is_key(public));
    for place in 0..public.len() - 68 {
        let mut changed = public.to_vec();
        changed[place] ^= 1;
        assert!(!is_key(&changed), "byte {place}");
    }
    assert!(!is_key(&public[..public.len() - 1]) && !is_key(&[public, &[0]].concat()));
}

#[test]
fn a_certificate_is_read_in_parts() {
    let tpm = recorded_certificate();
    let index = tpm20::RSA_CERTIFICATE;
    let bytes = tpm.parse("length of the certificate", &tpm20::KeptBytes { index }).expect("a length");
    let (mut offset, mut certificate) = (0, Vec::new());
    while offset < bytes {
        let part = tpm20::ReadKept { index, offset, bytes: tpm20::MAX_READ_BYTES.min(bytes - offset) };
        certificate.extend(tpm.parse(&format!("certificate from {offset}"), &part).expect("a part"));
        offset += part.bytes;
    }
    // A sequence that is as long as it says.
    assert_eq!((certificate[..2].to_vec(), certificate.len()), (vec![0x30, 0x82], usize::from(bytes)));
    assert_eq!(u16::from_be_bytes([certificate[2], certificate[3]]) + 4, bytes);
    let longer = tpm20::ReadKept { index, offset: 0, bytes: 7 };
    assert!(longer.parse(tpm.response("certificate from 0")).is_err(), "of another length");
    let none = tpm20::KeptBytes { index: tpm20::CURVE_CERTIFICATE };
    assert!(matches!(tpm.parse("no certificate", &none), Err(Error::Refused(_))));
    let other = tpm20::KeptBytes { index: tpm20::CURVE_CERTIFICATE };
    assert!(other.parse(tpm.response("length of the certificate")).is_err(), "of another index");
    let made = tpm.parse("create endorsement key", &tpm20::CreateEndorsementKey).expect("a key");
    let public = made.key.expect("a public part");
    let key = tpm20::EndorsementKey::read(public.structure).expect("the template's key");
    let (tpm20::EndorsementKey::Rsa { modulus }, KeyKind::Rsa { modulus: stated, .. }) = (key, public.kind)
    else {
        panic!("a key of RSA")
    };
    assert_eq!(modulus[..], *stated);
    for end in 0..public.structure.len() {
        assert!(tpm20::EndorsementKey::read(&public.structure[..end]).is_err(), "cut");
    }
    assert!(tpm20::EndorsementKey::read(&[public.structure, &[0]].concat()).is_err(), "longer");
}
