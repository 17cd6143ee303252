//! Handles the faults of other domains: says what happened, and stops them.

#![no_std]
#![no_main]

use cloison_abi::CallError;
use cloison_rt::{
    log,
    sys::{
        Instant,
        build::{domain_stop, fault_read},
        info, wait,
    },
};

cloison_rt::entry!(main);

fn main() -> Result<(), CallError> {
    let patients = info::get().all::<info::Subject>();
    let events = patients.iter().fold(0, |events, patient| events | info::event_mask(patient));
    loop {
        let faulted = wait(events, Instant::NEVER);
        for patient in patients.iter().filter(|patient| info::event_mask(*patient) & faulted != 0) {
            let domain = info::slot(patient).ok_or(CallError::BadSlot)?;
            log!("{} faulted: {}", patient.name.as_str(), fault_read(domain)?);
            // Its clients are told that it has failed, and what it lent comes back to it.
            domain_stop(domain)?;
        }
    }
}
