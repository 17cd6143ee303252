//! Evidence of what a machine runs: its parts are read to the last byte or refused, and it is never accepted for a question
//! that its TPM was not asked.

use cloison_measure::Evidence;
use cloison_tpm::tpm20::{AttestationKey, Signature, Statement};
use cloison_verify::{Challenge, Reference, examine};

/// Registers that nobody's are.
const REFERENCE: &str = r#"{"banks": {"sha256": {
    "4": "0404040404040404040404040404040404040404040404040404040404040404",
    "9": "0909090909090909090909090909090909090909090909090909090909090909",
    "11": "1111111111111111111111111111111111111111111111111111111111111111",
    "12": "1212121212121212121212121212121212121212121212121212121212121212",
    "13": "1313131313131313131313131313131313131313131313131313131313131313"}}, "events": []}"#;

/// Reads evidence, and judges it.
pub fn run(bytes: &[u8]) {
    if let Some(evidence) = Evidence::read(bytes) {
        let length: usize = evidence.parts().iter().map(|part| part.len()).sum();
        assert_eq!(evidence.header().len() + length, bytes.len());
        let _ = (AttestationKey::read(evidence.key), Signature::read(evidence.signature));
        if let Ok(stated) = Statement::read(evidence.statement) {
            assert!(stated.nonce.len() + stated.digest.len() < evidence.statement.len());
        }
    }
    let challenge = Challenge { nonce: [0xa5; 32], key: None };
    let Ok(reference) = Reference::read(REFERENCE) else { panic!("the reference is one") };
    let verdict = examine(bytes, &challenge, &reference);
    assert!(!verdict.is_accepted());
    assert!(verdict.to_string().bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{verdict}");
}
