//! Survivor: a server that computes for its client, has that stopped in the middle of the call, and computes on.

#![no_std]
#![no_main]

use core::hint::black_box;

use cloison_rt::{
    log,
    sys::{Badge, Message, call, info},
};
use greeter_api::greeting;

cloison_rt::entry!(main);

/// Rounds of a short loop; together they take longer than a turn, so that a second client comes to wait.
const ROUNDS: u32 = 10_000_000;

fn main() {
    greeting::serve(&mut Survivor)
}

struct Survivor;

impl greeting::Server for Survivor {
    fn greet(&mut self, _client: Badge, _hour: u8) -> Result<greeting::Greeted, greeting::Refusal> {
        compute();
        log!("computed while a client waits");
        match info::get().slot::<info::Use>("order").map(|gate| call(gate, Message::default())) {
            Some(Ok(_)) => {}
            _ => log!("error: the order is refused"),
        }
        compute();
        log!("computed for nobody");
        Ok(greeting::Greeted { count: 0 })
    }
}

fn compute() {
    (0..ROUNDS).for_each(|round| {
        black_box(round);
    });
}
