//! Tells whether a machine runs what was built: takes evidence apart, checks each step from the TPM's signature to the
//! rows of the system, and compares with what the image builder has foretold.
//!
//! * [`Reference`]: what `cargo image pcrs --format json` has printed.
//! * [`examine`]: the checks, in order. It is a pure function of evidence, challenge and reference.
//! * [`Verdict`]: what is told of each register, and whether all of it is good.
//! * [`Asked`]: whose TPM a key is in.
//! * [`OldQuote`]: the quote of a TPM 1.2.
//! * [`cli`]: the program `cloison-verify`, which asks machines and reads files.
//!
//! The name of the key has to be known from somewhere, and is given with the challenge; without it, any key of the right
//! form counts, one of a program too.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

mod certificate;
pub mod cli;
mod credential;
mod enrol;
mod event;
mod examine;
mod hex;
mod key;
mod later;
mod net;
mod old_quote;
mod once;
mod reference;
mod verdict;

pub use certificate::{Authorities, NotCertified};
pub use credential::SECRET_BYTES;
pub use enrol::{Asked, Known, NotEnrolled};
pub use examine::{Challenge, examine};
pub use hex::{hex, unhex};
pub use key::KeyName;
pub use net::{NoAnswer, Prover, fresh_nonce};
pub use old_quote::{NotQuoted, OldQuote};
pub use reference::{BadReference, Reference};
pub use verdict::{Refusal, Row, State, Verdict};
