//! Allowing and denying.

use cloison_abi::{
    CallError, Rights,
    access::{Classes, Decision},
    call::EVERYONE,
};
use cloison_rules::{DomainId, DomainSet, authorize::Operation};

use super::{Answer, Arguments, Found, Result, build::subject};
use crate::state::Kernel;

/// A domain about which something is decided, and those toward whom.
pub(super) fn find(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<(DomainId, DomainSet)> {
    let slots = kernel.slots(id);
    let (domain, _) = slots.domain(arguments.slot, Rights::empty())?;
    let is_own = domain.id == id;
    let of = if is_own { id } else { subject(kernel, id, arguments.slot)?.id };
    let (toward, objects) = match arguments.a[0] {
        EVERYONE => (None, DomainSet::MAX),
        slot => {
            let (toward, _) = slots.domain(slot, Rights::empty())?;
            let toward = kernel.resolve(toward)?;
            (Some(toward), toward.bit())
        }
    };
    Ok((Operation::Build { to: Some(of), toward }, (of, objects)))
}

/// Allow or deny, or have the monitor asked. A domain may only deny, and only itself: what it may, its builder has
/// decided.
pub(super) fn set(
    kernel: &mut Kernel,
    id: DomainId,
    (of, objects): (DomainId, DomainSet),
    arguments: Arguments,
) -> Result {
    let [toward, classes, decision, ..] = arguments.a;
    let classes = u32::try_from(classes).ok().and_then(Classes::from_bits).ok_or(CallError::BadArgument)?;
    let decision = Decision::from_number(decision).ok_or(CallError::BadArgument)?;
    if of == id && decision != Decision::Deny {
        return Err(CallError::MissingRight);
    }
    // What a domain is in the middle of would go on.
    if of != id && kernel.is_alive(of) {
        return Err(CallError::BadState);
    }
    let access = kernel.access_mut(of);
    if decision == Decision::Ask {
        if toward != EVERYONE || !Classes::ASKED.contains(classes) {
            return Err(CallError::BadArgument);
        }
        access.ask(classes);
        access.start_over(of.bit());
    } else {
        access.set(objects, classes, decision == Decision::Allow, of != id);
    }
    Ok(Answer::Done)
}
