//! The receiver: notes how long each batch took, and says so.

use core::time::Duration;

use cloison_rt::{sys::Instant, time};

use crate::{
    Port,
    frame::{Note, START_BYTES},
};

/// How long an answer waits, so that its cost is in nobody's figure.
const PAUSE: Duration = Duration::from_micros(500);
/// Length of an answer: what the sender counts a copy of.
pub(crate) const ANSWER_BYTES: usize = 1500;

pub(crate) fn run(mut port: Port) -> Result<(), &'static str> {
    loop {
        port.wait()?;
        let mut start = [0; START_BYTES];
        let complete = port.receiver.read(0, &mut start);
        port.receiver.release();
        let now = Instant::now().0;
        let (note, from) = Note::read(&start);
        if complete && note.rest == 0 {
            // Of a flood, the other receivers would count the mark.
            if start[..6] == port.mac {
                bench_marks::end();
            }
            port.receiver.flush();
            time::sleep(PAUSE);
            answer(&mut port, from, now.saturating_sub(note.ticks))?;
        }
    }
}

fn answer(port: &mut Port, to: [u8; 6], ticks: u64) -> Result<(), &'static str> {
    let mac = port.mac;
    Note { ticks, rest: 0 }.write(to, mac, port.reserve(ANSWER_BYTES)?);
    port.sender.publish(ANSWER_BYTES, 0);
    port.sender.flush();
    Ok(())
}
