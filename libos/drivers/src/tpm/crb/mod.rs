//! The command response buffer of a TPM 2.0: *CRB* (TCG *PC Client Platform TPM Profile*, PTP).
//!
//! Only buffers among the registers themselves, as discrete and emulated TPMs have them. A TPM in the
//! chipset's firmware may have its buffers elsewhere in memory; the manifest would have to give the service
//! that memory too.

mod register;
#[cfg(test)]
mod tests;

use core::{ops::Range, task::Poll, time::Duration};

use cloison_tpm::{MAX_MESSAGE_BYTES, header::HEADER_BYTES};

use super::{
    Identity, Interface, InterfaceError, Locality, Step, TPM_ADDRESS, TPM_BYTES, Timeouts, stated_length,
    time_left,
};
use crate::registers::Registers;
use register::{
    CANCEL, COMMAND_ADDRESS, COMMAND_BYTES, LOCALITY_CONTROL, LOCALITY_STATUS, REQUEST, RESPONSE_ADDRESS,
    RESPONSE_BYTES, START, STATUS, at,
};

/// A TPM behind its command response buffer.
pub struct Crb<R> {
    registers: R,
    timeouts: Timeouts,
    state: State,
    /// The locality of the command that is in the TPM, or was abandoned there.
    locality: Locality,
    /// The locality of the command to send.
    wanted: Locality,
    /// Until when the command may take that is in the TPM, or was abandoned there.
    busy_until: Duration,
    /// How long the command may take.
    longest: Duration,
    /// First the command, then the response.
    message: [u8; MAX_MESSAGE_BYTES],
    length: usize,
}

/// How far an exchange has come. Each state but the first has a point in time at which the TPM is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing to do.
    Idle,
    /// An abandoned command, if there is one, has to end first.
    Draining { until: Duration },
    /// The TPM was asked for the locality.
    Seeking { until: Duration },
    /// The TPM was asked to get ready.
    Readying { until: Duration },
    /// The TPM carries out the command.
    Executing { until: Duration },
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

/// Whether the registers say that this is their interface; those of a TPM that is not there do not.
#[must_use]
pub fn is_offered(registers: &mut impl Registers) -> bool {
    let id = registers.read32(at(Locality::EVERYDAY, register::INTERFACE_ID));
    id != u32::MAX && id & register::INTERFACE_TYPE == register::INTERFACE_IS_CRB
}

impl<R: Registers> Crb<R> {
    /// A driver for the TPM behind these registers. It does not touch them yet.
    pub const fn new(registers: R) -> Self {
        Self {
            registers,
            timeouts: Timeouts::DEFAULT,
            state: State::Idle,
            locality: Locality::EVERYDAY,
            wanted: Locality::EVERYDAY,
            busy_until: Duration::ZERO,
            longest: Duration::ZERO,
            message: [0; MAX_MESSAGE_BYTES],
            length: 0,
        }
    }
}

impl<R: Registers> Interface for Crb<R> {
    fn name(&self) -> &'static str {
        "crb"
    }

    fn identify(&mut self) -> Result<Identity, InterfaceError> {
        let [_, _, _, revision] = self.read(register::INTERFACE_ID)?.to_le_bytes();
        let [a, b, c, d] = self.read(register::VENDOR_AND_DEVICE)?.to_le_bytes();
        Ok(Identity { vendor: u16::from_le_bytes([a, b]), device: u16::from_le_bytes([c, d]), revision })
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
        self.wanted = locality;
        self.state = State::Draining { until: self.busy_until.max(now + self.timeouts.b) };
        Ok(())
    }

    fn poll(&mut self, now: Duration) -> Poll<Result<&[u8], InterfaceError>> {
        // Every round but the last changes the state forward, so this ends.
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
        if matches!(self.state, State::Executing { .. }) {
            self.write(CANCEL, 1);
        }
        self.forget();
    }
}

impl<R: Registers> Crb<R> {
    fn advance(&mut self, now: Duration) -> Result<Advance, InterfaceError> {
        match self.state {
            State::Idle => Err(InterfaceError::NothingSent),
            State::Draining { until } => self.drain(now, until),
            State::Seeking { until } => self.seek(now, until),
            State::Readying { until } => self.get_ready(now, until),
            State::Executing { until } => self.execute(now, until),
        }
    }

    fn drain(&mut self, now: Duration, until: Duration) -> Result<Advance, InterfaceError> {
        if self.read(START)? != 0 {
            self.write(CANCEL, 1);
            return wait(now, until, Step::Ready);
        }
        self.busy_until = Duration::ZERO;
        self.write(CANCEL, 0);
        self.leave();
        self.locality = self.wanted;
        self.write(LOCALITY_CONTROL, register::LOCALITY_REQUEST);
        Ok(Advance::To(State::Seeking { until: now + self.timeouts.a }))
    }

    fn seek(&mut self, now: Duration, until: Duration) -> Result<Advance, InterfaceError> {
        if self.read(LOCALITY_STATUS)? & register::LOCALITY_GRANTED == 0 {
            return wait(now, until, Step::Locality);
        }
        self.write(REQUEST, register::REQUEST_READY);
        Ok(Advance::To(State::Readying { until: now + self.timeouts.c }))
    }

    fn get_ready(&mut self, now: Duration, until: Duration) -> Result<Advance, InterfaceError> {
        if self.read(REQUEST)? & register::REQUEST_READY != 0 {
            return wait(now, until, Step::Ready);
        }
        let buffer = self.buffer(COMMAND_ADDRESS, COMMAND_BYTES)?;
        if buffer.bytes < self.length as u64 {
            return Err(InterfaceError::CommandLength { given: self.length });
        }
        for (offset, byte) in (buffer.offset..).zip(self.message.iter().take(self.length)) {
            self.registers.write8(offset, *byte);
        }
        self.write(START, 1);
        self.busy_until = now + self.longest;
        Ok(Advance::To(State::Executing { until: self.busy_until }))
    }

    fn execute(&mut self, now: Duration, until: Duration) -> Result<Advance, InterfaceError> {
        if self.read(START)? != 0 {
            return wait(now, until, Step::Execute);
        }
        self.busy_until = Duration::ZERO;
        if self.read(STATUS)? & register::STATUS_ERROR != 0 {
            return Err(InterfaceError::Failed);
        }
        let buffer = self.buffer(RESPONSE_ADDRESS, RESPONSE_BYTES)?;
        self.read_response(&buffer, 0..HEADER_BYTES);
        self.length = stated_length(&self.message)?;
        if buffer.bytes < self.length as u64 {
            return Err(InterfaceError::LostBytes);
        }
        self.read_response(&buffer, HEADER_BYTES..self.length);
        Ok(Advance::Done)
    }

    fn read_response(&mut self, buffer: &Buffer, range: Range<usize>) {
        let offset = buffer.offset + range.start as u64;
        for (offset, byte) in (offset..).zip(self.message.get_mut(range).unwrap_or_default()) {
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

    fn finish(&mut self) {
        self.state = State::Idle;
        self.leave();
    }

    /// Lets the TPM go idle, and gives the locality up.
    fn leave(&mut self) {
        self.write(REQUEST, register::REQUEST_IDLE);
        self.write(LOCALITY_CONTROL, register::LOCALITY_RELINQUISH);
    }

    /// Ends the exchange without a word to the TPM; the next one begins with an abort anyway.
    fn forget(&mut self) {
        self.state = State::Idle;
        self.length = 0;
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

/// Waits for the TPM, unless it has had its time.
fn wait(now: Duration, until: Duration, step: Step) -> Result<Advance, InterfaceError> {
    time_left(now, until, step).map(|()| Advance::Wait)
}
