//! What a machine sends to be enrolled: two keys and a certificate. They are read or refused, with words that can be shown.

use std::{sync::LazyLock, time::Duration};

use cloison_measure::endorsement::Keys;
use cloison_verify::{Asked, Authorities, Known, SECRET_BYTES};
use p256::SecretKey;

/// Who has issued the certificate in the corpus.
static ISSUER: LazyLock<Option<Authorities>> =
    LazyLock::new(|| Authorities::read(include_bytes!("../../../../libos/tpm/recorded/issuer.pem")).ok());
/// When it holds.
const NOW: Duration = Duration::from_secs(1_900_000_000);

/// Reads keys, and hides a secret for them.
pub fn run(bytes: &[u8]) {
    if let Some(keys) = Keys::read(bytes) {
        assert_eq!([&keys.header()[..], &keys.parts().concat()].concat(), bytes);
    }
    let _ = Authorities::read(bytes);
    let Ok(once) = SecretKey::from_slice(&[3; 32]) else { panic!("the number is a key") };
    for authorities in [None, ISSUER.as_ref()] {
        let known = Known { authorities, now: NOW, ..Known::default() };
        match Asked::of(bytes, &known, [0x5e; SECRET_BYTES], &once) {
            Ok(asked) => assert_eq!(asked.voucher.is_some(), authorities.is_some()),
            Err(why) => {
                let text = why.to_string();
                assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
            }
        }
    }
}
