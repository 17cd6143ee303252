//! Commands to the TPM, one after the other.

use core::fmt;

use cloison_tpm::{Command, Error, Family, MAX_MESSAGE_BYTES};

use crate::Log;

/// The longest of our commands: the template of an endorsement key is most of it.
const MAX_COMMAND_BYTES: usize = 512;

/// The way to a TPM.
pub trait Transmit {
    /// Why there is no response.
    type Error;

    /// Sends a command and waits for the response, which goes into `response`. Returns the part that it fills.
    ///
    /// # Errors
    /// Why there is no response. A TPM that refuses does so in its response, which is no error here.
    fn transmit<'b>(&mut self, command: &[u8], response: &'b mut [u8]) -> Result<&'b [u8], Self::Error>;
}

/// A TPM, room for a command and its response, and where lines go.
pub(crate) struct Session<'t, T> {
    tpm: &'t mut T,
    log: Log,
    command: [u8; MAX_COMMAND_BYTES],
    response: [u8; MAX_MESSAGE_BYTES],
}

/// What the TPM made of a command, if it answered.
pub(crate) type Answer<R, E> = Result<Result<R, Error>, E>;

impl<'t, T: Transmit> Session<'t, T> {
    pub(crate) fn new(tpm: &'t mut T, log: Log) -> Self {
        Self { tpm, log, command: [0; MAX_COMMAND_BYTES], response: [0; MAX_MESSAGE_BYTES] }
    }

    /// Where lines go. A copy, because an answer keeps the session borrowed.
    pub(crate) fn log(&self) -> Log {
        self.log
    }

    /// Shows one line.
    pub(crate) fn say(&self, line: fmt::Arguments<'_>) {
        (self.log)(line);
    }

    /// Has the TPM carry out a command.
    pub(crate) fn run<C: Command>(&mut self, command: &C) -> Answer<C::Response<'_>, T::Error> {
        Ok(self.transmit(command)?.and_then(|response| command.parse(response)))
    }

    /// Which version the TPM has.
    pub(crate) fn family(&mut self) -> Answer<Family, T::Error> {
        Ok(self.transmit(&Family::PROBE)?.and_then(Family::from_probe))
    }

    fn transmit(&mut self, command: &impl Command) -> Answer<&[u8], T::Error> {
        match command.write(&mut self.command) {
            Ok(command) => self.tpm.transmit(command, &mut self.response).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }
}
