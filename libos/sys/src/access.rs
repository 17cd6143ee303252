//! Allowing and denying.

use cloison_abi::{
    CallError, CallNumber,
    access::{Classes, Decision},
    call::EVERYONE,
};

use crate::{Slot, raw::enter};

/// Denies what a domain does to another one, or, with None, to everyone. A domain can deny itself, for this life:
/// it names itself by the slot [`SLOT_SELF`](cloison_abi::call::SLOT_SELF). What its builder denies it holds for all
/// its lives.
///
/// # Errors
/// [`CallError::MissingRight`] if the caller is neither the domain nor its builder; [`CallError::BadState`] if it is its
/// builder and the domain lives.
pub fn access_deny(domain: Slot, toward: Option<Slot>, classes: Classes) -> Result<(), CallError> {
    access_set(domain, toward, classes, Decision::Deny)
}

/// Allows it again, which only the domain's builder can.
///
/// # Errors
/// As [`access_deny`].
pub fn access_allow(domain: Slot, toward: Option<Slot>, classes: Classes) -> Result<(), CallError> {
    access_set(domain, toward, classes, Decision::Allow)
}

/// Has the monitor asked about what a domain does, from its next life on. That is for its builder, while it does not live.
///
/// # Errors
/// [`CallError::BadArgument`] for a class about which nobody is asked; else as [`access_deny`].
pub fn access_ask(domain: Slot, classes: Classes) -> Result<(), CallError> {
    access_set(domain, None, classes, Decision::Ask)
}

fn access_set(
    domain: Slot,
    toward: Option<Slot>,
    classes: Classes,
    decision: Decision,
) -> Result<(), CallError> {
    let toward = toward.map_or(EVERYONE, |slot| slot.0.into());
    let arguments = [toward, classes.bits().into(), decision as u64, 0, 0, 0];
    enter(CallNumber::AccessSet, domain.0, 0, arguments).done()
}
