//! The guest's TPM: what the service behind the gate `tpm` carries out.

use core::task::Poll;

use cloison_tpm_gate::{Failure, GateLink, Tpm, TpmError, tpm::Refusal};
use linux_core::machine::Submission;

/// The service.
pub struct TpmService {
    link: GateLink,
    /// Not before the first command, and not while the service is being restarted.
    open: Option<Tpm>,
}

impl TpmService {
    /// The service, if the manifest gives one.
    pub fn find() -> Option<Self> {
        Some(Self { link: GateLink::find("tpm")?, open: None })
    }

    /// Hands over a command. While the service is being restarted it waits: a new service knows nothing of it yet.
    pub fn submit(&mut self, command: &[u8]) -> Submission {
        let Err(error) = self.try_submit(command) else { return Submission::Taken };
        match error {
            TpmError::Service(Failure::Refused(
                Refusal::Malformed | Refusal::TooLong | Refusal::Forbidden,
            )) => Submission::Malformed,
            _ => {
                self.open = None;
                if error.is_restart() { Submission::Later } else { Submission::Lost }
            }
        }
    }

    fn try_submit(&mut self, command: &[u8]) -> Result<(), TpmError> {
        let tpm = match &mut self.open {
            Some(tpm) => tpm,
            none => none.insert(Tpm::open_link(self.link)?),
        };
        tpm.submit(command)
    }

    /// Asks for the response. If the service has failed meanwhile there will be none: nobody knows whether the TPM has
    /// carried the command out.
    pub fn finish(&mut self, response: &mut [u8]) -> Poll<Option<usize>> {
        let Some(tpm) = &mut self.open else { return Poll::Ready(None) };
        match tpm.finish(response) {
            Ok(None) => Poll::Pending,
            Ok(length) => Poll::Ready(length),
            Err(_) => {
                self.open = None;
                Poll::Ready(None)
            }
        }
    }

    /// Takes the command back. What cannot be taken back goes when the service is opened the next time.
    pub fn cancel(&mut self) {
        if self.open.as_mut().is_some_and(|tpm| tpm.cancel().is_err()) {
            self.open = None;
        }
    }
}
