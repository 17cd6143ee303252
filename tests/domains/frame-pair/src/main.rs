//! Frame-pair: one of two domains that send each other frames while a third one attacks their switch.
//!
//! One asks: it sends a few frames at a time, alternately to its pair and to everybody, and wants each of them
//! back, in order and unchanged. A frame that does not come back for a second is lost, and ends it with an
//! error; so does one that says it is from the pair and is not as it was sent. Frames of others are none of
//! its business, but for the one that says that all is over.

#![no_std]
#![no_main]

extern crate alloc;

mod frame;
mod port;

use cloison_rt::{log, sys::settings};

use frame::{Frame, Kind};
use port::Port;

cloison_rt::entry!(main);

/// Frames on their way at a time.
const WINDOW: u32 = 8;
/// Fewest frames that are exchanged.
const LEAST: u32 = 4000;
/// How long who knocks waits before it knocks again.
const BETWEEN: core::time::Duration = core::time::Duration::from_millis(20);

fn main() -> Result<(), &'static str> {
    let mut words = settings::arguments().split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some("ask"), Some(address)) => ask(&mut Port::find()?, frame::mac_of(address).ok_or("no address")?),
        (Some("answer"), None) => answer(&mut Port::find()?),
        (Some("knock"), Some(address)) => {
            knock(&mut Port::find()?, frame::mac_of(address).ok_or("no address")?);
            Ok(())
        }
        (Some("rest"), None) => rest(),
        _ => Err("its arguments are none of `ask ADDRESS`, `answer`, `knock ADDRESS` and `rest`"),
    }
}

/// Sends frames and wants them back, until all is over.
fn ask(port: &mut Port, pair: [u8; 6]) -> Result<(), &'static str> {
    let (mut sent, mut over) = (0, false);
    while sent < LEAST || !over {
        for number in sent..sent + WINDOW {
            port.send(
                &Frame { kind: Kind::Ask, number, from: port.mac },
                if number % 2 == 0 { pair } else { frame::BROADCAST },
            )?;
        }
        port.flush();
        for number in sent..sent + WINDOW {
            over |= port.receive(Frame { kind: Kind::Answer, number, from: pair })?;
        }
        sent += WINDOW;
    }
    log!("{sent} frames exchanged, all of them as they were sent");
    Ok(())
}

/// Sends every frame back.
fn answer(port: &mut Port) -> Result<(), &'static str> {
    loop {
        let asked = port.next(Kind::Ask)?;
        port.send(&Frame { kind: Kind::Answer, number: asked.number, from: port.mac }, asked.from)?;
        port.flush();
    }
}

/// Sends a frame now and then. Says when none is answered any more, and when they are again.
fn knock(port: &mut Port, pair: [u8; 6]) {
    let mut was_answered = None;
    for number in 1.. {
        let is_answered = port.knock(number, pair);
        if was_answered != Some(is_answered) {
            log!("{}", if is_answered { "answered" } else { "no answer" });
            was_answered = Some(is_answered);
        }
        cloison_rt::time::sleep(BETWEEN);
    }
}

/// Never reads or sends a frame.
fn rest() -> Result<(), &'static str> {
    loop {
        cloison_rt::time::sleep(core::time::Duration::from_secs(60));
    }
}
