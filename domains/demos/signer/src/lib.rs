//! A key, and what a client can ask of it: one request a line, one answer a line.
//!
//! What a client says is public, and so is each answer. The key leaves neither this value nor its domain.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, string::String};
use core::fmt;

use ed25519_dalek::{Signer, SigningKey};
use netshell::{LINE_BYTES, Line};

/// The TCP port on which requests are answered.
pub const PORT: u16 = 1717;
/// Bytes of which a key is made.
pub const SEED_BYTES: usize = 32;

/// What lies before the key in memory. A test looks for it in a dump of the machine's memory: when it knows where the key
/// is, it can tell where the key is not.
const MARK: [u8; 16] = *b"the signer's key";

/// A key of Ed25519 (RFC 8032).
#[repr(C)]
pub struct Key {
    mark: [u8; 16],
    key: SigningKey,
}

impl Key {
    /// Makes the key of 32 bytes that nobody can guess.
    #[must_use]
    pub fn new(seed: &[u8; SEED_BYTES]) -> Self {
        Self { mark: MARK, key: SigningKey::from_bytes(seed) }
    }

    /// The key by which a signature is verified.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// The answer to a line, with its end; none to an empty one.
    #[must_use]
    pub fn answer(&self, line: &Line<'_>) -> String {
        let Line::Text(text) = line else {
            return format!("a request is a line of visible ASCII, of {LINE_BYTES} bytes at most\n");
        };
        match text.split_once(' ').unwrap_or((text, "")) {
            ("", _) => String::new(),
            ("key", "") => format!("{}\n", Hex(&self.public())),
            ("sign", text) => format!("{}\n", Hex(&self.key.sign(text.as_bytes()).to_bytes())),
            _ => String::from("there are two requests: `key`, and `sign TEXT`\n"),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = core::str::from_utf8(&self.mark).unwrap_or_default();
        write!(f, "{mark}, public key {}", Hex(&self.public()))
    }
}

/// Bytes as text, two digits each.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::{string::ToString, vec::Vec};

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let digits: Vec<u8> = (0..N).map(|at| u8::from_str_radix(&hex[2 * at..][..2], 16).unwrap()).collect();
        digits.try_into().unwrap()
    }

    /// RFC 8032, section 7.1: the first test, with an empty text, and the second, with the text `r`.
    #[test]
    fn signatures_are_as_in_the_standard() {
        let first = Key::new(&bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
                         5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        assert_eq!(first.answer(&Line::Text("key")).trim_end(), public);
        assert_eq!(first.answer(&Line::Text("sign ")).trim_end(), signature);
        let second = Key::new(&bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
        let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        assert_eq!(second.answer(&Line::Text("sign r")).trim_end(), signature);
    }

    #[test]
    fn no_answer_has_the_key() {
        let seed = [0x5a; SEED_BYTES];
        let key = Key::new(&seed);
        let lines = ["", "key", "key x", "sign", "sign key", "the signer's key", "KEY"];
        let texts = lines.map(Line::Text).into_iter().chain([Line::TooLong, Line::NotText]);
        let answers: Vec<String> = texts.map(|line| key.answer(&line)).collect();
        assert!(answers.iter().skip(1).all(|answer| answer.lines().count() == 1), "{answers:?}");
        assert!(!(answers.concat() + &std::format!("{key:?}")).contains(&Hex(&seed).to_string()));
    }

    #[test]
    fn what_is_signed_is_the_text_and_no_more() {
        let key = Key::new(&[7; SEED_BYTES]);
        let answer = |text| key.answer(&Line::Text(text));
        assert_eq!(answer("sign a"), answer("sign a"));
        assert_ne!(answer("sign a"), answer("sign a "));
        assert_eq!(answer("sign"), answer("sign "));
    }
}
