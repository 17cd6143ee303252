//! Shows what the TPM says about itself: version, registers, loaded keys, endorsement key.
//!
//! It has no way to the TPM but the service behind the gate `tpm`.

#![no_std]
#![no_main]

mod error;
mod key;
mod session;
mod text;
mod tpm12;
mod tpm20;

use cloison_rt::log;
use cloison_tpm::Family;
use error::DemoError;
use session::Session;

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
    let mut session = Session::open()?;
    match session.family()? {
        Family::Tpm12 => tpm12::show(&mut session),
        Family::Tpm20 => tpm20::show(&mut session),
    }
}
