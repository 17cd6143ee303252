//! A TPM for PCs: what its two interfaces have in common.
//!
//! A driver never waits. [`Interface::send`] takes a command, each [`Interface::poll`] goes as far as the TPM
//! lets it, and the caller's clock decides when the TPM has taken too long. Interrupts are not used: a TPM is
//! slow, and its interrupt line is often not connected.
//!
//! * [`tis`]: the FIFO interface, of every TPM 1.2 and many a 2.0.
//! * [`crb`]: the command response buffer, of TPM 2.0 alone.

pub mod crb;
mod error;
mod exchange;
pub mod tis;

use core::{task::Poll, time::Duration};

pub use cloison_tpm::{TPM_ADDRESS, TPM_BYTES};
pub use error::{InterfaceError, Step};

/// A TPM behind one of its interfaces. Points in time are durations since any fixed moment of the caller's
/// choice.
pub trait Interface {
    /// What the interface is called, in short.
    fn name(&self) -> &'static str;

    /// Asks who is there.
    ///
    /// # Errors
    /// [`InterfaceError::Absent`] if nothing answers at these addresses.
    fn identify(&mut self) -> Result<Identity, InterfaceError>;

    /// Sets the timeouts that the TPM stated.
    fn set_timeouts(&mut self, timeouts: Timeouts);

    /// Begins an exchange: takes a copy of the command, which the TPM may carry out for `longest`. The
    /// exchange that was going on, if any, is abandoned.
    ///
    /// # Errors
    /// [`InterfaceError::CommandLength`] if the command is shorter than a header, or longer than what fits.
    fn send(
        &mut self,
        locality: Locality,
        command: &[u8],
        longest: Duration,
        now: Duration,
    ) -> Result<(), InterfaceError>;

    /// Goes on with the exchange as far as the TPM lets it. Ready: with the response, or with why there is
    /// none; either way the exchange is over. Nothing to wait for is [`InterfaceError::NothingSent`].
    fn poll(&mut self, now: Duration) -> Poll<Result<&[u8], InterfaceError>>;

    /// The response that the last exchange ended with; empty if it failed.
    fn response(&self) -> &[u8];

    /// Ends the exchange that is going on: no response will come. The TPM is told to abort the command; until
    /// it has, the next exchange waits.
    fn cancel(&mut self);
}

/// The privilege with which a command reaches the TPM: 0 for everyday use, 4 for a late launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locality(u8);

impl Locality {
    /// Locality 0, for everyday use.
    pub const EVERYDAY: Self = Self(0);
    const ALL: [Self; 5] = [Self(0), Self(1), Self(2), Self(3), Self(4)];

    /// The locality with this number: 0 to 4.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|locality| u32::from(locality.0) == number)
    }
}

/// What the TPM's registers say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The maker's number, as on the PCI bus.
    pub vendor: u16,
    /// The device's number, the maker's choice.
    pub device: u16,
    /// The device's revision.
    pub revision: u8,
}

/// How long the TPM may take for the steps of an exchange other than carrying out the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To give a locality.
    pub a: Duration,
    /// To get ready for a command, and so to abort one.
    pub b: Duration,
    /// To say that its status is valid.
    pub c: Duration,
    /// To take or give more bytes.
    pub d: Duration,
}

impl Timeouts {
    /// The defaults of TIS 1.3, table of interface timeouts. Those of the PTP are the same or shorter.
    pub const DEFAULT: Self = Self {
        a: Duration::from_millis(750),
        b: Duration::from_millis(2000),
        c: Duration::from_millis(750),
        d: Duration::from_millis(750),
    };

    /// The longest time that is believed. A TPM that states a longer one must not keep its client waiting for weeks.
    pub const MAX: Duration = Duration::from_secs(60);

    /// The timeouts A to D from the TPM's capability, in microseconds. Some devices give milliseconds
    /// instead, and some less than they need, so a default is never shortened; and none is longer than
    /// [`Self::MAX`].
    #[must_use]
    pub fn from_stated([a, b, c, d]: [u32; 4]) -> Self {
        const LEAST_PLAUSIBLE_US: u32 = 1000;
        let unit = if a < LEAST_PLAUSIBLE_US { Duration::from_millis(1) } else { Duration::from_micros(1) };
        let scale = |stated: u32, default: Duration| (unit * stated).clamp(default, Self::MAX);
        let Self { a: default_a, b: default_b, c: default_c, d: default_d } = Self::DEFAULT;
        Self {
            a: scale(a, default_a),
            b: scale(b, default_b),
            c: scale(c, default_c),
            d: scale(d, default_d),
        }
    }
}
