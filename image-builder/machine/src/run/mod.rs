//! Runs an image: a TPM, the machine, and what the machine says.
//!
//! [`Machine`] says what to start, [`Session`] is one that runs. The caller asks a session for the next
//! [`Event`] until it has ended, or has a [`Watch`] do so; when the session goes, so do its processes.

mod accelerator;
mod capture;
mod complaint;
mod conclusion;
mod devices;
mod disk;
mod forward;
mod host_port;
mod machine;
mod monitor;
mod option;
mod recording;
mod relay;
mod session;
mod startup;
mod tpm;
mod transcript;
mod watch;

pub use accelerator::{Accelerator, Stepping};
pub use capture::CaptureRequest;
pub use conclusion::{Conclusion, Run};
pub use devices::Devices;
pub use disk::OpenDisk;
pub use forward::{ForwardRequest, HostPorts, OpenForward};
pub use host_port::HostPort;
pub use machine::Machine;
pub use monitor::Monitor;
pub use recording::Recording;
pub use relay::{Change, Relay};
pub use session::{End, Event, Session};
pub use startup::{Startup, Stuck};
pub use tpm::{Tpm, TpmState, TpmVersion};
pub use transcript::{Line, Transcript};
pub use watch::{Heard, Watch};
