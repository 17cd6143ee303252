//! What a TPM 2.0 says about itself.

mod properties;
mod registers;

use cloison_tpm::{Error, tpm20};

use crate::{
    key::show_endorsement_key,
    session::{Session, Transmit},
};

/// Handles that are shown of a list at the most.
const MOST_HANDLES: usize = 1024;

/// Shows everything.
pub(crate) fn show<T: Transmit>(session: &mut Session<'_, T>) -> Result<(), T::Error> {
    let count = properties::show(session)?;
    registers::show(session, count)?;
    if show_handles(session, tpm20::FIRST_TRANSIENT, "key handle")? == Some(0) {
        session.say(format_args!("no key handles are loaded"));
    }
    show_handles(session, tpm20::FIRST_PERSISTENT, "key kept in the TPM")?;
    show_key(session)
}

/// Shows a list, which may come in parts. Returns how many handles there were, if the TPM said so.
fn show_handles<T: Transmit>(
    session: &mut Session<'_, T>,
    mut first: u32,
    title: &str,
) -> Result<Option<usize>, T::Error> {
    let log = session.log();
    let mut count = 0;
    loop {
        let handles = match session.run(&tpm20::GetHandles { first })? {
            Ok(handles) => handles,
            Err(error) => {
                log(format_args!("{title}: not shown: {error}"));
                return Ok(None);
            }
        };
        let mut next = None;
        for handle in handles.iter() {
            log(format_args!("{title}: {handle:#010x}"));
            next = handle.checked_add(1);
            count += 1;
        }
        match next {
            _ if !handles.has_more => return Ok(Some(count)),
            Some(next) if next > first && count < MOST_HANDLES => first = next,
            _ => {
                log(format_args!("{title}: the TPM has more than it lists"));
                return Ok(Some(count));
            }
        }
    }
}

/// Shows the endorsement key that the TPM keeps or, where it keeps none, the one that it derives from its
/// seed.
fn show_key<T: Transmit>(session: &mut Session<'_, T>) -> Result<(), T::Error> {
    let log = session.log();
    match session.run(&tpm20::ReadPublic { handle: tpm20::ENDORSEMENT_KEY_HANDLE })? {
        Ok(key) => {
            show_endorsement_key(log, &key);
            return Ok(());
        }
        Err(Error::Refused(_)) => {}
        Err(error) => {
            log(format_args!("endorsement key: kept in the TPM, not shown: {error}"));
            return Ok(());
        }
    }
    let handle = match session.run(&tpm20::CreateEndorsementKey)? {
        Ok(made) => {
            match made.key {
                Ok(key) => show_endorsement_key(log, &key),
                Err(error) => log(format_args!("endorsement key: made, but not shown: {error}")),
            }
            made.handle
        }
        Err(error) => {
            show_why_no_key(session, error);
            return Ok(());
        }
    };
    if let Err(error) = session.run(&tpm20::FlushContext { handle })? {
        log(format_args!("endorsement key: still loaded as {handle:#010x}: {error}"));
    }
    Ok(())
}

fn show_why_no_key<T: Transmit>(session: &Session<'_, T>, error: Error) {
    let reason = match error {
        Error::Refused(code) => match code.name() {
            "AUTH_FAIL" | "BAD_AUTH" => "makes none without the endorsement hierarchy's password",
            "HIERARCHY" => "makes none while the endorsement hierarchy is switched off",
            _ => "makes none",
        },
        _ => "makes none",
    };
    session.say(format_args!("endorsement key: the TPM keeps none, and {reason}: {error}"));
}
