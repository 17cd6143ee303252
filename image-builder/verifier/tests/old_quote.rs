//! A quote that was recorded with a TPM 1.2, and all that can be wrong with it.

use cloison_verify::{NotQuoted, OldQuote};

const NONCE: [u8; 20] = *b"twenty-byte nonce 12";
/// The registers that were quoted: nobody had measured anything.
const QUOTED: [u32; 14] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14];

/// A recorded answer, without its header and the proof at its end.
fn recorded(name: &str) -> Vec<u8> {
    let text = include_str!("../../../libos/tpm/recorded/quote12.hex");
    let answer = text.lines().skip_while(|line| *line != format!("# {name}")).nth(2).unwrap();
    let digits = answer.strip_prefix("< ").unwrap();
    let bytes = (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..][..2], 16).unwrap());
    let bytes: Vec<u8> = bytes.collect();
    bytes[10..bytes.len() - 41].to_vec()
}

/// Key, registers, signature.
fn parts() -> [Vec<u8>; 3] {
    let quote = recorded("quote");
    let (composite, signature) = quote.split_at(5 + 4 + QUOTED.len() * 20);
    [recorded("create signing key"), composite.to_vec(), signature[4..].to_vec()]
}

fn check(parts: &[Vec<u8>; 3], nonce: &[u8; 20], expected: &[(u32, [u8; 20])]) -> Result<(), NotQuoted> {
    let [key, composite, signature] = parts;
    OldQuote { key, composite, signature }.check(nonce, expected)
}

#[test]
fn what_the_tpm_has_signed_is_accepted() {
    assert_eq!(check(&parts(), &NONCE, &QUOTED.map(|pcr| (pcr, [0; 20]))), Ok(()));
}

#[test]
fn each_part_that_is_another_is_refused() {
    let expected = [(9, [0; 20])];
    for (part, places) in [(1, 2..289), (2, 0..256)] {
        for place in places {
            let mut parts = parts();
            parts[part][place] ^= 1;
            assert_eq!(check(&parts, &NONCE, &expected), Err(NotQuoted::Signature), "{part} {place}");
        }
    }
    // The modulus, behind the template and its length.
    for place in [43, 100, 298] {
        let mut parts = parts();
        parts[0][place] ^= 1;
        assert_eq!(check(&parts, &NONCE, &expected), Err(NotQuoted::Signature), "modulus {place}");
    }
    assert_eq!(check(&parts(), b"twenty-byte nonce 13", &expected), Err(NotQuoted::Signature));
    let mut signs_anything = parts();
    // The scheme with which a TPM signs whatever it is given.
    signs_anything[0][18] = 2;
    assert!(matches!(check(&signs_anything, &NONCE, &expected), Err(NotQuoted::Key(_))));
}

#[test]
fn registers_are_compared() {
    let parts = parts();
    assert_eq!(check(&parts, &NONCE, &[]), Err(NotQuoted::NothingExpected));
    assert_eq!(check(&parts, &NONCE, &[(9, [0; 20]), (10, [0; 20])]), Err(NotQuoted::Lacks(10)));
    assert_eq!(check(&parts, &NONCE, &[(9, [0; 20]), (13, [1; 20])]), Err(NotQuoted::Differs(13)));
}

/// A cut, empty or longer part is an error, not a panic.
#[test]
fn parts_of_any_length_are_judged() {
    for part in 0..3 {
        for end in 0..600 {
            let mut parts = parts();
            parts[part].resize(end, 7);
            let is_whole = parts == self::parts();
            assert_eq!(check(&parts, &NONCE, &[(9, [0; 20])]).is_ok(), is_whole, "{part} {end}");
        }
    }
}
