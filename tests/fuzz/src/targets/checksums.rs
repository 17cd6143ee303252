//! A frame from the wire, or from a domain: its checksums are completed and verified, whatever it is.

use nic::checksum::{Flaw, complete, verify};

/// The input: a frame.
pub fn run(input: &[u8]) {
    let before = verify(input);
    let mut frame = input.to_vec();
    match complete(&mut frame) {
        Ok(()) => assert_eq!(verify(&frame), Ok(()), "what was completed is right"),
        Err(flaw) => {
            assert_eq!((flaw, before), (Flaw::Malformed, Err(Flaw::Malformed)));
            assert_eq!(frame, input, "what cannot be completed stays as it is");
        }
    }
    assert_eq!(frame.len(), input.len());
}
