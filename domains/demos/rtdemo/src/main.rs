//! rtdemo: wakes at fixed times, as one that controls something would, and measures how late it is.
//!
//! How late it can be is known before it runs: from the priorities and budgets of all domains (`cargo image report`).
//! On a clock that counts instructions that is a statement about the system alone.

#![no_std]
#![no_main]

use cloison_rt::{
    log,
    sys::{Instant, settings, wait},
    time::hertz,
};

cloison_rt::entry!(main);

/// How often it wakes in a second.
const RATE: u64 = 100;
/// How often in all, unless its arguments say it.
const TIMES: u64 = 50;

fn main() -> Result<(), &'static str> {
    let mut arguments = settings::arguments().split_ascii_whitespace();
    let bound_us: u64 = number(arguments.next()).ok_or("the manifest does not say how late it can be")?;
    let times = arguments.next().map_or(Some(TIMES), |times| number(Some(times)));
    let times = times.ok_or("how often it wakes is no number")?;
    let period = hertz() / RATE;
    let first = Instant::now().0 + period;
    let latest = (0..times).map(|time| late(Instant(first + time * period))).max().unwrap_or_default();
    let latest_us = (u128::from(latest) * 1_000_000).div_ceil(u128::from(hertz()));
    let verdict = if latest_us <= bound_us.into() { "kept" } else { "MISSED" };
    log!(
        "{times} times {} ms: at most {latest_us} us late; the plan's bound, {bound_us} us, is {verdict}",
        1000 / RATE
    );
    Ok(())
}

fn number(word: Option<&str>) -> Option<u64> {
    word?.parse().ok()
}

/// Waits until `due`. Returns how much later it runs, in ticks.
fn late(due: Instant) -> u64 {
    while Instant::now() < due {
        wait(0, due);
    }
    Instant::now().0 - due.0
}
