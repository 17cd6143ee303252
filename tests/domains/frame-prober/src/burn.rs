//! Burns the switch's time: one store offers it a ringful of records, and one signal wakes it for them.

use alloc::{format, string::String, vec::Vec};
use core::{hint::black_box, time::Duration};

use cloison_rt::{
    log,
    sys::{Instant, settings},
    time,
};

use crate::{
    acts::BROADCAST,
    port::{Port, frame},
};

/// What is offered, one after the other: nothing, records without a frame, short frames for everybody.
const PHASES: [&str; 3] = ["nothing", "empty records", "broadcasts"];
/// How long each lasts.
const PHASE: Duration = Duration::from_millis(100);
/// How often each comes until there is a verdict.
const ROUNDS: usize = 3;
/// How much of the CPU has to be left to a domain below the switch, in percent, by a clock that counts instructions:
/// a port may take a third, and what its signals and the changes of domain cost comes on top. Without a pace, a
/// fifth is left: the switch's budget is 80 %.
const LEFT: u64 = 60;

/// Offers empty records for ever.
pub(crate) fn empty(mut port: Port) -> ! {
    port.lay_out(&[]);
    loop {
        port.offer_all();
    }
}

/// Offers what the phase says, for ever.
pub(crate) fn by_turns(mut port: Port) -> Result<(), String> {
    let mac = settings::ports().first().ok_or("the plan says nothing of the port")?.mac;
    let shout = frame(BROADCAST, mac, 0x0101, 16);
    loop {
        let phase = phase();
        port.lay_out(if phase == 1 { &[] } else { &shout });
        while phase == self::phase() {
            if phase == 0 {
                time::sleep(Duration::from_millis(1));
            } else {
                port.offer_all();
            }
        }
        port.wait_until_taken()?;
    }
}

/// Computes, and compares how far it gets in each phase.
pub(crate) fn compute() -> Result<(), String> {
    let mut rounds = [const { Vec::new() }; PHASES.len()];
    // The first one is half over.
    count();
    for _ in 0..ROUNDS * PHASES.len() {
        let (phase, count) = count();
        rounds[phase].push(count);
    }
    let [calm, attacks @ ..] = rounds.map(median);
    for (attack, name) in attacks.into_iter().zip(&PHASES[1..]) {
        let left = attack * 100 / calm.max(1);
        if left < LEFT {
            return Err(format!("{name} leave {left} % of the CPU, at least {LEFT} % were to be left"));
        }
        log!("pass: {name} leave {left} % of the CPU");
    }
    Ok(())
}

/// Computes until the phase is over. Returns which it was, and how far that went.
fn count() -> (usize, u64) {
    let (phase, mut rounds) = (phase(), 0);
    while phase == self::phase() {
        (0..1000_u64).for_each(|number| {
            black_box(number);
        });
        rounds += 1;
    }
    (phase, rounds)
}

fn median(mut counts: Vec<u64>) -> u64 {
    counts.sort_unstable();
    counts.get(counts.len() / 2).copied().unwrap_or(0)
}

/// The phase that it is now, by the clock that all domains have.
fn phase() -> usize {
    let ticks = time::hertz() / 1000 * PHASE.as_millis() as u64;
    (Instant::now().0 / ticks.max(1)) as usize % PHASES.len()
}
