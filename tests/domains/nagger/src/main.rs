//! Nagger: calls its server without a pause.

#![no_std]
#![no_main]

use cloison_rt::{log, sys::settings};
use greeter_api::{Failure, greeting};

cloison_rt::entry!(main);

fn main() -> Result<(), Failure<greeting::Refusal>> {
    let server = greeting::Client::find("greeting")?;
    let hour = settings::arguments().parse().unwrap_or(9);
    log!("from here on I only call");
    loop {
        server.greet(hour)?;
    }
}
