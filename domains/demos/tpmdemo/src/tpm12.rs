//! What a TPM 1.2 says about itself.

use cloison_tpm::{Error, ReturnCode, tpm12};

use crate::{
    MOST_REGISTERS, USUAL_REGISTERS,
    key::show_endorsement_key,
    session::{Session, Transmit},
    text::{Hex, Letters},
};

/// The checksum over the endorsement key takes in a number of the asker's choice. Nobody sits between the
/// service and this domain, so any number will do.
const NONCE: [u8; 20] = *b"tpmdemo asks the TPM";

/// Shows everything.
pub(crate) fn show<T: Transmit>(session: &mut Session<'_, T>) -> Result<(), T::Error> {
    show_version(session)?;
    show_registers(session)?;
    show_handles(session)?;
    show_key(session)
}

fn show_version<T: Transmit>(session: &mut Session<'_, T>) -> Result<(), T::Error> {
    match session.run(&tpm12::GetVersion)? {
        Ok(version) => {
            let (major, minor) = version.specification;
            let (revision_major, revision_minor) = version.revision;
            session.say(format_args!("TPM version {major}.{minor}.{revision_major}.{revision_minor}"));
        }
        Err(error) => session.say(format_args!("TPM version 1.2; more is not shown: {error}")),
    }
    match session.run(&tpm12::GetManufacturer)? {
        Ok(manufacturer) => session.say(format_args!("manufacturer {}", Letters(&manufacturer))),
        Err(error) => session.say(format_args!("manufacturer: not shown: {error}")),
    }
    Ok(())
}

fn show_registers<T: Transmit>(session: &mut Session<'_, T>) -> Result<(), T::Error> {
    let count = match session.run(&tpm12::GetPcrCount)? {
        Ok(count) => {
            session.say(format_args!("{count} PCR registers are available"));
            count
        }
        Err(error) => {
            session.say(format_args!("PCR registers: their number is not shown: {error}"));
            USUAL_REGISTERS
        }
    };
    for register in 0..count.min(MOST_REGISTERS) {
        match session.run(&tpm12::PcrRead { register })? {
            Ok(digest) => session.say(format_args!("PCR-{register:02}: {}", Hex(&digest))),
            Err(error) => session.say(format_args!("PCR-{register:02}: not shown: {error}")),
        }
    }
    if count > MOST_REGISTERS {
        session.say(format_args!("PCR registers from {MOST_REGISTERS} on are not shown"));
    }
    Ok(())
}

fn show_handles<T: Transmit>(session: &mut Session<'_, T>) -> Result<(), T::Error> {
    let log = session.log();
    match session.run(&tpm12::GetKeyHandles)? {
        Ok(handles) if handles.iter().next().is_none() => log(format_args!("no key handles are loaded")),
        Ok(handles) => handles.iter().for_each(|handle| log(format_args!("key handle: {handle:#010x}"))),
        Err(error) => log(format_args!("key handles: not shown: {error}")),
    }
    Ok(())
}

fn show_key<T: Transmit>(session: &mut Session<'_, T>) -> Result<(), T::Error> {
    let log = session.log();
    match session.run(&tpm12::ReadPubek { nonce: NONCE })? {
        Ok(key) => show_endorsement_key(log, &key),
        Err(Error::Refused(ReturnCode::NO_ENDORSEMENT)) => {
            log(format_args!("endorsement key: none; its maker has not given this TPM one"));
        }
        // To take ownership of a TPM is to switch the command off for everybody.
        Err(Error::Refused(code @ ReturnCode::DISABLED_COMMAND)) => {
            log(format_args!(
                "endorsement key: not shown; the TPM has an owner, who alone can read it: {code}"
            ));
        }
        Err(error) => log(format_args!("endorsement key: not shown: {error}")),
    }
    Ok(())
}
