//! A TPM behind its driver: brought up, timed, and brought up again after trouble.

mod bring_up;
mod error;
mod repeat;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use core::{fmt, task::Poll, time::Duration};

use bring_up::{Answer, Question};
use cloison_drivers::{
    registers::Registers,
    tpm::{
        Identity, Interface, InterfaceError, Locality, TPM_ADDRESS, Timeouts,
        crb::{self, Crb},
        tis::Tis,
    },
};
use cloison_tpm::{
    MAX_MESSAGE_BYTES, ReturnCode,
    duration::{self, Durations12},
    header::{CommandHeader, check_command},
};
pub use error::ChipError;
use repeat::{Limits, Repeater, return_code};

/// A TPM as the service sees it. Points in time are durations since any fixed moment.
pub trait Chip {
    /// Brings the TPM up, unless it is. Ready: with whether that worked. After a failure the next call tries
    /// again.
    fn bring_up(&mut self, now: Duration) -> Poll<Result<(), ChipError>>;

    /// The longest command that the TPM takes, as far as it is known.
    fn max_command_bytes(&self) -> usize;

    /// Begins a command on a TPM that is up.
    ///
    /// # Errors
    /// The command cannot be sent.
    fn send(
        &mut self,
        locality: Locality,
        header: &CommandHeader,
        command: &[u8],
        now: Duration,
    ) -> Result<(), ChipError>;

    /// Goes on with the command. Ready: with the response, or with why there is none.
    fn poll(&mut self, now: Duration) -> Poll<Result<&[u8], ChipError>>;

    /// Aborts the command.
    fn cancel(&mut self);
}

/// Every TPM takes commands of at least this many bytes. A smaller figure is a fault of the TPM; believing it would block
/// the very commands that could correct it.
const LEAST_COMMAND_BYTES: usize = 512;

/// A TPM behind whichever interface it has.
pub struct TpmChip {
    repeater: Repeater,
    stage: Stage,
    durations: Durations12,
    max_command_bytes: usize,
    /// Whether this bring-up has sent the startup command; a TPM that wants a second one is broken.
    startup_sent: bool,
    identity: Option<Identity>,
    /// What was logged last about the TPM, so that clients that try and try do not fill the log.
    told: Option<Told>,
    log: fn(fmt::Arguments<'_>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is known of the TPM.
    Down,
    /// It was asked this.
    Asking(Question),
    /// It takes commands.
    Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Found(Identity),
    Failed(ChipError),
}

impl TpmChip {
    /// A TPM behind `registers`, which say themselves which interface they are. Lines for people go to `log`.
    pub fn new(mut registers: impl Registers + 'static, log: fn(fmt::Arguments<'_>)) -> Self {
        // A TPM with both interfaces has the one that its registers name; where there is none, the older one
        // says so.
        let interface: Box<dyn Interface> = if crb::is_offered(&mut registers) {
            log(format_args!("crb: offered at {TPM_ADDRESS:#x}"));
            Box::new(Crb::new(registers))
        } else {
            log(format_args!("crb: not offered at {TPM_ADDRESS:#x}; next: tis"));
            Box::new(Tis::new(registers))
        };
        Self {
            repeater: Repeater::new(interface),
            stage: Stage::Down,
            durations: Durations12::DEFAULT,
            max_command_bytes: MAX_MESSAGE_BYTES,
            startup_sent: false,
            identity: None,
            told: None,
            log,
        }
    }

    /// Asks one question after the other, as far as the TPM lets it.
    fn ask_all(&mut self, now: Duration) -> Poll<Result<(), ChipError>> {
        // Each round leads to a further question, and there are few.
        loop {
            let next = match self.stage {
                Stage::Up => return Poll::Ready(Ok(())),
                Stage::Down => self.begin(),
                Stage::Asking(question) => match self.repeater.poll(now) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(response) => {
                        let answer = response.and_then(|response| question.read(response));
                        answer.and_then(|answer| self.take(question, answer))
                    }
                },
            };
            match next.and_then(|question| self.ask(question, now)) {
                Ok(stage) => self.stage = stage,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Nothing that was known still holds: after trouble, the TPM may be another one.
    fn begin(&mut self) -> Result<Option<Question>, ChipError> {
        self.identity = Some(self.repeater.interface().identify()?);
        self.startup_sent = false;
        self.durations = Durations12::DEFAULT;
        self.max_command_bytes = MAX_MESSAGE_BYTES;
        self.repeater.interface().set_timeouts(Timeouts::DEFAULT);
        Ok(Some(Question::Family))
    }

    fn ask(&mut self, question: Option<Question>, now: Duration) -> Result<Stage, ChipError> {
        let Some(question) = question else {
            self.tell_found();
            return Ok(Stage::Up);
        };
        let mut buffer = [0; bring_up::MAX_QUESTION_BYTES];
        let command = question.write(&mut buffer)?;
        let header = check_command(command, command.len()).map_err(|_| ChipError::Garbage)?;
        self.send(Locality::EVERYDAY, &header, command, now)?;
        Ok(Stage::Asking(question))
    }

    /// Makes use of an answer. Returns the next question, if there is one.
    fn take(&mut self, question: Question, answer: Answer) -> Result<Option<Question>, ChipError> {
        match answer {
            Answer::WantsStartup(family) if !self.startup_sent => {
                self.startup_sent = true;
                return Ok(Some(Question::Startup(family)));
            }
            Answer::WantsStartup(_) => return Err(ChipError::Garbage),
            Answer::MaxCommandBytes(bytes) => {
                self.max_command_bytes =
                    usize::try_from(bytes).unwrap_or(0).clamp(LEAST_COMMAND_BYTES, MAX_MESSAGE_BYTES);
            }
            Answer::Timeouts(stated) => self.repeater.interface().set_timeouts(Timeouts::from_stated(stated)),
            Answer::Durations(durations) => self.durations = durations,
            Answer::Family(_) | Answer::Nothing => {}
        }
        Ok(question.next(answer))
    }

    fn tell_found(&mut self) {
        let Some(identity) = self.identity else { return };
        if self.told.replace(Told::Found(identity)) != Some(Told::Found(identity)) {
            let Identity { vendor, device, revision } = identity;
            let (name, maker) = (self.repeater.interface().name(), vendor_name(vendor));
            (self.log)(format_args!(
                "{name}: vendor {vendor:#06x} ({maker}) device {device:#06x} rev: {revision}"
            ));
        }
    }

    /// Whether a TPM that is up says by its answer that it is not: it has failed, or was reset meanwhile.
    fn needs_bring_up(&self, code: ReturnCode) -> bool {
        // A client that tries to start a TPM that is started gets the same code, and it says nothing.
        code == ReturnCode::FAIL || (code.wants_startup() && !self.repeater.header().is_startup())
    }

    fn fail(&mut self, error: ChipError) {
        self.stage = Stage::Down;
        if self.told == Some(Told::Failed(error)) {
            return;
        }
        self.told = Some(Told::Failed(error));
        let name = self.repeater.interface().name();
        if error == ChipError::Interface(InterfaceError::Absent) {
            (self.log)(format_args!("{name}: no TPM answers at {TPM_ADDRESS:#x}"));
        } else {
            (self.log)(format_args!("{name}: {error}; the next command starts afresh"));
        }
    }
}

impl Chip for TpmChip {
    fn bring_up(&mut self, now: Duration) -> Poll<Result<(), ChipError>> {
        let outcome = self.ask_all(now);
        if let Poll::Ready(Err(error)) = outcome {
            self.fail(error);
        }
        outcome
    }

    fn max_command_bytes(&self) -> usize {
        self.max_command_bytes
    }

    fn send(
        &mut self,
        locality: Locality,
        header: &CommandHeader,
        command: &[u8],
        now: Duration,
    ) -> Result<(), ChipError> {
        let limits = Limits {
            command: duration::longest(header, &self.durations),
            self_test: duration::self_test(header.family(), &self.durations),
        };
        self.repeater.send(locality, header, command, limits, now)
    }

    fn poll(&mut self, now: Duration) -> Poll<Result<&[u8], ChipError>> {
        let polled = match self.repeater.poll(now) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(polled) => polled.map(return_code),
        };
        match polled {
            Err(error) => self.fail(error),
            // The client gets the response, which says it; the TPM may be a new one next time.
            Ok(Some(code)) if self.needs_bring_up(code) => self.fail(ChipError::Refused(code)),
            Ok(_) => {}
        }
        Poll::Ready(polled.map(|_| self.repeater.interface().response()))
    }

    fn cancel(&mut self) {
        self.repeater.cancel();
    }
}

/// Who a vendor number belongs to (PCI-SIG's list).
fn vendor_name(vendor: u16) -> &'static str {
    match vendor {
        0x1014 => "IBM",
        0x1022 => "AMD",
        0x1050 => "Nuvoton",
        0x104a => "STMicroelectronics",
        0x1114 => "Atmel",
        0x14e4 => "Broadcom",
        0x15d1 => "Infineon",
        0x8086 => "Intel",
        _ => "unknown",
    }
}
