//! Warden: `withdraw FROM TO`, `allow FROM TO`, `load POLICY`, `quit`.

#![no_std]
#![no_main]

use cloison_abi::Name;
use cloison_ipc::ring::{Consumer, Doorbell, RingError, SharedRing};
use cloison_rt::{log, sys::info};
use embedded_io::Read;
use ipcmon_api::{ControlError, control::Client};

cloison_rt::entry!(main);

/// What is typed beyond this, in one line, is left out.
const LINE_BYTES: usize = 80;

fn main() -> Result<(), &'static str> {
    let entry = info::get().find::<info::Use>("terminal").ok_or("the plan gives this domain no terminal")?;
    let ring = SharedRing::of(entry).ok_or("the terminal has no memory")?;
    let mut keyboard = Consumer::new(ring, Doorbell::of(entry));
    let monitor = Client::find("ipcmon").map_err(|_| "the plan gives this domain no monitor")?;
    log!("ready");
    loop {
        let mut line = [0; LINE_BYTES];
        let length = read_line(&mut keyboard, &mut line).map_err(|_| "the terminal has failed")?;
        let text = core::str::from_utf8(&line[..length]).unwrap_or_default();
        if text == "quit" {
            return Ok(());
        }
        match carry_out(&monitor, text) {
            Ok(()) => log!("done: {text}"),
            Err(error) => log!("{text}: {error}"),
        }
    }
}

fn carry_out(monitor: &Client, text: &str) -> Result<(), ControlError> {
    let mut words = text.split_ascii_whitespace();
    let what = words.next().unwrap_or_default();
    let [first, second] =
        core::array::from_fn(|_| Name::new(words.next().unwrap_or_default()).unwrap_or_default());
    match what {
        "withdraw" => monitor.withdraw(first, second).map(drop),
        "allow" => monitor.allow(first, second).map(drop),
        "load" => monitor.load(first).map(drop),
        _ => {
            log!("what is `{what}`?");
            Ok(())
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
