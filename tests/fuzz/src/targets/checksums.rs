//! A frame from the wire, or from a domain: its checksums are completed and verified, whatever it is.

use cloison_checksum::{Checksum, Flaw, complete, complete_but_one, verify};

/// The input: a frame.
pub fn run(input: &[u8]) {
    let before = verify(input, Checksum::Unknown);
    let mut frame = input.to_vec();
    match complete(&mut frame) {
        Ok(()) => assert_eq!(verify(&frame, Checksum::Unknown), Ok(()), "what was completed is right"),
        Err(flaw) => {
            assert_eq!((flaw, before), (Flaw::Malformed, Err(Flaw::Malformed)));
            assert_eq!(frame, input, "what cannot be completed stays as it is");
        }
    }
    assert_eq!(frame.len(), input.len());
    let mut frame = input.to_vec();
    match complete_but_one(&mut frame) {
        Ok(left) => {
            assert_eq!(verify(&frame, left), Ok(()), "what is left to the card is right but for that")
        }
        Err(flaw) => assert_eq!((flaw, before), (Flaw::Malformed, Err(Flaw::Malformed))),
    }
}
