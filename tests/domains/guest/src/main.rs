//! Asks to be greeted.

#![no_std]
#![no_main]

use cloison_rt::log;
use greeter_api::{Failure, greeting};

cloison_rt::entry!(main);

fn main() -> Result<(), Failure<greeting::Refusal>> {
    let greeter = greeting::Client::find("greeting")?;
    let reply = greeter.greet(9)?;
    log!("greeted {} time(s)", reply.count);
    if let Err(failure) = greeter.greet(25) {
        log!("at hour 25: {failure}");
    }
    Ok(())
}
