//! A TPM 1.2, by firmware's protocol for it, and the log that firmware keeps (TCG *EFI Protocol Specification*, family 1.1 or
//! 1.2).
#![expect(unsafe_code, reason = "firmware says where its log begins, and the log how long it is")]

use core::{mem, ptr, slice};

use boot_efi::{Line, old_event_bytes, write_old_event};
use cloison_abi::measure::BOOT_LOG_BYTES;
use cloison_measure::{
    Bank,
    log::{kind, write_start_of},
};
use uefi_raw::{
    Status,
    protocol::tcg::v1::{TcgBootServiceCapability, TcgProtocol},
};

use super::{EVENTS, FINAL_EVENTS_ROOM};
use crate::{
    firmware::{Firmware, done},
    pages::Pages,
};

/// `TPM_ALG_SHA`.
const SHA1: u32 = 4;
/// What stands before the text of an event: register, kind, digest, length.
const EVENT_HEADER: usize = 32;
/// How many events firmware may measure after the log has been taken. It measures two.
const MAX_FINAL_EVENTS: usize = 8;

/// A TPM 1.2.
pub(crate) struct Tpm<'a> {
    firmware: &'a Firmware,
    protocol: *mut TcgProtocol,
}

impl<'a> Tpm<'a> {
    /// The machine's, if it has one that works.
    pub(crate) fn find(firmware: &'a Firmware) -> Option<Self> {
        let protocol = firmware.protocol::<TcgProtocol>(&TcgProtocol::GUID).ok()?.as_ptr();
        let tpm = Self { firmware, protocol };
        let (capability, _) = tpm.look().ok()?;
        (capability.tpm_present_flag != 0 && capability.tpm_deactivated_flag == 0).then_some(tpm)
    }

    /// What firmware says of the TPM, and where the first and the last event of its log are.
    fn look(&self) -> Result<(TcgBootServiceCapability, [u64; 2]), Status> {
        let mut capability = TcgBootServiceCapability::default();
        capability.size = mem::size_of_val(&capability) as u8;
        let (mut flags, mut start, mut last) = (0, 0, 0);
        // SAFETY: firmware's own protocol, and places for the answers.
        done(unsafe {
            ((*self.protocol).status_check)(
                self.protocol,
                &raw mut capability,
                &raw mut flags,
                &raw mut start,
                &raw mut last,
            )
        })?;
        Ok((capability, [start, last]))
    }

    /// Extends a register with the digest of a line, and logs the line.
    pub(crate) fn extend(&self, pcr: u32, line: &Line) -> Result<(), Status> {
        let mut event = [0; EVENT_HEADER + cloison_measure::event::MAX_EVENT_BYTES];
        event[..4].copy_from_slice(&pcr.to_le_bytes());
        event[4..8].copy_from_slice(&kind::LOADER.to_le_bytes());
        event[28..EVENT_HEADER].copy_from_slice(&(line.len() as u32).to_le_bytes());
        event[EVENT_HEADER..EVENT_HEADER + line.len()].copy_from_slice(line.as_bytes());
        let (mut number, mut last) = (0, 0);
        // SAFETY: firmware's own protocol; the line is that long, and the event as long as it says; places for the answers.
        done(unsafe {
            ((*self.protocol).hash_log_extend_event)(
                self.protocol,
                line.as_ptr() as u64,
                line.len() as u64,
                SHA1,
                event.as_mut_ptr().cast(),
                &raw mut number,
                &raw mut last,
            )
        })
    }

    /// Copies the log, in the form that logs of TPM 2.0 have, with room for what firmware measures at its end.
    pub(crate) fn log(self) -> Result<TpmLog, Status> {
        let (_, [start, last]) = self.look()?;
        if start == 0 || last < start {
            return Err(Status::VOLUME_CORRUPTED);
        }
        let pages = Pages::kept(self.firmware, BOOT_LOG_BYTES as usize)?;
        let next = ptr::with_exposed_provenance(start as usize);
        let mut log = TpmLog { pages, end: EVENTS, next };
        write_start_of(&mut log, &[Bank::Sha1]);
        while log.next.addr() as u64 <= last {
            // SAFETY: firmware says that from the first event to the last one there are events.
            unsafe { log.take() }.ok_or(Status::VOLUME_CORRUPTED)?;
        }
        if log.end + FINAL_EVENTS_ROOM > BOOT_LOG_BYTES as usize {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        Ok(log)
    }
}

/// A copy of the log.
pub(crate) struct TpmLog {
    pages: Pages,
    /// Where its events end.
    end: usize,
    /// What comes next in firmware's own.
    next: *const u8,
}

impl TpmLog {
    /// The pages with the copy, so far.
    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// The log with what firmware has measured at its end, and where it ends.
    pub(crate) fn finished(mut self) -> (Pages, usize) {
        for _ in 0..MAX_FINAL_EVENTS {
            let end = self.end;
            // SAFETY: firmware has room for more events than it has logged, in memory that stays, and fills it with what is none.
            if unsafe { self.take() }.is_none() {
                break;
            }
            if self.end > self.pages.bytes().len() {
                return (self.pages, end);
            }
        }
        (self.pages, self.end)
    }

    /// Copies the next event. None if there is none.
    ///
    /// # Safety
    /// What comes next is memory that can be read, and nobody writes to it.
    unsafe fn take(&mut self) -> Option<()> {
        let next = self.next;
        // SAFETY: the caller vouches for what comes next, and an event is as long as it says.
        let bytes = old_event_bytes(|at| Some(unsafe { next.add(at).cast::<u32>().read_unaligned() }))?;
        // SAFETY: the event is that long.
        write_old_event(self, unsafe { slice::from_raw_parts(next, bytes) });
        // SAFETY: the next one begins where it ends.
        self.next = unsafe { next.add(bytes) };
        Some(())
    }
}

/// What does not fit is counted, and not written.
impl Extend<u8> for TpmLog {
    fn extend<T: IntoIterator<Item = u8>>(&mut self, bytes: T) {
        for byte in bytes {
            if let Some(place) = self.pages.bytes_mut().get_mut(self.end) {
                *place = byte;
            }
            self.end += 1;
        }
    }
}
