//! The registers of the guest's TPM: what its driver sees of a FIFO interface (`cloison_tpm::tis`). Commands go to the
//! machine's TPM, one at a time, and the guest runs on until it asks for the status again.
//!
//! The guest has one locality, its number 0, whatever the TPM is told: which locality its commands have is not the guest's
//! choice. At the others nothing drives the bus, as where a chipset keeps them.

use cloison_tpm::MAX_MESSAGE_BYTES;
use cloison_tpm::header::{HEADER_BYTES, TAG_12_RESPONSE};
use cloison_tpm::tis::{
    ACCESS, Access, CAPABILITY, DATA_FIFO, INTERRUPT_ENABLE, INTERRUPT_STATUS, INTERRUPT_VECTOR,
    LOCALITY_BYTES, REVISION, STATUS, Status, VENDOR_AND_DEVICE,
};
use core::task::Poll;

use crate::machine::{Submission, Tpm};
use crate::saved::{Carried, Carrier, CutShort, carried};

#[cfg(test)]
mod tests;

/// What a register reads as that is not there.
const NOTHING: u8 = u8::MAX;
/// Version 1.3 of the interface, no interrupts, a burst count that changes.
const CAPABILITIES: u32 = 2 << 28;
/// Vendor and device of QEMU's emulated interface: drivers know of no faults of it.
const IDENTITY: u32 = 0x0001_1014;
/// Bytes of a header up to the length's end.
const LENGTH_END: usize = 6;
/// What both versions answer to a command whose form is wrong: `TPM_BADTAG`, `TPM_RC_BAD_TAG`.
const BAD_TAG: u32 = 0x1e;

/// The registers.
pub struct Tis {
    /// First the command, then the response.
    message: [u8; MAX_MESSAGE_BYTES],
    phase: Phase,
    /// The guest holds its locality.
    is_active: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not ready for a command.
    Idle,
    /// So much of a command has come.
    Receiving { length: usize },
    /// The command is whole, and the TPM has not taken it yet.
    Waiting { length: usize },
    /// The TPM carries it out.
    Executing,
    /// There is a response, and so much of it was read.
    Answered { length: usize, read: usize },
}

carried!(Tis { message, phase, is_active });

impl Carried for Phase {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        let mut words = match *self {
            Self::Idle => [0, 0, 0],
            Self::Receiving { length } => [1, length, 0],
            Self::Waiting { length } => [2, length, 0],
            Self::Executing => [3, 0, 0],
            Self::Answered { length, read } => [4, length, read],
        };
        words.carry(carrier)?;
        *self = match words {
            [0, ..] => Self::Idle,
            [1, length, _] => Self::Receiving { length },
            [2, length, _] => Self::Waiting { length },
            [3, ..] => Self::Executing,
            [4, length, read] => Self::Answered { length, read },
            _ => return Err(CutShort),
        };
        Ok(())
    }
}

impl Tis {
    /// As after a reset.
    #[must_use]
    pub const fn new() -> Self {
        Self { message: [0; MAX_MESSAGE_BYTES], phase: Phase::Idle, is_active: false }
    }

    /// Resets it: a command that is under way is taken back.
    pub fn reset(&mut self, tpm: &mut impl Tpm) {
        self.stop(tpm);
        self.phase = Phase::Idle;
        self.is_active = false;
    }

    /// Goes on with what was read of a saved guest. A command that the TPM had then is lost: nobody knows what became of
    /// it.
    pub(crate) fn resume(&mut self, tpm: &mut impl Tpm) {
        if matches!(self.phase, Phase::Executing) {
            tpm.cancel();
            self.phase = Phase::Receiving { length: 0 };
        }
    }

    /// Reads a value of `size` bytes, 8 at most, at an offset: the lowest byte first.
    pub fn read(&mut self, tpm: &mut impl Tpm, offset: u64, size: u8) -> u64 {
        let bytes = (0..u64::from(size)).map(|byte| self.read_byte(tpm, offset + byte));
        bytes.zip(0..).fold(0, |value, (byte, place)| value | u64::from(byte) << (8 * place))
    }

    /// Writes a value of `size` bytes, 8 at most, at an offset: the lowest byte first.
    pub fn write(&mut self, tpm: &mut impl Tpm, offset: u64, size: u8, value: u64) {
        for (byte, at) in value.to_le_bytes().into_iter().take(size.into()).zip(offset..) {
            self.write_byte(tpm, at, byte);
        }
    }

    fn read_byte(&mut self, tpm: &mut impl Tpm, offset: u64) -> u8 {
        if offset >= LOCALITY_BYTES || !tpm.has_tpm() {
            return NOTHING;
        }
        if offset == STATUS {
            self.advance(tpm);
        }
        let word = match offset & !3 {
            ACCESS => u32::from(self.access()),
            INTERRUPT_ENABLE | INTERRUPT_VECTOR | INTERRUPT_STATUS => 0,
            CAPABILITY => CAPABILITIES,
            STATUS if self.is_active => self.status().0,
            DATA_FIFO if self.is_active => return self.take(),
            VENDOR_AND_DEVICE => IDENTITY,
            REVISION => 1,
            _ => return NOTHING,
        };
        word.to_le_bytes()[(offset & 3) as usize]
    }

    fn write_byte(&mut self, tpm: &mut impl Tpm, offset: u64, value: u8) {
        match offset {
            ACCESS => self.write_access(tpm, value),
            STATUS if self.is_active => self.write_status(tpm, value),
            _ if offset & !3 == DATA_FIFO && self.is_active => self.put(value),
            _ => {}
        }
    }

    fn access(&self) -> u8 {
        let active = if self.is_active { Access::ACTIVE } else { 0 };
        Access::VALID | Access::ESTABLISHMENT | active
    }

    fn write_access(&mut self, tpm: &mut impl Tpm, value: u8) {
        if value & Access::ACTIVE != 0 {
            self.reset(tpm);
        } else if value & Access::REQUEST_USE != 0 {
            // Nobody else could hold it.
            self.is_active = true;
        }
    }

    /// A TPM that is ready, or has lost a command, shows nothing else: Linux takes that for a command that is cancelled.
    fn status(&self) -> Status {
        let burst = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX);
        match self.phase {
            Phase::Idle | Phase::Waiting { .. } | Phase::Executing => Status::new(0, 0),
            Phase::Receiving { length: 0 } => Status::new(Status::COMMAND_READY, burst(MAX_MESSAGE_BYTES)),
            Phase::Receiving { length } if self.expects(length) => {
                Status::new(Status::VALID | Status::EXPECT, burst(MAX_MESSAGE_BYTES - length))
            }
            Phase::Answered { length, read } if read < length => {
                Status::new(Status::VALID | Status::DATA_AVAILABLE, burst(length - read))
            }
            Phase::Receiving { .. } | Phase::Answered { .. } => Status::new(Status::VALID, 0),
        }
    }

    fn write_status(&mut self, tpm: &mut impl Tpm, value: u8) {
        if value & Status::COMMAND_READY != 0 {
            self.stop(tpm);
            self.phase = Phase::Receiving { length: 0 };
            return;
        }
        match self.phase {
            Phase::Receiving { length } if value & Status::GO != 0 && self.is_whole(length) => {
                self.phase = Phase::Waiting { length };
                self.advance(tpm);
            }
            Phase::Answered { length, .. } if value & Status::RESPONSE_RETRY != 0 => {
                self.phase = Phase::Answered { length, read: 0 };
            }
            _ => {}
        }
    }

    /// Takes a command back that is under way.
    fn stop(&mut self, tpm: &mut impl Tpm) {
        if self.phase == Phase::Executing {
            tpm.cancel();
        }
    }

    /// The next byte of a command. One that the TPM does not expect is lost.
    fn put(&mut self, value: u8) {
        if let Phase::Receiving { length } = self.phase
            && self.expects(length)
            && let Some(place) = self.message.get_mut(length)
        {
            *place = value;
            self.phase = Phase::Receiving { length: length + 1 };
        }
    }

    /// The next byte of a response. Behind its end there is nothing.
    fn take(&mut self) -> u8 {
        let Phase::Answered { length, read } = self.phase else { return NOTHING };
        let Some(byte) = self.message[..length].get(read) else { return NOTHING };
        self.phase = Phase::Answered { length, read: read + 1 };
        *byte
    }

    /// How long a command says that it is, when `length` bytes of it have come.
    fn stated(&self, length: usize) -> Option<usize> {
        let [_, _, a, b, c, d, ..] = self.message;
        (length >= LENGTH_END).then_some(u32::from_be_bytes([a, b, c, d]) as usize)
    }

    /// Whether more of a command is wanted: none of one that is too long.
    fn expects(&self, length: usize) -> bool {
        self.stated(length).is_none_or(|stated| length < stated && stated <= MAX_MESSAGE_BYTES)
    }

    fn is_whole(&self, length: usize) -> bool {
        self.stated(length).is_some_and(|stated| length >= stated)
    }

    /// Goes on with a command as far as the TPM has come.
    fn advance(&mut self, tpm: &mut impl Tpm) {
        if let Phase::Waiting { length } = self.phase {
            match tpm.submit(&self.message[..length]) {
                Submission::Taken => self.phase = Phase::Executing,
                Submission::Later => {}
                Submission::Malformed => self.answer_bad_tag(),
                Submission::Lost => self.phase = Phase::Receiving { length: 0 },
            }
        }
        if self.phase == Phase::Executing
            && let Poll::Ready(outcome) = tpm.finish(&mut self.message)
        {
            self.phase = match outcome.filter(|length| *length <= MAX_MESSAGE_BYTES) {
                Some(length) => Phase::Answered { length, read: 0 },
                None => Phase::Receiving { length: 0 },
            };
        }
    }

    fn answer_bad_tag(&mut self) {
        self.message[..2].copy_from_slice(&TAG_12_RESPONSE.to_be_bytes());
        self.message[2..LENGTH_END].copy_from_slice(&(HEADER_BYTES as u32).to_be_bytes());
        self.message[LENGTH_END..HEADER_BYTES].copy_from_slice(&BAD_TAG.to_be_bytes());
        self.phase = Phase::Answered { length: HEADER_BYTES, read: 0 };
    }
}

impl Default for Tis {
    fn default() -> Self {
        Self::new()
    }
}
