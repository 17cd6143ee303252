//! Allowing and denying.

use cloison_abi::{CallError, Rights, access::Classes, call::EVERYONE};
use cloison_rules::{DomainId, DomainSet, authorize::Operation};

use super::{Answer, Arguments, Found, Result, build::subject};
use crate::kernel::Kernel;

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

/// Allow or deny. A domain may only deny, and only itself: what it may, its builder has decided.
pub(super) fn set(
    kernel: &mut Kernel,
    id: DomainId,
    (of, objects): (DomainId, DomainSet),
    arguments: Arguments,
) -> Result {
    let [_, classes, allow, ..] = arguments.a;
    let classes = u32::try_from(classes).ok().and_then(Classes::from_bits).ok_or(CallError::BadArgument)?;
    let allow = match allow {
        0 => false,
        1 if of == id => return Err(CallError::MissingRight),
        1 => true,
        _ => return Err(CallError::BadArgument),
    };
    // What a domain is in the middle of would go on.
    if of != id && kernel.is_alive(of) {
        return Err(CallError::BadState);
    }
    kernel.access_mut(of).set(objects, classes, allow, of != id);
    Ok(Answer::Done)
}
