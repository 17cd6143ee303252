//! Switcher: checks registers across context switches.
//!
//! Two instances run. One calls the other 50,000 times, which makes 100,000 switches; both fill their vector
//! registers with a pattern of their own before each call, and must find the initial state after it: nothing
//! kept, nothing leaked. The registers that a call keeps must be as they were. Then both compute without any call, so that only the timer switches, and must find
//! their pattern unharmed.

#![no_std]
#![no_main]

mod vectors;

use core::time::Duration;

use cloison_abi::{CallNumber, call::NO_DEADLINE};
use cloison_rt::{
    sys::{Instant, Slot, info, memory::SharedMemory},
    time::after,
};
use watcher_api::{FaultSet, watch};

use vectors::{Vectors, call_with, hold, kept_over};

cloison_rt::entry!(main);

/// Calls from one to the other; each makes two switches.
const ROUND_TRIPS: u32 = 50_000;
/// Calls over which the other registers are looked at.
const KEPT_ROUNDS: u32 = 1_000;
/// How long the timer alone switches.
const PREEMPTION_TIME: Duration = Duration::from_secs(2);
/// Rounds of a loop of two instructions for which a pattern is held: some milliseconds, so that many are
/// interrupted.
const SPINS: u64 = 1_000_000;
/// Label of the last call.
const LAST: u32 = 1;

fn main() -> Result<(), &'static str> {
    let watch = info::get().find::<info::Use>("watch").ok_or("the plan gives no watcher")?;
    let page = SharedMemory::of(watch).ok_or("the watcher shares no page")?;
    let watcher = watch::Client::find("watch").map_err(|_| "the watcher has no gate")?;
    if !vectors::are_there() {
        return Err("this CPU has no AVX");
    }
    let peer = info::get().slot::<info::Use>("peer");
    let seed = if peer.is_some() { 1 } else { 2 };
    let acts: [(&str, &dyn Fn() -> i32); 3] = [
        ("vector registers neither stay nor leak over a call", &|| {
            peer.map_or_else(|| serve(seed), |gate| call(gate, seed))
        }),
        ("registers that a call keeps are one's own", &|| keep(peer, seed)),
        ("vector registers survive the timer", &|| compute(seed)),
    ];
    for (number, (name, act)) in acts.iter().enumerate() {
        watcher_api::write_name(&page, name);
        watcher.announce(number as u16, FaultSet::NONE, 0, 0).map_err(|_| "the watcher does not answer")?;
        watcher.end(act()).map_err(|_| "the watcher does not answer")?;
    }
    watcher.finish(acts.len() as u16).map_err(|_| "the watcher does not answer")?;
    Ok(())
}

/// Calls the partner. Returns 0, or the round in which a register was not in its initial state.
fn call(gate: Slot, seed: u64) -> i32 {
    for round in 1..=ROUND_TRIPS {
        let label = if round == ROUND_TRIPS { LAST } else { 0 };
        let rax = CallNumber::Call as u64 | u64::from(gate.0) << 8 | u64::from(label) << 32;
        let (outcome, after) = call_with(rax, [0; 6], &Vectors::pattern(seed, round));
        if outcome as i32 != 0 || !after.is_initial() {
            return round as i32;
        }
    }
    0
}

/// Serves the partner's calls.
fn serve(seed: u64) -> i32 {
    for round in 1..=ROUND_TRIPS {
        let (outcome, after) = call_with(
            CallNumber::ReplyWait as u64,
            [0, 0, 0, 0, 0, NO_DEADLINE],
            &Vectors::pattern(seed, round),
        );
        if outcome as i32 != 0 || !after.is_initial() {
            return round as i32;
        }
    }
    // The answer to the last call.
    let (_, after) = call_with(CallNumber::ReplyWait as u64, [0; 6], &Vectors::pattern(seed, 0));
    i32::from(!after.is_initial())
}

/// Calls the partner, or serves its calls. Returns 0, or the round in which a register was not as it was.
fn keep(gate: Option<Slot>, seed: u64) -> i32 {
    let rax = match gate {
        Some(Slot(gate)) => CallNumber::Call as u64 | u64::from(gate) << 8,
        None => CallNumber::ReplyWait as u64,
    };
    for round in 1..=KEPT_ROUNDS {
        let pattern = seed.wrapping_mul(0x0123_4567_89ab_cdef).wrapping_add(round.into());
        if kept_over(rax, NO_DEADLINE, pattern) != 0 {
            return round as i32;
        }
    }
    if gate.is_none() {
        // The answer to the last call.
        call_with(CallNumber::ReplyWait as u64, [0; 6], &Vectors::pattern(seed, 0));
    }
    0
}

/// Holds one pattern after the other, for a while. Returns 0, or the round in which one was damaged.
fn compute(seed: u64) -> i32 {
    let end = after(PREEMPTION_TIME);
    let mut round = 0;
    while Instant::now() < end {
        round += 1;
        let pattern = Vectors::pattern(seed, round);
        if hold(&pattern, SPINS) != pattern {
            return round as i32;
        }
    }
    0
}
