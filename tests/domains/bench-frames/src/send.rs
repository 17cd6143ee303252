//! The sender: sends batches, and prints what they took.

use alloc::collections::BTreeMap;
use core::time::Duration;

use cloison_rt::{log, sys::Instant, time};

use crate::{
    Port,
    frame::{BROADCAST, Note, START_BYTES},
    receive::ANSWER_BYTES,
};

/// How often each thing is done before counting, so that all sides have settled.
const WARM_UP: usize = 20;
/// How often it is counted.
const SAMPLES: usize = 200;
/// How long the receivers get to start, before the first frame.
const PATIENCE: Duration = Duration::from_millis(5);
/// Frames of a batch.
const BATCH: u32 = 16;
/// Where the part of a frame begins that a switch copies from ring to ring.
const COPIED_FROM: usize = cloison_ipc::frames::START_BYTES;

pub(crate) fn run(mut port: Port, first: [u8; 6], receivers: usize) -> Result<(), &'static str> {
    time::sleep(PATIENCE);
    report("frame-copy-1500", copy(&mut port, first)?);
    report("flood-64", measure(&mut port, Load { to: BROADCAST, receivers, bytes: 64, frames: 1 })?);
    report("flood-1500", measure(&mut port, Load { to: BROADCAST, receivers, bytes: 1500, frames: 1 })?);
    for (bytes, name, batch_name) in
        [(64, "frame-64-one", "frame-64-batch"), (1500, "frame-1500-one", "frame-1500-batch")]
    {
        bench_marks::path();
        report(name, measure(&mut port, Load { to: first, receivers: 1, bytes, frames: 1 })?);
        bench_marks::path();
        report(batch_name, measure(&mut port, Load { to: first, receivers: 1, bytes, frames: BATCH })?);
    }
    bench_marks::path();
    report("carry-1500-one", carry(&mut port, Load { to: first, receivers: 1, bytes: 1500, frames: 1 })?);
    bench_marks::path();
    report(
        "carry-1500-batch",
        carry(&mut port, Load { to: first, receivers: 1, bytes: 1500, frames: BATCH })?,
    );
    log!(
        "paths: frame-64-one frame-64-batch/{BATCH} frame-1500-one frame-1500-batch/{BATCH} carry-1500-one \
         carry-1500-batch/{BATCH}"
    );
    Ok(())
}

fn report(name: &str, figure: u64) {
    log!("{name} {figure}");
}

/// What is sent at a time.
#[derive(Clone, Copy)]
struct Load {
    to: [u8; 6],
    receivers: usize,
    bytes: usize,
    frames: u32,
}

/// What a frame of this load costs.
fn measure(port: &mut Port, load: Load) -> Result<u64, &'static str> {
    let mut counts = Counts::default();
    for _ in 0..WARM_UP + SAMPLES {
        send(port, load)?;
        let mut slowest = 0;
        for _ in 0..load.receivers {
            slowest = slowest.max(answer(port, |_| 0)?.0);
        }
        // The receiver has said so before, but for a flood.
        bench_marks::end();
        counts.add(slowest);
    }
    Ok(counts.most_frequent() / u64::from(load.frames))
}

/// What it costs to bring a frame from the sender's ring into the receiver's: the signal to the switch, its
/// work, its signal to the receiver, and until it sleeps again. The switch's priority is higher than the
/// sender's, and the receiver's is not, so that all this is done when the sender's signal returns.
fn carry(port: &mut Port, load: Load) -> Result<u64, &'static str> {
    let mut counts = Counts::default();
    for _ in 0..WARM_UP + SAMPLES {
        counts.add(send(port, load)?);
        bench_marks::end();
        answer(port, |_| 0)?;
    }
    Ok(counts.most_frequent() / u64::from(load.frames))
}

/// Sends a batch. Returns how long it took to tell the switch.
fn send(port: &mut Port, load: Load) -> Result<u64, &'static str> {
    bench_marks::begin();
    let (mac, ticks) = (port.mac, Instant::now().0);
    for rest in (0..load.frames).rev() {
        Note { ticks, rest }.write(load.to, mac, port.reserve(load.bytes)?);
        port.sender.publish(load.bytes, 0);
    }
    let before = Instant::now().0;
    port.sender.flush();
    Ok(Instant::now().0 - before)
}

/// Waits for a receiver's answer, and has a look at it. Returns the time that it states, and what the look says.
fn answer(port: &mut Port, look: impl Fn(&mut Port) -> u64) -> Result<(u64, u64), &'static str> {
    port.wait()?;
    let mut start = [0; START_BYTES];
    let complete = port.receiver.read(0, &mut start);
    let seen = look(port);
    port.receiver.release();
    port.receiver.flush();
    if complete { Ok((Note::read(&start).0.ticks, seen)) } else { Err("an answer is too short") }
}

/// What the copy of a frame from ring to ring costs, of which there is one in the figures for one receiver.
fn copy(port: &mut Port, to: [u8; 6]) -> Result<u64, &'static str> {
    let mut counts = Counts::default();
    for _ in 0..WARM_UP + SAMPLES {
        send(port, Load { to, receivers: 1, bytes: 64, frames: 1 })?;
        let (_, ticks) = answer(port, |port| {
            let reserved = port.reserve(ANSWER_BYTES).is_ok();
            let before = Instant::now().0;
            let (receiver, sender) = (&port.receiver, &mut port.sender);
            let copied = receiver.copy_to(COPIED_FROM, sender, COPIED_FROM, ANSWER_BYTES - COPIED_FROM);
            let after = Instant::now().0;
            if reserved && copied { after - before } else { 0 }
        })?;
        counts.add(ticks);
    }
    Ok(counts.most_frequent())
}

/// How often each count came.
#[derive(Default)]
struct Counts {
    seen: BTreeMap<u64, usize>,
    skipped: usize,
}

impl Counts {
    fn add(&mut self, count: u64) {
        if self.skipped < WARM_UP {
            self.skipped += 1;
        } else {
            *self.seen.entry(count).or_default() += 1;
        }
    }

    fn most_frequent(&self) -> u64 {
        self.seen.iter().max_by_key(|(_, times)| **times).map_or(0, |(count, _)| *count)
    }
}
