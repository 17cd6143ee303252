//! A serial line that takes all and keeps nothing.

/// The serial line.
#[derive(Clone, Copy)]
pub struct Serial(());

impl Serial {
    /// As on a PC.
    pub const NONE: Self = Self(());

    /// As on a PC.
    pub fn without_waiting(self) -> impl FnMut(u8) -> bool {
        |_| true
    }

    /// As on a PC.
    pub fn write(self, _byte: u8) -> bool {
        true
    }
}

/// The port by which a run ends.
#[derive(Clone, Copy)]
pub struct ExitPort(());

impl ExitPort {
    /// As on a PC.
    pub const NONE: Self = Self(());

    /// As on a PC.
    pub fn write(self, _value: u8) {}
}
