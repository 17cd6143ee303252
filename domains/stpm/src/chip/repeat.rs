//! A command, sent again as long as the TPM asks for it.
//!
//! A TPM can be busy, put a command aside, or have to test itself first. Each time its answer is a code that
//! says that the same command will do later. Clients need not know: they get the answer that comes in the end.

#[cfg(test)]
mod tests;

use alloc::{boxed::Box, vec::Vec};
use core::{task::Poll, time::Duration};

use cloison_drivers::tpm::{Interface, Locality};
use cloison_tpm::{Command as _, Family, MAX_MESSAGE_BYTES, ReturnCode, header::CommandHeader, tpm12, tpm20};

use super::ChipError;

/// The pause before the first repetition. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Bytes of the longest command for a self-test.
const SELF_TEST_BYTES: usize = 16;

/// How long a command may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The command itself.
    pub(super) command: Duration,
    /// A self-test, if the TPM makes one of the command.
    pub(super) self_test: Duration,
}

/// A TPM's interface, and the command that is under way there.
pub(super) struct Repeater {
    interface: Box<dyn Interface>,
    locality: Locality,
    header: CommandHeader,
    /// The interface keeps no command: its answer takes the place.
    command: Vec<u8>,
    limits: Limits,
    begun: Duration,
    /// Until when the command is repeated.
    until: Duration,
    pause: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The TPM has the command, or nothing.
    Asked,
    /// The TPM has a self-test that the command needs.
    Testing,
    /// The TPM is left alone until then.
    Pausing { until: Duration },
}

impl Repeater {
    pub(super) fn new(interface: Box<dyn Interface>) -> Self {
        Self {
            interface,
            locality: Locality::EVERYDAY,
            header: CommandHeader { tag: 0, length: 0, ordinal: 0 },
            // Once and for all, so that memory cannot run out later.
            command: Vec::with_capacity(MAX_MESSAGE_BYTES),
            limits: Limits { command: Duration::ZERO, self_test: Duration::ZERO },
            begun: Duration::ZERO,
            until: Duration::ZERO,
            pause: FIRST_PAUSE,
            state: State::Asked,
        }
    }

    /// The interface, for all but commands.
    pub(super) fn interface(&mut self) -> &mut dyn Interface {
        &mut *self.interface
    }

    /// Begins a command.
    pub(super) fn send(
        &mut self,
        locality: Locality,
        header: &CommandHeader,
        command: &[u8],
        limits: Limits,
        now: Duration,
    ) -> Result<(), ChipError> {
        (self.locality, self.header, self.limits) = (locality, *header, limits);
        (self.begun, self.until, self.pause) = (now, now + limits.command, FIRST_PAUSE);
        self.command.clear();
        self.command.extend_from_slice(command);
        self.ask(now)
    }

    /// Goes on with the command. Ready: with the answer, or with why there is none.
    pub(super) fn poll(&mut self, now: Duration) -> Poll<Result<&[u8], ChipError>> {
        // Each round ends in a wait, of the TPM or for it.
        loop {
            match self.advance(now) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(false)) => {}
                Ok(Poll::Ready(true)) => return Poll::Ready(Ok(self.interface.response())),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// The header of the command.
    pub(super) fn header(&self) -> &CommandHeader {
        &self.header
    }

    /// Aborts the command.
    pub(super) fn cancel(&mut self) {
        self.state = State::Asked;
        self.interface.cancel();
    }

    /// Goes one step on. Ready: whether the answer has come.
    fn advance(&mut self, now: Duration) -> Result<Poll<bool>, ChipError> {
        if let State::Pausing { until } = self.state {
            if now < until {
                return Ok(Poll::Pending);
            }
            self.ask(now)?;
        }
        let answer = match self.interface.poll(now) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(answer) => return_code(answer?),
        };
        let is_last = match (self.state, answer) {
            // Whatever came of the test, the command's own answer says it best.
            (State::Testing, _) => self.rest(now, now + self.pause),
            (_, Some(code)) => self.judge(code, now)?,
            (_, None) => true,
        };
        Ok(Poll::Ready(is_last))
    }

    /// Does what the command's answer asks for. Returns whether that is nothing, because it is the last one.
    fn judge(&mut self, code: ReturnCode, now: Duration) -> Result<bool, ChipError> {
        // To a self-test, such codes are its result.
        let is_about_test = (code.is_testing() || code.wants_self_test()) && !self.header.is_self_test();
        if is_about_test {
            self.until = self.until.max(self.begun + self.limits.self_test);
        }
        if now >= self.until || !(is_about_test || code.wants_retry()) {
            return Ok(true);
        }
        if is_about_test && code.wants_self_test() {
            self.test(now)?;
            return Ok(false);
        }
        Ok(self.rest(now, self.until))
    }

    /// Leaves the TPM alone for a while, but not for longer than `until`. Returns that there is no answer yet.
    fn rest(&mut self, now: Duration, until: Duration) -> bool {
        self.state = State::Pausing { until: until.min(now + self.pause) };
        self.pause = LONGEST_PAUSE.min(2 * self.pause);
        false
    }

    fn ask(&mut self, now: Duration) -> Result<(), ChipError> {
        self.state = State::Asked;
        Ok(self.interface.send(self.locality, &self.command, self.limits.command, now)?)
    }

    fn test(&mut self, now: Duration) -> Result<(), ChipError> {
        let mut buffer = [0; SELF_TEST_BYTES];
        let command = match self.header.family() {
            Family::Tpm12 => tpm12::ContinueSelfTest.write(&mut buffer),
            Family::Tpm20 => tpm20::SelfTest.write(&mut buffer),
        };
        self.state = State::Testing;
        Ok(self.interface.send(self.locality, command?, self.limits.self_test, now)?)
    }
}

/// The code in a response's header.
pub(super) fn return_code(response: &[u8]) -> Option<ReturnCode> {
    let code = response.get(6..)?.first_chunk::<4>()?;
    Some(ReturnCode(u32::from_be_bytes(*code)))
}
