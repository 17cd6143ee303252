//! An endorsement key with a certificate, and all that can be wrong with that.

use std::time::Duration;

use cloison_measure::endorsement::Keys;
use cloison_verify::{Asked, Authorities, Known, NotCertified, NotEnrolled};
use p256::{
    SecretKey,
    ecdsa::{DerSignature, SigningKey, signature::Signer},
    elliptic_curve::sec1::ToSec1Point,
};
use proptest::{prelude::*, sample::Index};

const NOW: Duration = Duration::from_secs(1_800_000_000);
/// `ecdsa-with-SHA256`, `id-ecPublicKey` with P-256, a common name, the constraints of an authority, uses, the use for
/// endorsement, a use for servers; a number that nobody knows.
const SIGNED: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const CURVE: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const NAME: &[u8] = &[6, 3, 0x55, 4, 3];
const CONSTRAINTS: &[u8] = &[6, 3, 0x55, 0x1d, 19];
const USES: &[u8] = &[6, 3, 0x55, 0x1d, 37];
const FOR_ENDORSEMENT: &[u8] = &[6, 5, 0x67, 0x81, 5, 8, 1];
const FOR_SERVERS: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
const UNKNOWN: &[u8] = &[6, 3, 0x55, 0x1d, 99];
const NOTHING: &[u8] = &[5, 0];
/// What a key is for, and two such purposes: to sign certificates, to sign other things.
const PURPOSE: &[u8] = &[6, 3, 0x55, 0x1d, 15];
const CERTIFICATES: &[u8] = &[3, 2, 2, 4];
const OTHER_THINGS: &[u8] = &[3, 2, 7, 0x80];

/// Something in the form DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len() as u16;
    let [high, low] = length.to_be_bytes();
    let length = match length {
        0..128 => vec![low],
        128..256 => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag][..], &length, &content].concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(0x30, parts)
}

fn bits(bytes: &[u8]) -> Vec<u8> {
    der(3, &[&[0], bytes])
}

fn point(key: &SecretKey) -> Vec<u8> {
    key.public_key().to_sec1_point(false).as_bytes().to_vec()
}

/// What a certificate says.
#[derive(Clone)]
struct Says {
    issuer: &'static str,
    subject: &'static str,
    key: SecretKey,
    /// From when to when, as `YYMMDDHHMMSSZ`.
    holds: [&'static str; 2],
    is_authority: bool,
    uses: &'static [u8],
    /// Number and value of one more extension.
    critical: Option<[&'static [u8]; 2]>,
    signer: SecretKey,
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_slice(&[number; 32]).unwrap()
}

const VALID: [&str; 2] = ["200101000000Z", "400101000000Z"];

fn authority() -> Says {
    Says {
        issuer: "maker",
        subject: "maker",
        key: key(1),
        holds: VALID,
        is_authority: true,
        uses: &[],
        critical: None,
        signer: key(1),
    }
}

/// The certificate of the endorsement key 7.
fn endorsed() -> Says {
    Says { subject: "TPM", key: key(7), is_authority: false, uses: FOR_ENDORSEMENT, ..authority() }
}

impl Says {
    fn written(&self) -> Vec<u8> {
        let name = |text: &str| sequence(&[&der(0x31, &[&sequence(&[NAME, &der(12, &[text.as_bytes()])])])]);
        let algorithm = sequence(&[SIGNED]);
        let key = sequence(&[&sequence(&[CURVE]), &bits(&point(&self.key))]);
        let holds = self.holds.map(|time| der(23, &[time.as_bytes()]));
        let extension =
            |number: &[u8], critical: &[u8], value: &[u8]| sequence(&[number, critical, &der(4, &[value])]);
        const CRITICAL: &[u8] = &[1, 1, 0xff];
        let constraints = sequence(&[if self.is_authority { CRITICAL } else { &[] }]);
        let mut extensions = vec![extension(CONSTRAINTS, CRITICAL, &constraints)];
        if !self.uses.is_empty() {
            extensions.push(extension(USES, &[], &sequence(&[self.uses])));
        }
        if let Some([number, value]) = self.critical {
            extensions.push(extension(number, CRITICAL, value));
        }
        let text = sequence(&[
            &der(0xa0, &[&[2, 1, 2]]),
            &[2, 1, 9],
            &algorithm,
            &name(self.issuer),
            &sequence(&[&holds[0], &holds[1]]),
            &name(self.subject),
            &key,
            &der(0xa3, &[&sequence(&[&extensions.concat()])]),
        ]);
        let signature: DerSignature = SigningKey::from(&self.signer).sign(&text);
        sequence(&[&text, &algorithm, &bits(signature.as_bytes())])
    }
}

/// The public part of a recorded answer to `CreatePrimary`.
fn recorded(name: &str) -> Vec<u8> {
    let text = include_str!("../../../libos/tpm/recorded/quote.hex");
    let answer = text.lines().skip_while(|line| *line != format!("# {name}")).nth(2).unwrap();
    let digits = answer.strip_prefix("< ").unwrap();
    let bytes: Vec<u8> =
        (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..][..2], 16).unwrap()).collect();
    let length = u16::from_be_bytes([bytes[18], bytes[19]]);
    bytes[20..20 + usize::from(length)].to_vec()
}

/// What a machine answers that has the endorsement key 7, and this as its certificate.
fn answer(certificate: &[u8]) -> Vec<u8> {
    let mut endorsement = recorded("create endorsement key");
    endorsement.truncate(endorsement.len() - 68);
    let both = point(&key(7));
    for half in [&both[1..33], &both[33..]] {
        endorsement.extend([&[0, 32][..], half].concat());
    }
    let keys = Keys { endorsement: &endorsement, key: &recorded("create attestation key"), certificate };
    [&keys.header()[..], &keys.parts().concat()].concat()
}

fn asked_of(authorities: &[u8], certificate: &[u8], now: Duration) -> Result<Asked, NotEnrolled> {
    let authorities = Authorities::read(authorities).unwrap();
    let known = Known { endorsement: None, authorities: Some(&authorities), now };
    Asked::of(&answer(certificate), &known, [0x5e; 32], &key(3))
}

/// What is said of a certificate by somebody who believes the maker.
fn said(certificate: &[u8]) -> Result<Option<String>, NotCertified> {
    match asked_of(&authority().written(), certificate, NOW) {
        Ok(asked) => Ok(asked.voucher),
        Err(NotEnrolled::Certificate(why)) => Err(why),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_maker_vouches_for_its_key() {
    let written = endorsed().written();
    assert_eq!(said(&written), Ok(Some("CN=maker".to_owned())));
    // A TPM's room may be larger than what is in it.
    assert_eq!(said(&[&written[..], &[0xff; 100]].concat()), Ok(Some("CN=maker".to_owned())));
    // Who asks for nobody is told of nobody.
    let asked = Asked::of(&answer(&[]), &Known::default(), [0x5e; 32], &key(3)).unwrap();
    assert_eq!(asked.voucher, None);
}

#[test]
fn what_vouches_for_nothing_is_refused() {
    let says = endorsed();
    for (certificate, why) in [
        (vec![], NotCertified::Missing),
        (Says { key: key(8), ..says.clone() }.written(), NotCertified::OtherKey),
        (Says { uses: FOR_SERVERS, ..says.clone() }.written(), NotCertified::OtherUse),
        (Says { uses: &[], ..says.clone() }.written(), NotCertified::OtherUse),
        (
            Says { critical: Some([UNKNOWN, NOTHING]), ..says.clone() }.written(),
            NotCertified::Extension("2.5.29.99".to_owned()),
        ),
        (
            Says { issuer: "other", ..says.clone() }.written(),
            NotCertified::OtherAuthority("CN=other".to_owned()),
        ),
        (Says { signer: key(2), ..says.clone() }.written(), NotCertified::Signature("CN=maker".to_owned())),
    ] {
        assert_eq!(said(&certificate), Err(why));
    }
    assert!(matches!(said(b"garbage"), Err(NotCertified::Unreadable(_))));
    assert!(matches!(said(&says.written()[..100]), Err(NotCertified::Unreadable(_))));
}

#[test]
fn a_certificate_holds_for_its_time() {
    let year = |years: u64| Duration::from_secs(years * 31_557_600);
    let at = |now| asked_of(&authority().written(), &endorsed().written(), now).map(|asked| asked.voucher);
    assert!(matches!(at(year(49)), Err(NotEnrolled::Certificate(NotCertified::NotYet(_)))));
    assert!(matches!(at(year(71)), Err(NotEnrolled::Certificate(NotCertified::Expired(_)))));
    let old = Says { holds: ["200101000000Z", "210101000000Z"], ..authority() }.written();
    let said = asked_of(&old, &endorsed().written(), NOW).map(|asked| asked.voucher);
    assert!(matches!(said, Err(NotEnrolled::Certificate(NotCertified::Expired(_)))), "the authority's own");
}

#[test]
fn who_is_no_authority_vouches_for_nothing() {
    let program = Says { is_authority: false, ..authority() }.written();
    let why = asked_of(&program, &endorsed().written(), NOW).unwrap_err();
    assert_eq!(why, NotEnrolled::Certificate(NotCertified::NoAuthority("CN=maker".to_owned())));
    assert_eq!(why.to_string(), "certificate of the endorsement key: CN=maker may not issue certificates");
    let of = |critical| {
        let authority = Says { critical: Some(critical), ..authority() }.written();
        asked_of(&authority, &endorsed().written(), NOW).map(|asked| asked.voucher.is_some())
    };
    assert!(of([PURPOSE, CERTIFICATES]).unwrap());
    assert!(matches!(
        of([PURPOSE, OTHER_THINGS]),
        Err(NotEnrolled::Certificate(NotCertified::NoAuthority(_)))
    ));
    assert!(matches!(of([UNKNOWN, NOTHING]), Err(NotEnrolled::Certificate(NotCertified::Extension(_)))));
    for garbage in [&b""[..], b"garbage", &authority().written()[..50]] {
        assert!(Authorities::read(garbage).is_err());
    }
}

proptest! {
    /// One changed byte, and nobody vouches for the key.
    #[test]
    fn a_changed_certificate_is_noticed(place in any::<Index>(), change in 1..=255_u8) {
        let mut written = endorsed().written();
        let place = place.index(written.len());
        written[place] ^= change;
        prop_assert!(said(&written).is_err(), "byte {}", place);
    }
}

/// What swtpm's own authority has certified, by RSA: recorded, as a TPM keeps it.
#[test]
fn a_maker_vouches_by_rsa() {
    let recorded = |name: &str| {
        let text = include_str!("../../../libos/tpm/recorded/certificate.hex");
        let answer = text.lines().skip_while(|line| *line != format!("# {name}")).nth(2).unwrap();
        let digits = answer.strip_prefix("< ").unwrap();
        let bytes = (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..][..2], 16).unwrap());
        bytes.collect::<Vec<u8>>()
    };
    let part = |name: &str| recorded(name)[16..].strip_suffix(&[0, 0, 1, 0, 0]).unwrap().to_vec();
    let certificate = [part("certificate from 0"), part("certificate from 512")].concat();
    let made = recorded("create endorsement key");
    let endorsement = &made[20..20 + usize::from(u16::from_be_bytes([made[18], made[19]]))];
    let key = self::recorded("create attestation key");
    let issuer = Authorities::read(include_bytes!("../../../libos/tpm/recorded/issuer.pem")).unwrap();
    let asked = |certificate: &[u8]| {
        let keys = Keys { endorsement, key: &key, certificate };
        let known =
            Known { authorities: Some(&issuer), now: Duration::from_secs(1_900_000_000), ..Known::default() };
        Asked::of(&[&keys.header()[..], &keys.parts().concat()].concat(), &known, [0x5e; 32], &self::key(3))
    };
    let good = asked(&certificate).unwrap();
    assert_eq!(good.voucher.as_deref(), Some("CN=swtpm-localca"));
    // What is hidden, and what RSA makes of the seed, each with its length.
    assert_eq!(good.credential().len(), 70 + 2 + 256);
    let mut changed = certificate.clone();
    *changed.last_mut().unwrap() ^= 1;
    let signature = NotCertified::Signature("CN=swtpm-localca".to_owned());
    assert_eq!(asked(&changed).unwrap_err(), NotEnrolled::Certificate(signature));
    let other = NotEnrolled::Certificate(NotCertified::OtherKey);
    assert_eq!(asked(&endorsed().written()).unwrap_err(), other);
}
