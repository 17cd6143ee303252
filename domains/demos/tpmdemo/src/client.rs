//! The TPM behind the gate `tpm`.

use core::time::Duration;

use cloison_rt::{
    sys::Instant,
    time::{after, sleep},
};
use cloison_tpm_gate::{Tpm, TpmError};

use crate::Transmit;

/// How long a service that is being restarted is waited for.
const RESTART_TIME: Duration = Duration::from_secs(5);
/// How long between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// An open TPM.
pub struct TpmClient(Tpm);

impl TpmClient {
    /// Opens the TPM; waits for the service if it is just being restarted.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open() -> Result<Self, TpmError> {
        let deadline = after(RESTART_TIME);
        loop {
            match Tpm::open("tpm") {
                Err(error) if error.is_restart() && Instant::now() < deadline => sleep(TRY_AGAIN),
                opened => return opened.map(Self),
            }
        }
    }
}

impl Transmit for TpmClient {
    type Error = TpmError;

    /// The service ends each command within the TPM's own time limits, so there is no need for a deadline.
    fn transmit<'b>(&mut self, command: &[u8], response: &'b mut [u8]) -> Result<&'b [u8], TpmError> {
        self.0.transmit(command, response, Instant::NEVER)
    }
}
