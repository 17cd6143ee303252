//! The FIFO interface of a TPM for PCs: *TIS*, for TPM 1.2 (TCG *PC Client Specific TPM Interface
//! Specification* 1.3) and 2.0 (TCG *PC Client Platform TPM Profile*, PTP).

mod register;
#[cfg(any(test, feature = "simulated"))]
pub mod simulated;
#[cfg(test)]
mod tests;

use core::{task::Poll, time::Duration};

use cloison_tpm::{MAX_MESSAGE_BYTES, header::HEADER_BYTES};

use super::{Identity, Interface, InterfaceError, Locality, Step, Timeouts, stated_length, time_left};
use crate::registers::Registers;
use register::{Access, Status, at};

/// A TPM behind its FIFO interface. Points in time are durations since any fixed moment of the caller's
/// choice.
pub struct Tis<R> {
    registers: R,
    timeouts: Timeouts,
    state: State,
    locality: Locality,
    /// Until when the command may take that is in the TPM, or was abandoned there.
    busy_until: Duration,
    /// How long the command may take.
    longest: Duration,
    /// First the command, then the response.
    message: [u8; MAX_MESSAGE_BYTES],
    /// Bytes of the command; while receiving: of the response, as far as known.
    length: usize,
}

/// How far an exchange has come. Each state but the first has a point in time at which the TPM is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing to do.
    Idle,
    /// The TPM was asked for the locality.
    Seeking { until: Duration },
    /// The TPM was asked to get ready.
    Readying { until: Duration },
    /// So many bytes of the command have been written.
    Sending { sent: usize, until: Duration },
    /// The TPM carries out the command.
    Executing { until: Duration },
    /// So many bytes of the response have been read.
    Receiving { received: usize, until: Duration },
}

/// What one step led to.
enum Advance {
    /// The TPM is not there yet.
    Wait,
    /// On to this state, at once.
    To(State),
    /// The response is complete.
    Done,
}

impl<R: Registers> Tis<R> {
    /// A driver for the TPM behind these registers. It does not touch them yet.
    pub const fn new(registers: R) -> Self {
        Self {
            registers,
            timeouts: Timeouts::DEFAULT,
            state: State::Idle,
            locality: Locality::EVERYDAY,
            busy_until: Duration::ZERO,
            longest: Duration::ZERO,
            message: [0; MAX_MESSAGE_BYTES],
            length: 0,
        }
    }
}

impl<R: Registers> Interface for Tis<R> {
    fn name(&self) -> &'static str {
        "tis"
    }

    fn identify(&mut self) -> Result<Identity, InterfaceError> {
        let access = self.access(Locality::EVERYDAY);
        let [low, high, device_low, device_high] =
            self.registers.read32(at(Locality::EVERYDAY, register::VENDOR_AND_DEVICE)).to_le_bytes();
        let vendor = u16::from_le_bytes([low, high]);
        if access.is_absent() || vendor == u16::MAX || vendor == 0 {
            return Err(InterfaceError::Absent);
        }
        let device = u16::from_le_bytes([device_low, device_high]);
        let revision = self.registers.read8(at(Locality::EVERYDAY, register::REVISION));
        Ok(Identity { vendor, device, revision })
    }

    fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.timeouts = timeouts;
    }

    fn send(
        &mut self,
        locality: Locality,
        command: &[u8],
        longest: Duration,
        now: Duration,
    ) -> Result<(), InterfaceError> {
        let place = self.message.get_mut(..command.len()).filter(|place| place.len() >= HEADER_BYTES);
        place.ok_or(InterfaceError::CommandLength { given: command.len() })?.copy_from_slice(command);
        self.length = command.len();
        self.longest = longest;
        self.leave_other_localities(locality);
        self.locality = locality;
        self.registers.write8(at(locality, register::ACCESS), Access::REQUEST_USE);
        self.state = State::Seeking { until: (now + self.timeouts.a).max(self.busy_until) };
        Ok(())
    }

    fn poll(&mut self, now: Duration) -> Poll<Result<&[u8], InterfaceError>> {
        // Every round but the last changes the state forward or moves at least one byte, so this ends.
        loop {
            match self.advance(now) {
                Ok(Advance::Wait) => return Poll::Pending,
                Ok(Advance::To(state)) => self.state = state,
                Ok(Advance::Done) => {
                    self.finish();
                    return Poll::Ready(Ok(self.response()));
                }
                Err(error) => {
                    self.forget();
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    fn response(&self) -> &[u8] {
        let ended = self.state == State::Idle;
        self.message.get(..self.length).filter(|_| ended).unwrap_or_default()
    }

    fn cancel(&mut self) {
        if self.state != State::Idle {
            self.forget();
            self.write_status(Status::COMMAND_READY);
        }
    }
}

impl<R: Registers> Tis<R> {
    fn advance(&mut self, now: Duration) -> Result<Advance, InterfaceError> {
        match self.state {
            State::Idle => Err(InterfaceError::NothingSent),
            State::Seeking { until } => self.seek(now, until),
            State::Readying { until } => self.get_ready(now, until),
            State::Sending { sent, until } => self.send_bytes(sent, now, until),
            State::Executing { until } => self.execute(now, until),
            State::Receiving { received, until } => self.receive_bytes(received, now, until),
        }
    }

    fn seek(&mut self, now: Duration, until: Duration) -> Result<Advance, InterfaceError> {
        let access = self.access(self.locality);
        if access.is_absent() {
            return Err(InterfaceError::Absent);
        }
        if !access.contains(Access::VALID | Access::ACTIVE) {
            return wait(now, until, Step::Locality);
        }
        self.write_status(Status::COMMAND_READY);
        // A TPM that still works on an abandoned command may do so for as long as that command may take.
        Ok(Advance::To(State::Readying { until: (now + self.timeouts.b).max(self.busy_until) }))
    }

    fn get_ready(&mut self, now: Duration, until: Duration) -> Result<Advance, InterfaceError> {
        if !self.status()?.contains(Status::COMMAND_READY) {
            // A TPM that was idle may need to be told twice: first out of idleness, then to be ready.
            self.write_status(Status::COMMAND_READY);
            return wait(now, until, Step::Ready);
        }
        self.busy_until = Duration::ZERO;
        Ok(Advance::To(State::Sending { sent: 0, until: now + self.timeouts.d }))
    }

    /// Writes what the TPM takes at once. The last byte goes alone, because before it the TPM must expect
    /// more and after it no more; a TPM that counts differently has lost bytes.
    fn send_bytes(&mut self, sent: usize, now: Duration, until: Duration) -> Result<Advance, InterfaceError> {
        let status = self.status()?;
        let last = self.length.saturating_sub(1);
        if sent == self.length {
            return self.start_command(status, now, until);
        }
        if sent == last {
            if !status.contains(Status::VALID) {
                return wait(now, until, Step::Send);
            }
            if !status.contains(Status::EXPECT) {
                return Err(InterfaceError::LostBytes);
            }
        }
        let most = if sent == last { 1 } else { last - sent };
        let count = status.burst().min(most);
        if count == 0 {
            return wait(now, until, Step::Send);
        }
        let fifo = at(self.locality, register::DATA_FIFO);
        for byte in self.message.iter().skip(sent).take(count) {
            self.registers.write8(fifo, *byte);
        }
        Ok(Advance::To(State::Sending { sent: sent + count, until: now + self.timeouts.d }))
    }

    fn start_command(
        &mut self,
        status: Status,
        now: Duration,
        until: Duration,
    ) -> Result<Advance, InterfaceError> {
        if !status.contains(Status::VALID) {
            return wait(now, until, Step::Send);
        }
        if status.contains(Status::EXPECT) {
            return Err(InterfaceError::LostBytes);
        }
        self.write_status(Status::GO);
        self.busy_until = now + self.longest;
        Ok(Advance::To(State::Executing { until: self.busy_until }))
    }

    fn execute(&mut self, now: Duration, until: Duration) -> Result<Advance, InterfaceError> {
        if !self.status()?.contains(Status::VALID | Status::DATA_AVAILABLE) {
            return wait(now, until, Step::Execute);
        }
        self.busy_until = Duration::ZERO;
        self.length = HEADER_BYTES;
        Ok(Advance::To(State::Receiving { received: 0, until: now + self.timeouts.d }))
    }

    fn receive_bytes(
        &mut self,
        received: usize,
        now: Duration,
        until: Duration,
    ) -> Result<Advance, InterfaceError> {
        let status = self.status()?;
        if received == self.length {
            return self.end_response(status, now, until);
        }
        // A burst count without data is what a TPM shows that has fewer bytes than its header says.
        let count = if status.contains(Status::DATA_AVAILABLE) { status.burst() } else { 0 };
        let count = count.min(self.length - received);
        if count == 0 {
            return wait(now, until, Step::Receive);
        }
        let fifo = at(self.locality, register::DATA_FIFO);
        for byte in self.message.iter_mut().skip(received).take(count) {
            *byte = self.registers.read8(fifo);
        }
        let received = received + count;
        if received == HEADER_BYTES {
            self.length = stated_length(&self.message)?;
        }
        Ok(Advance::To(State::Receiving { received, until: now + self.timeouts.d }))
    }

    fn end_response(
        &mut self,
        status: Status,
        now: Duration,
        until: Duration,
    ) -> Result<Advance, InterfaceError> {
        if !status.contains(Status::VALID) {
            return wait(now, until, Step::Receive);
        }
        if status.contains(Status::DATA_AVAILABLE) {
            return Err(InterfaceError::LostBytes);
        }
        Ok(Advance::Done)
    }

    /// Lets the TPM go: out of the command, and out of the locality.
    fn finish(&mut self) {
        self.state = State::Idle;
        self.write_status(Status::COMMAND_READY);
        self.registers.write8(at(self.locality, register::ACCESS), Access::ACTIVE);
    }

    /// Ends the exchange without a word to the TPM: a device that hangs can hang whoever writes to it, and
    /// the client has to be told first. The next exchange begins with an abort anyway; until then the
    /// locality is kept.
    fn forget(&mut self) {
        self.state = State::Idle;
        self.length = 0;
    }

    /// Gives up localities that firmware or an abandoned command left active: the TPM gives one at a time.
    fn leave_other_localities(&mut self, wanted: Locality) {
        // Locality 4 is the chipset's; no software holds it.
        for locality in Locality::ALL.into_iter().take(4).filter(|locality| *locality != wanted) {
            let access = self.access(locality);
            if access.contains(Access::ACTIVE) && !access.is_absent() {
                self.registers.write8(at(locality, register::ACCESS), Access::ACTIVE);
            }
        }
    }

    fn access(&mut self, locality: Locality) -> Access {
        Access::from_bits(self.registers.read8(at(locality, register::ACCESS)))
    }

    fn status(&mut self) -> Result<Status, InterfaceError> {
        let status = Status(self.registers.read32(at(self.locality, register::STATUS)));
        if status.is_absent() { Err(InterfaceError::Absent) } else { Ok(status) }
    }

    fn write_status(&mut self, flags: u8) {
        self.registers.write8(at(self.locality, register::STATUS), flags);
    }
}

/// Waits for the TPM, unless it has had its time.
fn wait(now: Duration, until: Duration, step: Step) -> Result<Advance, InterfaceError> {
    time_left(now, until, step).map(|()| Advance::Wait)
}
