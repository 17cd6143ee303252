//! Lists, of which each call tells one place.

use alloc::vec::Vec;

use cloison_abi::Name;
use cloison_ipc::{Failure, Transport};

use crate::{
    ManageError,
    manage::{Client, Listed, Refusal},
};

/// Milliseconds before a call is made again that has come to nothing, each longer than the one before: 630 ms in all.
const PAUSES_MS: [u32; 6] = [10, 20, 40, 80, 160, 320];

/// All domains, in the order of the manifest. `rest` lets some milliseconds pass.
///
/// # Errors
/// Those of a call, when it has been made several times.
pub fn domains<T: Transport>(manager: &Client<T>, rest: impl FnMut(u32)) -> Result<Vec<Listed>, ManageError> {
    until(|place| manager.entry(place), Refusal::Unknown, rest)
}

/// All groups.
///
/// # Errors
/// As [`domains`].
pub fn groups<T: Transport>(manager: &Client<T>, rest: impl FnMut(u32)) -> Result<Vec<Name>, ManageError> {
    until(|place| manager.group(place).map(|group| group.name), Refusal::UnknownGroup, rest)
}

/// What there is at each place, up to the first where there is nothing. A list is whole, or there is none.
pub(super) fn until<A>(
    mut at: impl FnMut(u8) -> Result<A, ManageError>,
    end: Refusal,
    mut rest: impl FnMut(u32),
) -> Result<Vec<A>, ManageError> {
    let mut all = Vec::new();
    for place in 0..=u8::MAX {
        match again(|| at(place), &mut rest) {
            Err(Failure::Refused(refusal)) if refusal == end => break,
            found => all.push(found?),
        }
    }
    Ok(all)
}

/// Makes a call until it is answered, a few times. One can come to nothing that is allowed: when a domain begins a life, a monitor
/// decides about it again, and what it has no time to decide is denied; a server that has faulted is not there for a while.
fn again<A>(
    mut call: impl FnMut() -> Result<A, ManageError>,
    mut rest: impl FnMut(u32),
) -> Result<A, ManageError> {
    for pause in PAUSES_MS {
        match call() {
            Err(Failure::Call(_) | Failure::Refused(Refusal::NoBuilder)) => rest(pause),
            answer => return answer,
        }
    }
    call()
}
