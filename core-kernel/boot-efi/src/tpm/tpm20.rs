//! A TPM 2.0, by firmware's protocol for it, and the log that firmware keeps (TCG *EFI Protocol Specification*, family
//! 2.0).
#![expect(unsafe_code, reason = "firmware says where its log begins, and the log how long it is")]

use core::{mem, ptr, slice};

use boot_efi::{Line, event_bytes};
use cloison_abi::measure::BOOT_LOG_BYTES;
use cloison_measure::log::kind;
use uefi_raw::{
    Boolean, Guid, Status,
    protocol::tcg::v2::{
        Tcg2BootServiceCapability, Tcg2EventLogFormat, Tcg2HashLogExtendEventFlags, Tcg2Protocol,
    },
};

use super::{EVENTS, FINAL_EVENTS_ROOM};
use crate::{
    firmware::{Firmware, done},
    pages::Pages,
};

/// Where events go that are measured after the log has been taken.
const FINAL_EVENTS: Guid = uefi_raw::guid!("1e2ed096-30e2-4254-bd89-863bbef82325");
/// Version and number of events, before those.
const FINAL_EVENTS_HEADER: usize = 16;
/// What stands before the line in what firmware is given: all bytes; then bytes of the header, its version, register and
/// kind.
const INPUT_HEADER: usize = 18;
const HEADER_BYTES: u32 = 14;
const HEADER_VERSION: u16 = 1;

/// A TPM 2.0.
pub(crate) struct Tpm<'a> {
    firmware: &'a Firmware,
    protocol: *mut Tcg2Protocol,
}

impl<'a> Tpm<'a> {
    /// The machine's, if it has one.
    pub(crate) fn find(firmware: &'a Firmware) -> Option<Self> {
        let protocol = firmware.protocol::<Tcg2Protocol>(&Tcg2Protocol::GUID).ok()?.as_ptr();
        let mut capability = Tcg2BootServiceCapability::default();
        capability.size = mem::size_of_val(&capability) as u8;
        // SAFETY: firmware's own protocol, and room for the answer, of which the answer says how much there is.
        done(unsafe { ((*protocol).get_capability)(protocol, &raw mut capability) }).ok()?;
        (capability.tpm_present_flag != 0).then_some(Self { firmware, protocol })
    }

    /// Extends a register with the digests of a line, and logs the line.
    pub(crate) fn extend(&self, pcr: u32, line: &Line) -> Result<(), Status> {
        let mut input = [0; INPUT_HEADER + cloison_measure::event::MAX_EVENT_BYTES];
        let bytes = (INPUT_HEADER + line.len()) as u32;
        input[..4].copy_from_slice(&bytes.to_le_bytes());
        input[4..8].copy_from_slice(&HEADER_BYTES.to_le_bytes());
        input[8..10].copy_from_slice(&HEADER_VERSION.to_le_bytes());
        input[10..14].copy_from_slice(&pcr.to_le_bytes());
        input[14..18].copy_from_slice(&kind::LOADER.to_le_bytes());
        input[18..bytes as usize].copy_from_slice(line.as_bytes());
        // SAFETY: firmware's own protocol; the line is that long, and the event as long as it says.
        done(unsafe {
            ((*self.protocol).hash_log_extend_event)(
                self.protocol,
                Tcg2HashLogExtendEventFlags::empty(),
                line.as_ptr() as u64,
                line.len() as u64,
                input.as_ptr().cast(),
            )
        })
    }

    /// Copies the log, with room for what firmware measures at its end.
    pub(crate) fn log(self) -> Result<TpmLog, Status> {
        let (mut start, mut last, mut is_cut) = (0, 0, Boolean::FALSE);
        // SAFETY: firmware's own protocol, and places for the answers.
        done(unsafe {
            ((*self.protocol).get_event_log)(
                self.protocol,
                Tcg2EventLogFormat::TCG_2,
                &raw mut start,
                &raw mut last,
                &raw mut is_cut,
            )
        })?;
        if start == 0 || last <= start || is_cut != Boolean::FALSE {
            return Err(Status::VOLUME_CORRUPTED);
        }
        // SAFETY: firmware says that an event begins there, behind which nothing has been logged.
        let last_bytes = unsafe { length_of(ptr::with_exposed_provenance(last as usize)) };
        let bytes = (last - start) as usize + last_bytes.ok_or(Status::VOLUME_CORRUPTED)?;
        if EVENTS + bytes + FINAL_EVENTS_ROOM > BOOT_LOG_BYTES as usize {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        let mut pages = Pages::kept(self.firmware, BOOT_LOG_BYTES as usize)?;
        // SAFETY: from the first event to the end of the last is the log, which firmware does not change meanwhile.
        let log = unsafe { slice::from_raw_parts(ptr::with_exposed_provenance(start as usize), bytes) };
        pages.bytes_mut()[EVENTS..EVENTS + bytes].copy_from_slice(log);
        Ok(TpmLog { pages, end: EVENTS + bytes, final_events: self.firmware.table(FINAL_EVENTS) })
    }
}

/// A copy of the log.
pub(crate) struct TpmLog {
    pages: Pages,
    /// Where its events end.
    end: usize,
    final_events: Option<*const u8>,
}

impl TpmLog {
    /// The pages with the copy, so far.
    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// The log with what firmware has measured at its end, as far as there is room, and where it ends.
    pub(crate) fn finished(mut self) -> (Pages, usize) {
        let mut end = self.end;
        if let Some(table) = self.final_events {
            // SAFETY: firmware keeps the table in memory that stays; the number of events is its second word.
            let count = unsafe { table.add(8).cast::<u64>().read_unaligned() };
            // SAFETY: the events follow.
            let mut event = unsafe { table.add(FINAL_EVENTS_HEADER) };
            for _ in 0..count {
                // SAFETY: one more event is there: their number says so.
                let Some(length) = (unsafe { length_of(event) }) else { break };
                let Some(room) =
                    self.pages.bytes_mut().get_mut(end..).and_then(|rest| rest.get_mut(..length))
                else {
                    break;
                };
                // SAFETY: the event is that long.
                room.copy_from_slice(unsafe { slice::from_raw_parts(event, length) });
                end += length;
                // SAFETY: the next one begins where it ends.
                event = unsafe { event.add(length) };
            }
        }
        (self.pages, end)
    }
}

/// How long an event of a log is. None if it is none.
///
/// # Safety
/// An event is there, and nobody writes to it.
unsafe fn length_of(event: *const u8) -> Option<usize> {
    // SAFETY: the caller vouches for an event, and each word is within what the words before it say of it.
    event_bytes(|at| Some(unsafe { event.add(at).cast::<u32>().read_unaligned() }))
}
