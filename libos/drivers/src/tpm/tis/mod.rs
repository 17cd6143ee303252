//! The FIFO interface of a TPM for PCs: *TIS*, for TPM 1.2 (TCG *PC Client Specific TPM Interface
//! Specification* 1.3) and 2.0 (TCG *PC Client Platform TPM Profile*, PTP).

#[cfg(any(test, feature = "simulated"))]
pub mod simulated;
#[cfg(test)]
mod tests;

use core::time::Duration;

use cloison_tpm::{
    header::HEADER_BYTES,
    tis::{self as register, Access, LOCALITY_BYTES, Status},
};

use super::{
    Identity, InterfaceError, Locality, Step,
    exchange::{Advance, Exchange, Outcome, Steps, wait},
};
use crate::registers::Registers;

/// A TPM behind its FIFO interface. Points in time are durations since any fixed moment of the caller's
/// choice.
pub struct Tis<R> {
    registers: R,
    locality: Locality,
    exchange: Exchange<State>,
}

/// How far an exchange has come. Each state has a point in time at which the TPM is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The TPM was asked for the locality.
    Seeking { until: Duration },
    /// The TPM was asked to get ready.
    Readying { until: Duration },
    /// The first `sent` bytes of the command have been written.
    Sending { sent: usize, until: Duration },
    /// The TPM carries out the command.
    Executing { until: Duration },
    /// The first `received` bytes of the response have been read.
    Receiving { received: usize, until: Duration },
}

/// Where a locality's register is: each has a page.
fn at(locality: Locality, register: u64) -> u64 {
    u64::from(locality.0) * LOCALITY_BYTES + register
}

impl<R: Registers> Tis<R> {
    /// A driver for the TPM behind these registers. It does not touch them yet.
    pub const fn new(registers: R) -> Self {
        Self { registers, locality: Locality::EVERYDAY, exchange: Exchange::new() }
    }
}

impl<R: Registers> Steps for Tis<R> {
    type State = State;

    const NAME: &'static str = "tis";

    fn exchange(&self) -> &Exchange<State> {
        &self.exchange
    }

    fn exchange_mut(&mut self) -> &mut Exchange<State> {
        &mut self.exchange
    }

    fn ask_identity(&mut self) -> Result<Identity, InterfaceError> {
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

    fn begin(&mut self, locality: Locality, now: Duration) -> State {
        self.leave_other_localities(locality);
        self.locality = locality;
        self.registers.write8(at(locality, register::ACCESS), Access::REQUEST_USE);
        State::Seeking { until: (now + self.exchange.timeouts.a).max(self.exchange.busy_until) }
    }

    fn advance(&mut self, state: State, now: Duration) -> Outcome<State> {
        match state {
            State::Seeking { until } => self.seek(now, until),
            State::Readying { until } => self.get_ready(now, until),
            State::Sending { sent, until } => self.send_bytes(sent, now, until),
            State::Executing { until } => self.execute(now, until),
            State::Receiving { received, until } => self.receive_bytes(received, now, until),
        }
    }

    /// Lets the TPM go: out of the command, and out of the locality.
    fn finish(&mut self) {
        self.write_status(Status::COMMAND_READY);
        self.registers.write8(at(self.locality, register::ACCESS), Access::ACTIVE);
    }

    fn abort(&mut self, _: State) {
        self.write_status(Status::COMMAND_READY);
    }
}

impl<R: Registers> Tis<R> {
    fn seek(&mut self, now: Duration, until: Duration) -> Outcome<State> {
        let access = self.access(self.locality);
        if access.is_absent() {
            return Err(InterfaceError::Absent);
        }
        if !access.contains(Access::VALID | Access::ACTIVE) {
            return wait(now, until, Step::Locality);
        }
        self.write_status(Status::COMMAND_READY);
        // A TPM that still works on an abandoned command may do so for as long as that command may take.
        Ok(Advance::To(State::Readying {
            until: (now + self.exchange.timeouts.b).max(self.exchange.busy_until),
        }))
    }

    fn get_ready(&mut self, now: Duration, until: Duration) -> Outcome<State> {
        if !self.status()?.contains(Status::COMMAND_READY) {
            // A TPM that was idle may need to be told twice: first out of idleness, then to be ready.
            self.write_status(Status::COMMAND_READY);
            return wait(now, until, Step::Ready);
        }
        self.exchange.busy_until = Duration::ZERO;
        Ok(Advance::To(State::Sending { sent: 0, until: now + self.exchange.timeouts.d }))
    }

    /// Writes what the TPM takes at once. The last byte goes alone, because before it the TPM must expect
    /// more and after it no more; a TPM that counts differently has lost bytes.
    fn send_bytes(&mut self, sent: usize, now: Duration, until: Duration) -> Outcome<State> {
        let status = self.status()?;
        let last = self.exchange.length.saturating_sub(1);
        if sent == self.exchange.length {
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
        for byte in self.exchange.message.iter().skip(sent).take(count) {
            self.registers.write8(fifo, *byte);
        }
        Ok(Advance::To(State::Sending { sent: sent + count, until: now + self.exchange.timeouts.d }))
    }

    fn start_command(&mut self, status: Status, now: Duration, until: Duration) -> Outcome<State> {
        if !status.contains(Status::VALID) {
            return wait(now, until, Step::Send);
        }
        if status.contains(Status::EXPECT) {
            return Err(InterfaceError::LostBytes);
        }
        self.write_status(Status::GO);
        self.exchange.busy_until = now + self.exchange.longest;
        Ok(Advance::To(State::Executing { until: self.exchange.busy_until }))
    }

    fn execute(&mut self, now: Duration, until: Duration) -> Outcome<State> {
        if !self.status()?.contains(Status::VALID | Status::DATA_AVAILABLE) {
            return wait(now, until, Step::Execute);
        }
        self.exchange.busy_until = Duration::ZERO;
        self.exchange.length = HEADER_BYTES;
        Ok(Advance::To(State::Receiving { received: 0, until: now + self.exchange.timeouts.d }))
    }

    fn receive_bytes(&mut self, received: usize, now: Duration, until: Duration) -> Outcome<State> {
        let status = self.status()?;
        if received == self.exchange.length {
            return self.end_response(status, now, until);
        }
        // A burst count without data is what a TPM shows that has fewer bytes than its header says.
        let count = if status.contains(Status::DATA_AVAILABLE) { status.burst() } else { 0 };
        let count = count.min(self.exchange.length - received);
        if count == 0 {
            return wait(now, until, Step::Receive);
        }
        let fifo = at(self.locality, register::DATA_FIFO);
        for byte in self.exchange.message.iter_mut().skip(received).take(count) {
            *byte = self.registers.read8(fifo);
        }
        let received = received + count;
        if received == HEADER_BYTES {
            self.exchange.length = self.exchange.stated_length()?;
        }
        Ok(Advance::To(State::Receiving { received, until: now + self.exchange.timeouts.d }))
    }

    fn end_response(&mut self, status: Status, now: Duration, until: Duration) -> Outcome<State> {
        if !status.contains(Status::VALID) {
            return wait(now, until, Step::Receive);
        }
        if status.contains(Status::DATA_AVAILABLE) {
            return Err(InterfaceError::LostBytes);
        }
        Ok(Advance::Done)
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
