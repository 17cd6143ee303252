//! The debug serial line (a 16550), by polling: for the time before a console runs, and for when none does.

use spin::Once;
use x86_64::instructions::port::Port;

/// Offsets of registers from the first port (16550 data sheet, table 2).
const DATA: u16 = 0;
const INTERRUPT_IDENTITY: u16 = 2;
const LINE_STATUS: u16 = 5;
/// Line status: room for a byte.
const TRANSMIT_EMPTY: u8 = 1 << 5;
/// Interrupt identity: the queues are on.
const QUEUES: u8 = 0b1100_0000;
/// Bytes that a line with queues takes when it says that there is room.
const QUEUE_BYTES: u8 = 16;
/// A byte takes 87 µs at 115200 baud; a line that takes no byte for this many reads is not there.
const PATIENCE: u32 = 100_000;

/// The serial line at a port; none at port 0.
#[derive(Clone, Copy)]
pub struct Serial {
    port: u16,
}

impl Serial {
    /// The first serial line of a PC, as firmware has set it up: what the kernel uses until it has read which
    /// line the image names.
    pub const FIRST: Self = Self { port: 0x3f8 };

    /// No serial line: what is written to it is lost.
    pub const NONE: Self = Self { port: 0 };

    /// The serial line at `port`, which is a 16550's.
    pub(super) const fn at(port: u16) -> Self {
        Self { port }
    }

    /// A function that gives the line one byte after the other without waiting, and that returns false when the
    /// line has no room just now.
    pub fn without_waiting(self) -> impl FnMut(u8) -> bool {
        let mut status = Port::<u8>::new(self.port + LINE_STATUS);
        let mut identity = Port::<u8>::new(self.port + INTERRUPT_IDENTITY);
        let mut data = Port::<u8>::new(self.port + DATA);
        let mut room = 0;
        move |byte| {
            if self.port == 0 {
                return true;
            }
            // SAFETY: the ports are those of a 16550, which has no way to touch memory.
            unsafe {
                if room == 0 && status.read() & TRANSMIT_EMPTY != 0 {
                    room = if identity.read() & QUEUES == QUEUES { QUEUE_BYTES } else { 1 };
                }
                if room > 0 {
                    room -= 1;
                    data.write(byte);
                    return true;
                }
            }
            false
        }
    }

    /// Writes a byte. Returns false if the line did not take it in time; it is not worth asking again.
    pub fn write(self, byte: u8) -> bool {
        if self.port == 0 {
            return true;
        }
        let mut status = Port::<u8>::new(self.port + LINE_STATUS);
        let mut data = Port::<u8>::new(self.port + DATA);
        // SAFETY: the ports are those of a 16550, which has no way to touch memory.
        unsafe {
            let ready = (0..PATIENCE).any(|_| status.read() & TRANSMIT_EMPTY != 0);
            if ready {
                data.write(byte);
            }
            ready
        }
    }
}

impl core::fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        // What is lost is lost: these are the last words.
        text.bytes().for_each(|byte| {
            self.write(byte);
        });
        Ok(())
    }
}

/// The port by which an emulator's run ends, if there is one.
#[derive(Clone, Copy)]
pub struct ExitPort(u16);

impl ExitPort {
    /// No such port.
    pub const NONE: Self = Self(0);

    /// The port with this number, which ends the emulator and does nothing else.
    pub(super) const fn at(port: u16) -> Self {
        Self(port)
    }

    /// Ends the run, if it is an emulator's.
    pub fn write(self, value: u8) {
        if self.0 != 0 {
            // SAFETY: the platform's description says that this port ends the emulator, and does nothing else.
            unsafe { Port::new(self.0).write(value) };
        }
    }
}

/// Serial line and exit port, for the kernel's last words: a panic cannot take the lock behind which the rest
/// lies.
static PORTS: Once<(Serial, ExitPort)> = Once::new();

/// Notes the ports that the image names.
pub fn set_ports(serial: Serial, exit: ExitPort) {
    PORTS.call_once(|| (serial, exit));
}

/// The serial line and the exit port that were noted; before that, where the first serial line is by custom, and none.
pub fn ports() -> (Serial, ExitPort) {
    *PORTS.get().unwrap_or(&(Serial::FIRST, ExitPort::NONE))
}
