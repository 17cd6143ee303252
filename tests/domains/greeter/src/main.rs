//! Greets a client that says what hour it is, and counts.

#![no_std]
#![no_main]

use cloison_rt::{log, sys::Badge};
use greeter_api::greeting;

cloison_rt::entry!(main);

fn main() {
    greeting::serve(&mut Greeter { count: 0 })
}

struct Greeter {
    count: u32,
}

impl greeting::Server for Greeter {
    fn greet(&mut self, client: Badge, hour: u8) -> Result<greeting::Greeted, greeting::Refusal> {
        let time = match hour {
            0..12 => "morning",
            12..18 => "afternoon",
            18..24 => "evening",
            _ => return Err(greeting::Refusal::NoSuchHour),
        };
        log!("good {time}, client {client}");
        self.count += 1;
        Ok(greeting::Greeted { count: self.count })
    }
}
