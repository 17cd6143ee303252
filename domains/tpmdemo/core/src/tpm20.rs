//! What a TPM 2.0 says about itself.

use cloison_rt::log;
use cloison_tpm::{
    Error,
    tpm20::{self, property},
};

use crate::{
    error::DemoError,
    key::{show_endorsement_key, show_handles},
    session::Session,
    text::{Hex, Letters},
};

/// The properties shown all lie in a run of this length.
const PROPERTIES: tpm20::GetProperties =
    tpm20::GetProperties { first: property::FAMILY_INDICATOR, count: 32 };

/// Shows everything.
pub(crate) fn show(session: &mut Session) -> Result<(), DemoError> {
    let registers = show_properties(session)?;
    show_registers(session, registers)?;
    show_handles(session.run(&tpm20::GetHandles { first: tpm20::FIRST_TRANSIENT })?.iter());
    for handle in session.run(&tpm20::GetHandles { first: tpm20::FIRST_PERSISTENT })?.iter() {
        log!("key kept in the TPM: {handle:#010x}");
    }
    show_key(session)
}

/// Returns how many registers there are.
fn show_properties(session: &mut Session) -> Result<u8, DemoError> {
    let properties = session.run(&PROPERTIES)?;
    let number = |property| properties.find(property).unwrap_or(0);
    let family = properties.text::<1>(property::FAMILY_INDICATOR);
    let (revision, firmware) = (number(property::REVISION), number(property::FIRMWARE_VERSION_1));
    log!("TPM version {}, revision {}.{:02}", Letters(family.as_flattened()), revision / 100, revision % 100);
    let manufacturer = properties.text::<1>(property::MANUFACTURER);
    let vendor = properties.text::<4>(property::VENDOR_STRING_1);
    log!("manufacturer {}, \"{}\"", Letters(manufacturer.as_flattened()), Letters(vendor.as_flattened()));
    log!("firmware {firmware:#010x} {:#010x}", number(property::FIRMWARE_VERSION_2));
    Ok(u8::try_from(number(property::PCR_COUNT)).unwrap_or(u8::MAX))
}

fn show_registers(session: &mut Session, count: u8) -> Result<(), DemoError> {
    let banks = session.run(&tpm20::GetBanks)?;
    log!("{count} PCR registers are available");
    for register in 0..count {
        for bank in banks.iter() {
            let digest = session.run(&tpm20::PcrRead { bank, register })?;
            log!("PCR-{register:02} {}: {}", bank.name(), Hex(digest));
        }
    }
    Ok(())
}

/// Shows the endorsement key that the TPM keeps or, where it keeps none, the one that it derives from its
/// seed.
fn show_key(session: &mut Session) -> Result<(), DemoError> {
    match session.run(&tpm20::ReadPublic { handle: tpm20::ENDORSEMENT_KEY_HANDLE }) {
        Ok(key) => {
            show_endorsement_key(&key);
            return Ok(());
        }
        Err(DemoError::Response(Error::Refused(_))) => {}
        Err(error) => return Err(error),
    }
    let made = session.run(&tpm20::CreateEndorsementKey)?;
    show_endorsement_key(&made.key);
    let handle = made.handle;
    session.run(&tpm20::FlushContext { handle })
}
