//! The loader's SHA-256 is that of everybody else.

#[path = "../src/hash.rs"]
#[allow(dead_code, reason = "the loader uses all of it")]
mod hash;

use cloison_measure::event;
use proptest::prelude::*;

#[test]
fn every_length_around_a_block_has_its_digest() {
    if !hash::has_instructions() {
        eprintln!("this CPU lacks the instructions: only the other way is tried");
    }
    let bytes: Vec<u8> = (0..300_u32).map(|place| (place * 7) as u8).collect();
    for length in 0..bytes.len() {
        assert_eq!(hash::sha256(&bytes[..length]), event::sha256(&bytes[..length]), "{length} bytes");
    }
}

proptest! {
    #[test]
    fn any_bytes_have_their_digest(bytes in prop::collection::vec(any::<u8>(), 0..2000), start in 0..16_usize) {
        let bytes = &bytes[start.min(bytes.len())..];
        prop_assert_eq!(hash::sha256(bytes), event::sha256(bytes));
    }
}
