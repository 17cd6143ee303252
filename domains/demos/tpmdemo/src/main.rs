//! Shows what the TPM says about itself: version, registers, loaded keys, endorsement key.
//!
//! It has no way to the TPM but the service behind the gate `tpm`. The library knows what to ask and how
//! to show it.

#![no_std]
#![no_main]

use cloison_rt::log;
use tpmdemo::{DemoError, TpmClient};

cloison_rt::entry!(main);

/// A service that was restarted meanwhile deserves a second try, one that fails again does not.
fn main() -> Result<(), DemoError> {
    show().or_else(|error| {
        if !error.is_restart() {
            return Err(error);
        }
        log!("the TPM service was restarted ({error}): once more from the start");
        show()
    })
}

fn show() -> Result<(), DemoError> {
    Ok(tpmdemo::show(&mut TpmClient::open()?, cloison_rt::log::line)?)
}
