//! Guests: what a shim asks for the one that it has.

use cloison_abi::{CallError, Rights, guest::GUEST_REGIONS};
use cloison_rules::{DomainId, GuestRef, RegionRef, authorize::Operation};

use super::{Answer, Arguments, Found, Result, build::subject};
use crate::kernel::Kernel;

/// A domain, and regions for a guest of it: of the page tables, of the frame page, and those to attach.
pub(super) struct Parts {
    domain: DomainId,
    pool: RegionRef,
    frame: RegionRef,
    attached: [Option<RegionRef>; GUEST_REGIONS],
}

/// A domain, and what its guest is to be made of.
pub(super) fn find_parts(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<Parts> {
    let domain = subject(kernel, id, arguments.slot)?.id;
    let [_, pool, frame, attached, writable, _] = arguments.a;
    let slots = kernel.slots(id);
    let write = Rights::GRANT | Rights::READ | Rights::WRITE;
    let (pool, _) = slots.region(pool, Rights::GRANT | Rights::WRITE)?;
    let (frame, _) = slots.region(frame, write)?;
    let mut found = [None; GUEST_REGIONS];
    for (index, place) in found.iter_mut().enumerate() {
        let slot = attached >> (8 * index) & 0xff;
        let needed = if writable >> index & 1 != 0 { write } else { Rights::GRANT | Rights::READ };
        if slot != 0 {
            *place = Some(slots.region(slot, needed)?.0);
        }
    }
    let to = Operation::Build { to: Some(domain), toward: None };
    Ok((to, Parts { domain, pool, frame, attached: found }))
}

/// A guest of the caller.
pub(super) fn find(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<GuestRef> {
    Ok((Operation::Guest, kernel.slots(id).guest(arguments.slot)?))
}

/// Make a guest of a domain.
pub(super) fn give(_kernel: &mut Kernel, _id: DomainId, parts: Parts, _arguments: Arguments) -> Result {
    let _ = (parts.domain, parts.pool, parts.frame, parts.attached);
    Err(CallError::TableFull)
}

/// Make or end a space.
pub(super) fn space(_kernel: &mut Kernel, _id: DomainId, _guest: GuestRef, _arguments: Arguments) -> Result {
    Ok(Answer::Done)
}
