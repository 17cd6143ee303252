//! Runs an image: a TPM, the machine, and what the machine says.
//!
//! [`Machine`] says what to start, [`Session`] is one that runs. Whoever drives a session asks it for the
//! next [`Event`] until it has ended; when the session goes, so do its processes.

mod capture;
mod conclusion;
mod devices;
mod forward;
mod machine;
mod session;
mod terminal;
mod tpm;
mod transcript;

pub use capture::CaptureRequest;
pub use conclusion::{Conclusion, Run, watch};
pub use devices::{Devices, NETWORK_CARD};
pub use forward::{ForwardRequest, HostPorts, OpenForward};
pub use machine::{Accelerator, Machine};
pub use session::{End, Event, Session};
pub use terminal::{Key, Keyboard};
pub use tpm::{Tpm, TpmState, TpmVersion};
pub use transcript::{Line, Transcript};
