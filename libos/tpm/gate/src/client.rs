//! The client that waits for responses.

use core::fmt;

use cloison_abi::CallError;
use cloison_ipc::{Failure, GateLink, Link};
use cloison_sys::{Instant, wait};

use crate::{COMMAND_OFFSET, Progress, RESPONSE_OFFSET, tpm};

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TpmError {
    /// The manifest gave this domain no TPM by that name, or no memory to share with the service.
    NotGiven,
    /// The command does not fit into the shared memory.
    CommandTooLong {
        /// Its length.
        given: usize,
    },
    /// The response does not fit into the caller's buffer.
    ResponseTooLong {
        /// Its length, as the service states it.
        stated: u32,
    },
    /// The caller's deadline passed; the command was cancelled.
    DeadlinePassed,
    /// The service refused, or could not be reached.
    Service(Failure<tpm::Refusal>),
}

impl TpmError {
    /// The service was restarted or is just being restarted: it is worth while to open the TPM again.
    #[must_use]
    pub fn is_restart(&self) -> bool {
        let restarts = [Failure::Call(CallError::PeerFailed), Failure::Refused(tpm::Refusal::NotOpen)];
        matches!(self, Self::Service(failure) if restarts.contains(failure))
    }
}

impl From<Failure<tpm::Refusal>> for TpmError {
    fn from(failure: Failure<tpm::Refusal>) -> Self {
        Self::Service(failure)
    }
}

impl fmt::Display for TpmError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGiven => {
                write!(out, "this domain was given no TPM; add `uses.tpm` to it in the manifest")
            }
            Self::CommandTooLong { given } => write!(out, "a command of {given} bytes is too long to submit"),
            Self::ResponseTooLong { stated } => write!(out, "a response of {stated} bytes does not fit"),
            Self::DeadlinePassed => write!(out, "the deadline passed; the command was cancelled"),
            Self::Service(failure) => failure.fmt(out),
        }
    }
}

impl core::error::Error for TpmError {}

/// The way to the service, which has events too. [`GateLink`] is the real one.
pub trait ServiceLink: Link {
    /// Waits until the service may have something to say or has failed. False if the deadline passed first.
    fn wait(&self, deadline: Instant) -> bool;
}

impl ServiceLink for GateLink {
    fn wait(&self, deadline: Instant) -> bool {
        wait(self.events(), deadline) != 0
    }
}

/// An open TPM. It closes when dropped.
#[derive(Debug)]
pub struct Tpm<L: ServiceLink = GateLink> {
    client: tpm::Client<L>,
    link: L,
}

impl Tpm {
    /// Opens the TPM behind the gate that this domain's `domain.toml` calls `name`.
    ///
    /// # Errors
    /// [`TpmError::NotGiven`]; [`TpmError::Service`] if the service cannot be reached.
    pub fn open(name: &str) -> Result<Self, TpmError> {
        Self::open_link(GateLink::find(name).ok_or(TpmError::NotGiven)?)
    }
}

impl<L: ServiceLink + Clone> Tpm<L> {
    /// Opens the TPM behind a link.
    ///
    /// # Errors
    /// [`TpmError::Service`] if the service cannot be reached.
    pub fn open_link(link: L) -> Result<Self, TpmError> {
        let client = tpm::Client::new(link.clone());
        client.open()?;
        Ok(Self { client, link })
    }
}

impl<L: ServiceLink> Tpm<L> {
    /// Sends a command and waits for the response, which goes into `response`. Returns the part that it
    /// fills.
    ///
    /// The service ends each command within the TPM's own time limits, so `deadline` can be
    /// [`Instant::NEVER`]; a caller that has less time gets the TPM to abort.
    ///
    /// # Errors
    /// Whatever kept the response away. A TPM that refuses does so in its response, which is no error here.
    pub fn transmit<'b>(
        &mut self,
        command: &[u8],
        response: &'b mut [u8],
        deadline: Instant,
    ) -> Result<&'b [u8], TpmError> {
        self.submit(command)?;
        loop {
            if let Some(bytes) = self.finish(response)? {
                return Ok(response.get(..bytes).unwrap_or_default());
            }
            // An event may be an old one, or another peer's failure: `finish` knows.
            if !self.link.wait(deadline) {
                self.cancel()?;
                return Err(TpmError::DeadlinePassed);
            }
        }
    }

    /// Sends a command, and does not wait.
    ///
    /// # Errors
    /// Why the service does not take it.
    pub fn submit(&mut self, command: &[u8]) -> Result<(), TpmError> {
        let given = command.len();
        let too_long = TpmError::CommandTooLong { given };
        let bytes = u32::try_from(given).map_err(|_| too_long)?;
        if given > RESPONSE_OFFSET - COMMAND_OFFSET || !self.link.write(COMMAND_OFFSET, command) {
            return Err(too_long);
        }
        self.client.submit(bytes)?;
        Ok(())
    }

    /// Asks for the response to the command that was sent, which goes into `response`. Returns its length once it is
    /// there.
    ///
    /// # Errors
    /// Whatever kept the response away.
    pub fn finish(&mut self, response: &mut [u8]) -> Result<Option<usize>, TpmError> {
        let finished = self.client.finish()?;
        if finished.progress != Progress::Done {
            return Ok(None);
        }
        let stated = finished.bytes;
        let too_long = TpmError::ResponseTooLong { stated };
        let place =
            usize::try_from(stated).ok().and_then(|bytes| response.get_mut(..bytes)).ok_or(too_long)?;
        if self.link.read(RESPONSE_OFFSET, place) { Ok(Some(place.len())) } else { Err(too_long) }
    }

    /// Takes the command back that was sent: no response will come.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn cancel(&mut self) -> Result<(), TpmError> {
        self.client.cancel()?;
        Ok(())
    }
}

impl<L: ServiceLink> Drop for Tpm<L> {
    fn drop(&mut self) {
        // A service that cannot be reached has nothing open any more.
        let _ = self.client.close();
    }
}
