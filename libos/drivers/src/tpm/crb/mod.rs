//! The command response buffer of a TPM 2.0: *CRB* (TCG *PC Client Platform TPM Profile*, PTP).
//!
//! Only buffers among the registers themselves, as discrete and emulated TPMs have them. A TPM in the
//! chipset's firmware may have its buffers elsewhere in memory; the manifest would have to give the service
//! that memory too.

mod register;
#[cfg(test)]
mod tests;

use core::{ops::Range, time::Duration};

use cloison_tpm::header::HEADER_BYTES;

use super::{
    Identity, InterfaceError, Locality, Step, TPM_ADDRESS, TPM_BYTES,
    exchange::{Advance, Exchange, Outcome, Steps, wait},
};
use crate::registers::Registers;
use register::{
    CANCEL, COMMAND_ADDRESS, COMMAND_BYTES, LOCALITY_CONTROL, LOCALITY_STATUS, REQUEST, RESPONSE_ADDRESS,
    RESPONSE_BYTES, START, STATUS, at,
};

/// A TPM behind its command response buffer.
pub struct Crb<R> {
    registers: R,
    /// The locality of the command that is in the TPM, or was abandoned there.
    locality: Locality,
    /// The locality of the command to send.
    wanted: Locality,
    exchange: Exchange<State>,
}

/// How far an exchange has come. Each state has a point in time at which the TPM is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// An abandoned command, if there is one, has to end first.
    Draining { until: Duration },
    /// The TPM was asked for the locality.
    Seeking { until: Duration },
    /// The TPM was asked to get ready.
    Readying { until: Duration },
    /// The TPM carries out the command.
    Executing { until: Duration },
}

/// Whether the registers say that this is their interface; those of a TPM that is not there do not.
#[must_use]
pub fn is_offered(registers: &mut impl Registers) -> bool {
    let id = registers.read32(at(Locality::EVERYDAY, register::INTERFACE_ID));
    id != u32::MAX && id & register::INTERFACE_TYPE == register::INTERFACE_IS_CRB
}

impl<R: Registers> Crb<R> {
    /// A driver for the TPM behind these registers. It does not touch them yet.
    pub const fn new(registers: R) -> Self {
        let locality = Locality::EVERYDAY;
        Self { registers, locality, wanted: locality, exchange: Exchange::new() }
    }
}

impl<R: Registers> Steps for Crb<R> {
    type State = State;

    const NAME: &'static str = "crb";

    fn exchange(&self) -> &Exchange<State> {
        &self.exchange
    }

    fn exchange_mut(&mut self) -> &mut Exchange<State> {
        &mut self.exchange
    }

    fn ask_identity(&mut self) -> Result<Identity, InterfaceError> {
        let [_, _, _, revision] = self.read(register::INTERFACE_ID)?.to_le_bytes();
        let [a, b, c, d] = self.read(register::VENDOR_AND_DEVICE)?.to_le_bytes();
        Ok(Identity { vendor: u16::from_le_bytes([a, b]), device: u16::from_le_bytes([c, d]), revision })
    }

    fn begin(&mut self, locality: Locality, now: Duration) -> State {
        self.wanted = locality;
        State::Draining { until: self.exchange.busy_until.max(now + self.exchange.timeouts.b) }
    }

    fn advance(&mut self, state: State, now: Duration) -> Outcome<State> {
        match state {
            State::Draining { until } => self.drain(now, until),
            State::Seeking { until } => self.seek(now, until),
            State::Readying { until } => self.get_ready(now, until),
            State::Executing { until } => self.execute(now, until),
        }
    }

    /// Lets the TPM go idle, and gives the locality up.
    fn finish(&mut self) {
        self.write(REQUEST, register::REQUEST_IDLE);
        self.write(LOCALITY_CONTROL, register::LOCALITY_RELINQUISH);
    }

    fn abort(&mut self, state: State) {
        if matches!(state, State::Executing { .. }) {
            self.write(CANCEL, 1);
        }
    }
}

impl<R: Registers> Crb<R> {
    fn drain(&mut self, now: Duration, until: Duration) -> Outcome<State> {
        if self.read(START)? != 0 {
            self.write(CANCEL, 1);
            return wait(now, until, Step::Ready);
        }
        self.exchange.busy_until = Duration::ZERO;
        self.write(CANCEL, 0);
        self.finish();
        self.locality = self.wanted;
        self.write(LOCALITY_CONTROL, register::LOCALITY_REQUEST);
        Ok(Advance::To(State::Seeking { until: now + self.exchange.timeouts.a }))
    }

    fn seek(&mut self, now: Duration, until: Duration) -> Outcome<State> {
        if self.read(LOCALITY_STATUS)? & register::LOCALITY_GRANTED == 0 {
            return wait(now, until, Step::Locality);
        }
        self.write(REQUEST, register::REQUEST_READY);
        Ok(Advance::To(State::Readying { until: now + self.exchange.timeouts.c }))
    }

    fn get_ready(&mut self, now: Duration, until: Duration) -> Outcome<State> {
        if self.read(REQUEST)? & register::REQUEST_READY != 0 {
            return wait(now, until, Step::Ready);
        }
        let buffer = self.buffer(COMMAND_ADDRESS, COMMAND_BYTES)?;
        if buffer.bytes < self.exchange.length as u64 {
            return Err(InterfaceError::CommandLength { given: self.exchange.length });
        }
        for (offset, byte) in (buffer.offset..).zip(self.exchange.message.iter().take(self.exchange.length)) {
            self.registers.write8(offset, *byte);
        }
        self.write(START, 1);
        self.exchange.busy_until = now + self.exchange.longest;
        Ok(Advance::To(State::Executing { until: self.exchange.busy_until }))
    }

    fn execute(&mut self, now: Duration, until: Duration) -> Outcome<State> {
        if self.read(START)? != 0 {
            return wait(now, until, Step::Execute);
        }
        self.exchange.busy_until = Duration::ZERO;
        if self.read(STATUS)? & register::STATUS_ERROR != 0 {
            return Err(InterfaceError::Failed);
        }
        let buffer = self.buffer(RESPONSE_ADDRESS, RESPONSE_BYTES)?;
        self.read_response(&buffer, 0..HEADER_BYTES);
        self.exchange.length = self.exchange.stated_length()?;
        if buffer.bytes < self.exchange.length as u64 {
            return Err(InterfaceError::LostBytes);
        }
        self.read_response(&buffer, HEADER_BYTES..self.exchange.length);
        Ok(Advance::Done)
    }

    fn read_response(&mut self, buffer: &Buffer, range: Range<usize>) {
        let offset = buffer.offset + range.start as u64;
        for (offset, byte) in (offset..).zip(self.exchange.message.get_mut(range).unwrap_or_default()) {
            *byte = self.registers.read8(offset);
        }
    }

    /// Where a buffer lies, by the registers that say so.
    fn buffer(&mut self, address: u64, bytes: u64) -> Result<Buffer, InterfaceError> {
        let low = self.read(address)?;
        let address = u64::from(low);
        let bytes = u64::from(self.read(bytes)?);
        let offset = address.checked_sub(TPM_ADDRESS).filter(|offset| offset + bytes <= TPM_BYTES);
        let offset = offset.filter(|_| bytes >= HEADER_BYTES as u64);
        Ok(Buffer { offset: offset.ok_or(InterfaceError::BufferElsewhere { address, bytes })?, bytes })
    }

    /// Reads a register of the locality. All ones are what the bus shows when nothing answers; no register
    /// holds that.
    fn read(&mut self, register: u64) -> Result<u32, InterfaceError> {
        let value = self.registers.read32(at(self.locality, register));
        if value == u32::MAX { Err(InterfaceError::Absent) } else { Ok(value) }
    }

    fn write(&mut self, register: u64, value: u32) {
        self.registers.write32(at(self.locality, register), value);
    }
}

/// Memory of the TPM, among its registers.
struct Buffer {
    offset: u64,
    bytes: u64,
}
