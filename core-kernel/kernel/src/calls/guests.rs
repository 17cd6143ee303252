//! Guests: making one for a domain, and what the domain asks for it.

use cloison_abi::{
    CallError, Rights,
    guest::{
        GUEST_MAP_PAGES, GUEST_REGIONS, GUEST_SWITCHES, GuestHalf, GuestMapEntry, SPACE_CREATE,
        SPACE_DESTROY, SPACE_SWITCH,
    },
};
use cloison_rules::{
    DomainId, GuestId, RegionRef, ThreadId,
    authorize::Operation,
    capability::Capability,
    guest::{Attached, GuestPages, SpaceId},
};

use super::{
    Answer, Arguments, Found, Result,
    build::{give, subject},
    gates::not_too_soon,
    permit,
    regions::is_seen,
};
use crate::{arch::cpu::Cpu, life::Renewal, state::Kernel};

/// A domain, and regions for a guest of it: of the page tables, of the frame page, and those to attach.
pub(super) struct Parts {
    domain: DomainId,
    pool: RegionRef,
    frame: RegionRef,
    attached: [Option<Attached>; GUEST_REGIONS],
}

/// A domain, and what its guest is to be made of.
pub(super) fn find_parts(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<Parts> {
    let domain = subject(kernel, id, arguments.slot)?.id;
    let [_, pool, frame, slots, writable, _] = arguments.a;
    let held = kernel.slots(id);
    let (pool, _) = held.region(pool, Rights::GRANT | Rights::WRITE)?;
    let (frame, _) = held.region(frame, Rights::GRANT | Rights::READ | Rights::WRITE)?;
    let mut attached = [None; GUEST_REGIONS];
    for (index, place) in attached.iter_mut().enumerate() {
        let mut rights = Rights::READ;
        rights.set(Rights::WRITE, writable >> index & 1 != 0);
        match slots >> (8 * index) & 0xff {
            0 => {}
            slot => {
                let (region, _) = held.region(slot, Rights::GRANT | rights)?;
                *place = Some(Attached { region, rights });
            }
        }
    }
    Ok((Operation::Build { to: Some(domain), toward: None }, Parts { domain, pool, frame, attached }))
}

/// Make a guest of a domain.
pub(super) fn make(
    kernel: &mut Kernel,
    _id: DomainId,
    Parts { domain, pool, frame, attached }: Parts,
    arguments: Arguments,
) -> Result {
    let slot = arguments.a[0];
    let is_new = kernel.domain(domain).renewal == Renewal::Fresh && kernel.domain(domain).guest.is_none();
    if !is_new || is_seen(kernel, pool) {
        return Err(CallError::BadState);
    }
    kernel.slots(domain).check_free(slot)?;
    let guest = kernel.add_guest(domain, pool, frame, attached)?;
    give(kernel, domain, slot, Capability::Guest(guest))
}

/// The guest in a slot of the caller.
pub(super) fn find(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<GuestId> {
    let guest = kernel.slots(id).guest(arguments.slot)?;
    Ok((Operation::Guest, kernel.resolve_guest(guest)?))
}

/// Make or end a space, or say how halves are switched.
pub(super) fn space(kernel: &mut Kernel, _id: DomainId, guest: GuestId, arguments: Arguments) -> Result {
    let [what, number, call, back, site, numbers] = arguments.a;
    if what == SPACE_SWITCH {
        let addresses = [call, back, site];
        kernel.lead_guest(guest, GuestMapEntry(number), addresses, numbers)?;
        return Ok(Answer::Done);
    }
    let space = SpaceId::new(number)?;
    let Kernel { guests, machine, .. } = kernel;
    let spaces = &mut guests[guest.index()].spaces;
    match what {
        SPACE_CREATE => spaces.create(space, &machine.space).map(|()| Answer::Done),
        SPACE_DESTROY if spaces.destroy_step(space)? => Ok(Answer::Done),
        SPACE_DESTROY => Ok(Answer::Again),
        _ => Err(CallError::BadArgument),
    }
}

/// Show pages.
pub(super) fn map(kernel: &mut Kernel, _id: DomainId, guest: GuestId, arguments: Arguments) -> Result {
    let [space, address, count, ..] = arguments.a;
    let space = SpaceId::new(space)?;
    let mut pages = GuestPages::new(space, address, count)?;
    if count > GUEST_MAP_PAGES as u64 {
        return Err(CallError::BadArgument);
    }
    let Kernel { guests, regions, .. } = kernel;
    let spaces = &mut guests[guest.index()].spaces;
    spaces.check(space)?;
    for index in 0..count as usize {
        let entry = spaces.map_entry(index);
        regions.show_to_guest(spaces, space, pages, entry)?;
        pages = pages.without_first();
    }
    Ok(Answer::Done)
}

/// Show pages no more.
pub(super) fn unmap(kernel: &mut Kernel, _id: DomainId, guest: GuestId, arguments: Arguments) -> Result {
    let [number, address, count, fourth, ..] = arguments.a;
    let space = SpaceId::new(number)?;
    let pages = GuestPages::new(space, address, count)?;
    let spaces = &mut kernel.guest_mut(guest).spaces;
    spaces.check(space)?;
    let Some(left) = spaces.hide_step(space, pages) else { return Ok(Answer::Done) };
    let (address, count) = left.to_arguments();
    kernel.context_mut(arguments.thread).set_words([number, address, count, fourth]);
    Ok(Answer::Again)
}

/// Run the guest. Returns whether it has the CPU already. It asks by itself, because there are many of these calls.
#[inline(always)]
pub fn enter(kernel: &mut Kernel, cpu: &mut Cpu, thread: ThreadId) -> Result<bool> {
    let (slots, access) = kernel.reach(thread);
    let context = kernel.context(thread);
    let guest = kernel.resolve_guest(slots.guest(context.slot())?)?;
    permit(access, Operation::Guest)?;
    let [space, half, _, _, mask, deadline] = context.arguments();
    let switches = half & GUEST_SWITCHES != 0;
    let half = GuestHalf::from_number(half & !GUEST_SWITCHES);
    let (Some(space), Some(half)) = (SpaceId::find(space), half) else {
        return Err(CallError::BadArgument);
    };
    let deadline = not_too_soon(kernel, deadline);
    kernel.begin_guest(cpu, thread, guest, (space, half, switches), (mask, deadline))
}
