//! The head of a request: how much of it is one does not depend on how much has come.

use http_hello::{HEAD_BYTES, Request};

/// Reads requests one after the other, and each once more from its own bytes alone.
pub fn run(bytes: &[u8]) {
    let mut rest = &bytes[..bytes.len().min(HEAD_BYTES)];
    while let Some((request, taken)) = Request::parse(rest) {
        assert!(taken <= rest.len());
        if !request.stays || taken == 0 {
            return;
        }
        assert_eq!(Request::parse(&rest[..taken]), Some((request, taken)));
        assert!((0..taken).all(|bytes| Request::parse(&rest[..bytes]).is_none()), "it was read too early");
        rest = &rest[taken..];
    }
}
