//! How a domain asks for evidence of what runs on this machine, and how the manager has that measured what it starts.
//!
//! Evidence lies at the start of the memory that the two share, in the form of `cloison_measure::evidence`. So does a line of
//! the manager's, in the form of `cloison_measure::later`.

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
            /// The loader has measured into a TPM 1.2, and the attester's key is one of a TPM 2.0.
            OldTpm = "this boot was measured into a TPM 1.2, for which there are no quotes here",
            /// The TPM gives no quote: it is missing, does not answer, or refuses. The attester's log says which.
            NoQuote = "the TPM gives no quote",
            /// The evidence does not fit into the shared memory.
            TooLong = "the evidence is too long to be handed on",
            /// The monitor does not say how far its log has come, so evidence would be silent of it.
            NoMonitor = "the monitor does not tell of its log",
            /// The log of what was measured after the boot has no room for how far the monitor's has come.
            Full = "the log of what was measured after the boot is full",
            /// A domain has begun another life that is not measured, so evidence would be silent of it.
            Behind = "not all that runs is measured",
            /// The TPM gives no keys, or not the secret: the credential is for another one. The attester's log says which.
            NotTold = "the TPM does not show whose it is",
        }
        /// Has the TPM quote its registers with this nonce. `bytes` is the length of the evidence.
        quote: Quote { nonce: [u8; 32] } -> Quoted { bytes: u32 };
        /// Writes the public parts of the endorsement key, whose certificate goes along if the TPM has one, and of the key that signs
        /// quotes: so many bytes, in the form of
        /// `cloison_measure::endorsement`.
        keys: AskKeys {} -> KeysGiven { bytes: u32 };
        /// Has the TPM tell the secret in a credential of so many bytes, at the start of the shared memory.
        tell: AskSecret { bytes: u32 } -> SecretTold { secret: [u8; 32] };
    }
}

cloison_ipc::interface! {
    /// The gate `record`.
    pub mod record {
        /// Why it is not measured.
        refuse Refusal {
            /// The loader has measured nothing, so there is no log that it would belong to.
            Unmeasured = "this boot was not measured",
            /// It is not the line of a start.
            NotALine = "it is not a line that a manager has to write",
            /// The log has no room left.
            Full = "the log of what was started is full",
            /// The TPM does not extend the register. The attester's log says why.
            NotExtended = "the TPM does not extend the register",
        }
        /// Extends the register with a line of so many bytes, which stands at the start of the shared memory.
        record: Record { bytes: u32 } -> Recorded {};
    }
}
