//! How a domain sends a command to the TPM: the interface of the gate `tpm`, and a client that waits.
//!
//! Messages travel in the two pages that the plan shares between a client and the service: the command in the
//! first, the response in the second. The gate carries lengths only. `submit` returns at once, so that a
//! client can do other things and can cancel; an event says that `finish` has something to say.
//!
//! ```no_run
//! use cloison_sys::Instant;
//! use cloison_tpm_gate::{Tpm, TpmError};
//!
//! fn ask<'a>(command: &[u8], buffer: &'a mut [u8]) -> Result<&'a [u8], TpmError> {
//!     let mut tpm = Tpm::open("tpm")?;
//!     tpm.transmit(command, buffer, Instant::NEVER)
//! }
//! ```

#![no_std]
#![forbid(unsafe_code)]

mod client;
#[cfg(test)]
mod tests;

pub use client::{ServiceLink, Tpm, TpmError};
pub use cloison_ipc::{Failure, GateLink};
use cloison_tpm::MAX_MESSAGE_BYTES;

/// Where the command lies in the shared memory. It and the response have a page each.
pub const COMMAND_OFFSET: usize = 0;
/// Where the response lies in the shared memory.
pub const RESPONSE_OFFSET: usize = COMMAND_OFFSET + MAX_MESSAGE_BYTES;

cloison_ipc::choice! {
    /// How far a command has come.
    pub enum Progress {
        /// It waits for its turn, or the TPM carries it out.
        Pending,
        /// The response is in the shared memory.
        Done,
    }
}

cloison_ipc::interface! {
    /// One TPM for several clients, each with one command at a time.
    pub mod tpm {
        /// Why the service does not do it.
        refuse Refusal {
            /// The client did not open the TPM, or the service was restarted since.
            NotOpen = "the TPM is not open; open it (again) first",
            /// The client has a command under way.
            Busy = "a command of this client is under way; finish or cancel it first",
            /// The client submitted nothing, or cancelled it.
            NothingSubmitted = "no command is under way",
            /// The command is longer than the TPM takes.
            TooLong = "the command is longer than the TPM takes",
            /// The command's tag, length or ordinal is wrong.
            Malformed = "the command is malformed: its tag, length or ordinal is wrong",
            /// No TPM answers.
            NoTpm = "there is no TPM",
            /// The TPM did not answer within its own time.
            TimedOut = "the TPM did not answer in time",
            /// The TPM answered with something that is no response.
            Garbage = "the TPM answered with garbage",
            /// The TPM says that it has failed.
            Failed = "the TPM has failed",
            /// The manifest does not let this client send this command.
            Forbidden = "the manifest does not let this domain send this command",
        }
        /// Opens the TPM. What the client left open is closed first. `max_bytes` is the longest command, as
        /// far as the service knows yet.
        open: Open {} -> Opened { max_bytes: u32 };
        /// Submits the command of this many bytes that lies in the shared memory. The service takes a copy.
        submit: Submit { bytes: u32 } -> Submitted {};
        /// Asks for the outcome. When the command has come to its end, the client can submit the next one.
        finish: Finish {} -> Finished { progress: Progress, bytes: u32 };
        /// Takes the command back. The TPM is told to abort it; no response will come.
        cancel: Cancel {} -> Cancelled {};
        /// Closes the TPM. A command under way is cancelled.
        close: Close {} -> Closed {};
    }
}
