//! How a domain asks for evidence of what runs on this machine.
//!
//! The evidence then lies at the start of the memory that the two share, in the form of `cloison_measure::evidence`.

#![no_std]
#![forbid(unsafe_code)]

pub use cloison_ipc::{Failure, GateLink, Link};

cloison_ipc::interface! {
    /// The gate `attest`.
    pub mod attest {
        /// Why there is no evidence.
        refuse Refusal {
            /// The loader has measured nothing, so a quote would say nothing of this system.
            Unmeasured = "this boot was not measured",
            /// The TPM gives no quote: it is missing, does not answer, or refuses. The attester's log says which.
            NoQuote = "the TPM gives no quote",
            /// The evidence does not fit into the shared memory.
            TooLong = "the evidence is too long to be handed on",
        }
        /// Has the TPM quote its registers with this nonce. `bytes` is the length of the evidence.
        quote: Quote { nonce: [u8; 32] } -> Quoted { bytes: u32 };
    }
}
