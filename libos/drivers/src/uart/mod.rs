//! The 16550 UART: a serial port with a FIFO of 16 bytes each way.
//!
//! Interrupt driven: [`Uart::send`] fills the FIFO and arms the interrupt that tells when it is empty again;
//! [`Uart::service`] is what to do at each interrupt. For the moments without interrupts,
//! [`embedded_io::Write`] polls.
//!
//! Written by hand and not over a published crate, because those tie themselves to real ports or memory: here
//! the registers are a trait, so that the tests run against a simulated device.

#[cfg(test)]
mod tests;

use embedded_io::{ErrorKind, ErrorType, Write, WriteReady};

use crate::registers::Ports;

/// Bytes that the transmit FIFO holds.
pub const FIFO_BYTES: usize = 16;

/// Polls of the line status before a transmitter counts as stuck: more than a character time at the lowest
/// speed, even if a poll takes 100 ns only.
const PATIENCE: u32 = 1_000_000;
/// Causes handled in one [`Uart::service`]; an honest device has at most one for each byte of its FIFO and a
/// few more.
const MAX_CAUSES: usize = 4 * FIFO_BYTES;

/// Offsets of the registers.
mod register {
    /// Bytes in and out; low half of the divisor while [`super::LINE_DIVISOR`] is set.
    pub(super) const DATA: u16 = 0;
    /// Which causes interrupt; high half of the divisor while [`super::LINE_DIVISOR`] is set.
    pub(super) const INTERRUPTS: u16 = 1;
    /// Read: why it interrupts.
    pub(super) const CAUSE: u16 = 2;
    /// Write: the FIFOs.
    pub(super) const FIFO: u16 = 2;
    /// Format of a character.
    pub(super) const LINE: u16 = 3;
    /// Modem lines.
    pub(super) const MODEM: u16 = 4;
    /// What the transmitter and the receiver are doing.
    pub(super) const STATUS: u16 = 5;
    /// Changes of the modem lines.
    pub(super) const MODEM_STATUS: u16 = 6;
    /// A byte to keep, without effect.
    pub(super) const SCRATCH: u16 = 7;
}

const INTERRUPT_RECEIVED: u8 = 1 << 0;
const INTERRUPT_TRANSMITTED: u8 = 1 << 1;
const INTERRUPT_LINE: u8 = 1 << 2;
const CAUSE_NONE: u8 = 1 << 0;
const CAUSE_MASK: u8 = 0x0f;
const CAUSE_MODEM: u8 = 0x0;
const CAUSE_TRANSMITTED: u8 = 0x2;
const FIFO_ENABLE: u8 = 1 << 0;
const FIFO_TRIGGER_8: u8 = 0b10 << 6;
const LINE_8N1: u8 = 0b11;
const LINE_DIVISOR: u8 = 1 << 7;
/// DTR, RTS, and OUT2, which connects the interrupt line on a PC.
const MODEM_READY: u8 = 0b1011;
const STATUS_RECEIVED: u8 = 1 << 0;
const STATUS_FIFO_EMPTY: u8 = 1 << 5;
const STATUS_IDLE: u8 = 1 << 6;

/// Why a UART cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UartError {
    /// No UART answers.
    Absent,
    /// The transmitter does not get rid of its bytes.
    Stuck,
}

impl core::fmt::Display for UartError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(match self {
            Self::Absent => "no 16550 UART answers at the ports that the manifest names",
            Self::Stuck => "the UART does not transmit what it was given",
        })
    }
}

impl core::error::Error for UartError {}

impl embedded_io::Error for UartError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Absent => ErrorKind::NotFound,
            Self::Stuck => ErrorKind::TimedOut,
        }
    }
}

/// A UART that is set up.
#[derive(Debug)]
pub struct Uart<P> {
    ports: P,
    /// What the interrupt register holds.
    interrupts: u8,
}

impl<P: Ports> Uart<P> {
    /// Sets a UART up: 115,200 bits a second, 8 bits, no parity, FIFOs on, interrupts for received bytes.
    ///
    /// What another owner is still sending is sent first.
    ///
    /// # Errors
    /// [`UartError::Absent`].
    pub fn start(mut ports: P) -> Result<Self, UartError> {
        for pattern in [0x5a, 0xa5] {
            ports.write8(register::SCRATCH, pattern);
            if ports.read8(register::SCRATCH) != pattern {
                return Err(UartError::Absent);
            }
        }
        let mut uart = Self { ports, interrupts: 0 };
        // A transmitter that is stuck will be noticed when there is something to send.
        let _ = uart.wait_for(STATUS_IDLE);
        uart.ports.write8(register::INTERRUPTS, 0);
        uart.ports.write8(register::LINE, LINE_8N1 | LINE_DIVISOR);
        uart.ports.write8(register::DATA, 1);
        uart.ports.write8(register::INTERRUPTS, 0);
        uart.ports.write8(register::LINE, LINE_8N1);
        uart.ports.write8(register::FIFO, FIFO_ENABLE | FIFO_TRIGGER_8);
        uart.ports.write8(register::MODEM, MODEM_READY);
        uart.enable(INTERRUPT_RECEIVED | INTERRUPT_LINE);
        Ok(uart)
    }

    /// Gives the transmitter as many bytes as it takes now. Returns how many; if they are not all, an
    /// interrupt tells when to go on.
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        let empty = self.ports.read8(register::STATUS) & STATUS_FIFO_EMPTY != 0;
        let count = if empty { bytes.len().min(FIFO_BYTES) } else { 0 };
        for byte in &bytes[..count] {
            self.ports.write8(register::DATA, *byte);
        }
        let transmitted = if count < bytes.len() { INTERRUPT_TRANSMITTED } else { 0 };
        self.enable(INTERRUPT_RECEIVED | INTERRUPT_LINE | transmitted);
        count
    }

    /// Deals with an interrupt: hands each received byte to `received`. Afterwards the device has no cause
    /// left, so that an edge-triggered line can rise again. Returns whether the transmitter takes bytes.
    pub fn service(&mut self, mut received: impl FnMut(u8)) -> bool {
        for _ in 0..MAX_CAUSES {
            let cause = self.ports.read8(register::CAUSE);
            if cause & CAUSE_NONE != 0 {
                break;
            }
            match cause & CAUSE_MASK {
                // Reading the cause has taken it away.
                CAUSE_TRANSMITTED => {}
                CAUSE_MODEM => drop(self.ports.read8(register::MODEM_STATUS)),
                // A byte, or an error in the line, which reading the status takes away.
                _ => self.receive(&mut received),
            }
        }
        self.receive(&mut received);
        self.ports.read8(register::STATUS) & STATUS_FIFO_EMPTY != 0
    }

    /// Empties the receiver. A device that always has one more byte is left after two FIFOs' worth.
    fn receive(&mut self, received: &mut impl FnMut(u8)) {
        for _ in 0..2 * FIFO_BYTES {
            if self.ports.read8(register::STATUS) & STATUS_RECEIVED == 0 {
                return;
            }
            received(self.ports.read8(register::DATA));
        }
    }

    fn enable(&mut self, interrupts: u8) {
        if self.interrupts != interrupts {
            self.interrupts = interrupts;
            self.ports.write8(register::INTERRUPTS, interrupts);
        }
    }

    fn wait_for(&mut self, status: u8) -> Result<(), UartError> {
        let ready = (0..PATIENCE).any(|_| self.ports.read8(register::STATUS) & status != 0);
        if ready { Ok(()) } else { Err(UartError::Stuck) }
    }
}

impl<P> ErrorType for Uart<P> {
    type Error = UartError;
}

impl<P: Ports> Write for Uart<P> {
    /// Waits, by polling, until the transmitter takes bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, UartError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.wait_for(STATUS_FIFO_EMPTY)?;
        let count = bytes.len().min(FIFO_BYTES);
        Ok(self.send(&bytes[..count]))
    }

    /// Waits, by polling, until the last bit is out.
    fn flush(&mut self) -> Result<(), UartError> {
        self.wait_for(STATUS_IDLE)
    }
}

impl<P: Ports> WriteReady for Uart<P> {
    fn write_ready(&mut self) -> Result<bool, UartError> {
        Ok(self.ports.read8(register::STATUS) & STATUS_FIFO_EMPTY != 0)
    }
}
