//! Bailiff: stops the domains whose faults it handles when it is called, whatever they are doing.

#![no_std]
#![no_main]

use cloison_abi::CallError;
use cloison_rt::{
    log,
    sys::{Instant, Message, Received, build::domain_stop, info, reply_wait},
};

cloison_rt::entry!(main);

fn main() -> Result<(), CallError> {
    let mut answer = Message::default();
    loop {
        if let Received::Message { .. } = reply_wait(answer, 0, Instant::NEVER) {
            stop_all()?;
        }
        answer = Message::default();
    }
}

fn stop_all() -> Result<(), CallError> {
    for patient in info::get().all::<info::Subject>() {
        domain_stop(info::slot(patient).ok_or(CallError::BadSlot)?)?;
        log!("{} is stopped", patient.name.as_str());
    }
    Ok(())
}
