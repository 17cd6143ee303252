//! Commands to the TPM, one after the other.

use core::time::Duration;

use cloison_rt::{
    sys::Instant,
    time::{after, sleep},
};
use cloison_tpm::{Command, Family, MAX_MESSAGE_BYTES};
use stpm_api::{Tpm, TpmError};

use crate::error::DemoError;

/// How long a service that is being restarted is waited for.
const RESTART_TIME: Duration = Duration::from_secs(5);
/// How long between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(10);
/// The longest of our commands: the template of an endorsement key is most of it.
const MAX_COMMAND_BYTES: usize = 512;

/// An open TPM, and room for a command and its response.
pub(crate) struct Session {
    tpm: Tpm,
    command: [u8; MAX_COMMAND_BYTES],
    response: [u8; MAX_MESSAGE_BYTES],
}

impl Session {
    /// Opens the TPM; waits for the service if it is just being restarted.
    pub(crate) fn open() -> Result<Self, DemoError> {
        let deadline = after(RESTART_TIME);
        let tpm = loop {
            match Tpm::open("tpm") {
                Err(error) if error.is_restart() && Instant::now() < deadline => sleep(TRY_AGAIN),
                opened => break opened?,
            }
        };
        Ok(Self { tpm, command: [0; MAX_COMMAND_BYTES], response: [0; MAX_MESSAGE_BYTES] })
    }

    /// Has the TPM carry out a command.
    pub(crate) fn run<C: Command>(&mut self, command: &C) -> Result<C::Response<'_>, DemoError> {
        let response = Self::transmit(&mut self.tpm, command, &mut self.command, &mut self.response)?;
        Ok(command.parse(response)?)
    }

    /// Which version the TPM has.
    pub(crate) fn family(&mut self) -> Result<Family, DemoError> {
        let response = Self::transmit(&mut self.tpm, &Family::PROBE, &mut self.command, &mut self.response)?;
        Ok(Family::from_probe(response)?)
    }

    /// The service ends each command within the TPM's own time limits, so there is no need for a deadline.
    fn transmit<'b>(
        tpm: &mut Tpm,
        command: &impl Command,
        buffer: &mut [u8],
        response: &'b mut [u8],
    ) -> Result<&'b [u8], DemoError> {
        let command = command.write(buffer)?;
        tpm.transmit(command, response, Instant::NEVER).map_err(|error: TpmError| error.into())
    }
}
