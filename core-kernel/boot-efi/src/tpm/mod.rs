//! The TPM, by whichever of its two protocols firmware has, and a copy of the log that firmware keeps.

mod tpm12;
mod tpm20;

use boot_efi::Line;
use cloison_abi::measure::{BOOT_LOG_MAGIC, BootLogHeader};
use uefi_raw::Status;
use zerocopy::IntoBytes;

use crate::{firmware::Firmware, pages::Pages};

/// Where events begin in the copy of the log.
const EVENTS: usize = size_of::<BootLogHeader>();
/// What has to be free behind those that there are when the copy is made, for firmware's last ones.
const FINAL_EVENTS_ROOM: usize = 4 << 10;

/// The machine's TPM.
pub(crate) enum Tpm<'a> {
    /// Of the older kind: its registers are of SHA-1.
    V12(tpm12::Tpm<'a>),
    /// Of the newer kind.
    V20(tpm20::Tpm<'a>),
}

impl<'a> Tpm<'a> {
    /// The machine's, if it has one.
    pub(crate) fn find(firmware: &'a Firmware) -> Option<Self> {
        let new = tpm20::Tpm::find(firmware).map(Self::V20);
        new.or_else(|| tpm12::Tpm::find(firmware).map(Self::V12))
    }

    /// Extends a register with the digests of a line, and logs the line.
    pub(crate) fn extend(&self, pcr: u32, line: &Line) -> Result<(), Status> {
        match self {
            Self::V12(tpm) => tpm.extend(pcr, line),
            Self::V20(tpm) => tpm.extend(pcr, line),
        }
    }

    /// Copies the log, with room for what firmware measures at its end.
    pub(crate) fn log(self) -> Result<TpmLog, Status> {
        Ok(match self {
            Self::V12(tpm) => TpmLog::V12(tpm.log()?),
            Self::V20(tpm) => TpmLog::V20(tpm.log()?),
        })
    }
}

/// A copy of the log.
pub(crate) enum TpmLog {
    /// Of a TPM 1.2, in the form of the other.
    V12(tpm12::TpmLog),
    /// Of a TPM 2.0.
    V20(tpm20::TpmLog),
}

impl TpmLog {
    /// Address of the first event.
    pub(crate) fn start(&self) -> u32 {
        let pages = match self {
            Self::V12(log) => log.pages(),
            Self::V20(log) => log.pages(),
        };
        pages.start() + EVENTS as u32
    }

    /// The log with what firmware has measured at its end, as far as there is room.
    pub(crate) fn finished(self) -> Pages {
        let (mut pages, end) = match self {
            Self::V12(log) => log.finished(),
            Self::V20(log) => log.finished(),
        };
        let header = BootLogHeader { magic: BOOT_LOG_MAGIC, bytes: (end - EVENTS) as u64 };
        pages.bytes_mut()[..EVENTS].copy_from_slice(header.as_bytes());
        pages
    }
}
