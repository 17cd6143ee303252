//! Prompter: asks for a name in a line that it has not ended, and shows what is typed there. It edits its line, and tries
//! to write over the lines of others.

#![no_std]
#![no_main]

use cloison_ipc::ring::{Consumer, Doorbell, RingError, SharedRing};
use cloison_rt::{log, log::text, sys::info};
use embedded_io::Read;

cloison_rt::entry!(main);

fn main() -> Result<(), RingError> {
    let entry = info::get().find::<info::Use>("terminal").ok_or(RingError::PeerFailed)?;
    let ring = SharedRing::of(entry).ok_or(RingError::Corrupt)?;
    let mut keyboard = Consumer::new(ring, Doorbell::of(entry));
    text(b"\x1b[A\x1b[2J\x1b[1;1Hnot above\r\n");
    log!("ready");
    loop {
        // As a shell does that has drawn its prompt twice.
        text(b"nmae\r\x1b[Jname? ");
        if ask(&mut keyboard)? {
            return Ok(());
        }
    }
}

/// Shows each byte as it is typed, up to Enter. Whether the last was a full stop.
fn ask(keyboard: &mut impl Read<Error = RingError>) -> Result<bool, RingError> {
    let mut is_last = false;
    loop {
        let mut byte = [0];
        keyboard.read_exact(&mut byte).map_err(|_| RingError::PeerFailed)?;
        if byte[0] == b'\r' {
            text(b"\r\n");
            return Ok(is_last);
        }
        is_last = byte[0] == b'.';
        // Wrong at first, then right.
        text(&[b'#', 0x08, byte[0]]);
    }
}
