//! The clock of a PC that keeps the calendar while the machine is off: an MC146818, or what behaves like one.

mod date;
#[cfg(test)]
mod tests;

use crate::registers::Ports;
pub use date::Date;

/// The two ports: which register, and what is in it.
mod port {
    pub(super) const REGISTER: u16 = 0;
    pub(super) const DATA: u16 = 1;
}

/// The registers.
mod register {
    pub(super) const SECOND: u8 = 0;
    pub(super) const MINUTE: u8 = 2;
    pub(super) const HOUR: u8 = 4;
    pub(super) const DAY: u8 = 7;
    pub(super) const MONTH: u8 = 8;
    pub(super) const YEAR: u8 = 9;
    pub(super) const STATUS_A: u8 = 0x0a;
    pub(super) const STATUS_B: u8 = 0x0b;
}

/// In status A: the clock is going forward by a second, or will in a moment.
const GOES_FORWARD: u8 = 1 << 7;
/// In status B: numbers are binary; else each half of a byte is a decimal digit.
const BINARY: u8 = 1 << 2;
/// In status B: hours go to 23; else to 12, and [`AFTERNOON`] tells the halves of a day apart.
const WHOLE_DAY: u8 = 1 << 1;
const AFTERNOON: u8 = 1 << 7;

/// The century, which no register of every machine has.
const CENTURY: u16 = 2000;
/// Looks until a clock counts as one that is not there: for as long as it takes one to go forward, 2 ms, even if a look
/// takes 100 ns only.
const PATIENCE: u32 = 100_000;

/// Why a clock cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcError {
    /// No clock answers.
    Absent,
    /// It shows a date that does not exist.
    Senseless,
}

impl core::fmt::Display for RtcError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(match self {
            Self::Absent => "no clock of the calendar answers at the ports that the manifest names",
            Self::Senseless => "the clock of the calendar shows a date that does not exist",
        })
    }
}

impl core::error::Error for RtcError {}

/// A clock.
#[derive(Debug)]
pub struct Rtc<P> {
    ports: P,
}

/// What the registers hold.
type Face = [u8; 7];

impl<P: Ports> Rtc<P> {
    /// The clock at these ports.
    pub const fn new(ports: P) -> Self {
        Self { ports }
    }

    /// Reads it. While it goes forward its registers do not belong together, so two looks have to agree.
    ///
    /// # Errors
    /// [`RtcError`].
    pub fn read(&mut self) -> Result<Date, RtcError> {
        let mut last = None;
        for _ in 0..PATIENCE {
            let face = self.look();
            if let Some(face) = face.filter(|_| face == last) {
                return date(face).ok_or(RtcError::Senseless);
            }
            last = face;
        }
        Err(RtcError::Absent)
    }

    /// What it shows, unless it is going forward.
    fn look(&mut self) -> Option<Face> {
        use register::{DAY, HOUR, MINUTE, MONTH, SECOND, STATUS_A, STATUS_B, YEAR};
        if self.register(STATUS_A) & GOES_FORWARD != 0 {
            return None;
        }
        Some([SECOND, MINUTE, HOUR, DAY, MONTH, YEAR, STATUS_B].map(|register| self.register(register)))
    }

    fn register(&mut self, number: u8) -> u8 {
        self.ports.write8(port::REGISTER, number);
        self.ports.read8(port::DATA)
    }
}

/// The date that the registers stand for.
fn date([second, minute, hour, day, month, year, status]: Face) -> Option<Date> {
    let number = |byte: u8| if status & BINARY != 0 { Some(byte) } else { decimal(byte) };
    let hour = if status & WHOLE_DAY != 0 {
        number(hour)?
    } else {
        let half = number(hour & !AFTERNOON).filter(|hour| (1..=12).contains(hour))?;
        half % 12 + if hour & AFTERNOON != 0 { 12 } else { 0 }
    };
    let year = number(year).filter(|year| *year < 100)?;
    Date::new(
        CENTURY + u16::from(year),
        number(month)?,
        number(day)?,
        (hour, number(minute)?, number(second)?),
    )
}

/// A number whose decimal digits are the halves of a byte.
fn decimal(byte: u8) -> Option<u8> {
    let (tens, ones) = (byte >> 4, byte & 0xf);
    (tens < 10 && ones < 10).then_some(tens * 10 + ones)
}
