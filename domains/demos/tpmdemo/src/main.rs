//! Shows what the TPM says about itself: version, registers, loaded keys, endorsement key.
//!
//! It has no way to the TPM but the service behind the gate `tpm`. The library knows what to ask and how
//! to show it.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_rt::{ipreg, log};
use tpmdemo::{DemoError, TpmClient};

cloison_rt::entry!(main);

/// For how long a service that was not started yet is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service that was restarted meanwhile deserves a second try, one that fails again does not.
fn main() -> Result<(), DemoError> {
    await_service();
    show().or_else(|error| {
        if !error.is_restart() {
            return Err(error);
        }
        log!("the TPM service was restarted ({error}): once more from the start");
        show()
    })
}

/// Waits for the TPM's service. Who was given none, or waits in vain, is told so when it asks.
fn await_service() {
    if let Some(tpm) = ipreg::find("tpm").filter(|tpm| !tpm.is_up()) {
        log!("tpm is not there yet; I wait for it");
        if tpm.wait(PATIENCE) {
            log!("tpm is there");
        }
    }
}

fn show() -> Result<(), DemoError> {
    Ok(tpmdemo::show(&mut TpmClient::open()?, cloison_rt::log::line)?)
}
