//! Toiler: does some work for each client, and for one that says that it is 20 o'clock never ends.

#![no_std]
#![no_main]

use core::hint::black_box;

use cloison_rt::{log, sys::Badge};
use greeter_api::greeting;

cloison_rt::entry!(main);

fn main() {
    greeting::serve(&mut Toiler { count: 0 })
}

struct Toiler {
    count: u32,
}

impl greeting::Server for Toiler {
    fn greet(&mut self, _client: Badge, hour: u8) -> Result<greeting::Greeted, greeting::Refusal> {
        if hour == 20 {
            log!("from here on I compute");
            loop {
                black_box(());
            }
        }
        (0..2000).for_each(|round| {
            black_box(round);
        });
        self.count += 1;
        Ok(greeting::Greeted { count: self.count })
    }
}
