//! A program for a Linux, which puts its kernel's and its CPU's services to a trial. On a bare machine and in a guest it
//! prints the same.
//!
//! - `trial traps`: executes instructions that cannot be, and says which signal each gives, and where;
//! - `trial vectors NUMBER ROUNDS`: keeps its vector registers full, beside others that have other contents; without a number
//!   of rounds, for ever;
//! - `trial forks COUNT`: makes processes that write to what they share with it, and become other programs;
//! - `trial sparse COUNT`: has a page in each of many GiB, so that most of what it has is page tables, and a process like it;
//! - `trial trace`: steps another process by single instructions, and changes its registers and memory.

mod debugger;
mod libc;
mod processes;
mod segments;
mod trace;
mod traps;
mod vectors;

use std::env;

use self::{
    debugger::{debugged, debugger},
    processes::{forks, sparse},
    segments::segments,
    trace::trace,
    traps::traps,
    vectors::vectors,
};

fn main() {
    let words: Vec<String> = env::args().collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(1_u64);
    match words.get(1).map(String::as_str) {
        Some("traps") => traps(),
        Some("vectors") => vectors(number(2), words.get(3).map(|_| number(3))),
        Some("forks") => forks(number(2)),
        Some("sparse") => sparse(number(2)),
        Some("trace") => trace(),
        Some("segments") => segments(),
        Some("debugger") => debugger(),
        // What the debugger starts.
        Some("debugged") => debugged(),
        // What a process of `forks` becomes.
        Some("sum") => std::process::exit((number(2) * 7 % 251) as i32),
        _ => eprintln!("traps, vectors NUMBER [ROUNDS], forks COUNT, sparse COUNT, or trace"),
    }
}
