//! Echo: says what is typed to it, line by line, and tries to look like somebody else.

#![no_std]
#![no_main]

use cloison_ipc::ring::{Consumer, Doorbell, RingError, SharedRing};
use cloison_rt::{log, sys::info};
use embedded_io::Read;

cloison_rt::entry!(main);

/// What is typed beyond this, in one line, is left out.
const LINE_BYTES: usize = 80;

fn main() -> Result<(), RingError> {
    let entry = info::get().find::<info::Use>("terminal").ok_or(RingError::PeerFailed)?;
    let ring = SharedRing::of(entry).ok_or(RingError::Corrupt)?;
    let mut keyboard = Consumer::new(ring, Doorbell::of(entry));
    log!("\x1b[2Jcleared?\rkernel | forged");
    log!("ready");
    loop {
        let mut line = [0; LINE_BYTES];
        let length = read_line(&mut keyboard, &mut line)?;
        match core::str::from_utf8(&line[..length]) {
            Ok("") => {}
            Ok("quit") => return Ok(()),
            Ok(text) => log!("got: {text}"),
            Err(_) => log!("got something that is no text"),
        }
    }
}

/// Reads up to the next Enter. Returns the length of what fits.
fn read_line(keyboard: &mut impl Read<Error = RingError>, line: &mut [u8]) -> Result<usize, RingError> {
    let mut length = 0;
    loop {
        let mut byte = [0];
        keyboard.read_exact(&mut byte).map_err(|_| RingError::PeerFailed)?;
        if byte[0] == b'\r' {
            return Ok(length);
        }
        if let Some(place) = line.get_mut(length) {
            *place = byte[0];
            length += 1;
        }
    }
}
