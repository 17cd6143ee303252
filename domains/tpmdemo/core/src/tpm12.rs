//! What a TPM 1.2 says about itself.

use cloison_rt::log;
use cloison_tpm::{Error, ReturnCode, tpm12};

use crate::{
    error::DemoError,
    key::{show_endorsement_key, show_handles},
    session::Session,
    text::{Hex, Letters},
};

/// The checksum over the endorsement key takes in a number of the asker's choice. Nobody sits between the
/// service and this domain, so any number will do.
const NONCE: [u8; 20] = *b"tpmdemo asks the TPM";

/// Shows everything.
pub(crate) fn show(session: &mut Session) -> Result<(), DemoError> {
    show_version(session)?;
    show_registers(session)?;
    show_handles(session.run(&tpm12::GetKeyHandles)?.iter());
    show_key(session)
}

fn show_version(session: &mut Session) -> Result<(), DemoError> {
    let version = session.run(&tpm12::GetVersion)?;
    let ((major, minor), (revision_major, revision_minor)) = (version.specification, version.revision);
    log!("TPM version {major}.{minor}.{revision_major}.{revision_minor}");
    let manufacturer = session.run(&tpm12::GetManufacturer)?;
    log!("manufacturer {}", Letters(&manufacturer));
    Ok(())
}

fn show_registers(session: &mut Session) -> Result<(), DemoError> {
    let count = session.run(&tpm12::GetPcrCount)?;
    log!("{count} PCR registers are available");
    for register in 0..count {
        let digest = session.run(&tpm12::PcrRead { register })?;
        log!("PCR-{register:02}: {}", Hex(&digest));
    }
    Ok(())
}

fn show_key(session: &mut Session) -> Result<(), DemoError> {
    match session.run(&tpm12::ReadPubek { nonce: NONCE }) {
        Ok(key) => show_endorsement_key(&key),
        Err(DemoError::Response(Error::Refused(ReturnCode::NO_ENDORSEMENT))) => {
            log!("endorsement key: none; its maker has not given this TPM one");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
