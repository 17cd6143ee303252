//! Guests: of what they are made, and what becomes of them when their domain's life ends.

use core::time::Duration;

use cloison_abi::{
    CallError, CallNumber, Rights,
    call::NO_DEADLINE,
    guest::{GUEST_REGIONS, GuestExit, GuestFrame, GuestHalf, GuestMapEntry, MAX_GUESTS, SPACE_CREATE},
};
use cloison_rt::time::after;
use cloison_sys::{
    Slot,
    build::{
        GuestParts, domain_give_guest, domain_give_ports, domain_give_region, domain_reset, domain_stop,
        region_carve, region_delete, region_device,
    },
    region_revoke, slot_info, wait, window,
};

use crate::{
    child::{Call, Child},
    outcome::{Outcome, refused, same},
    site::{PORT, RIGHT, Site, number},
};

/// The slot of a child for its guest.
pub const GUEST: u8 = 40;
/// Pages of a pool.
const POOL: u64 = 12;
/// Where the guest sees its memory.
const CODE: u64 = 0x10_0000;
/// A word of the frame page: the next instruction.
const RIP: usize = core::mem::offset_of!(GuestFrame, registers.rip);
/// The first entry of the list.
const ENTRIES: usize = core::mem::offset_of!(GuestFrame, entries);
/// A jump to itself.
const FOR_EVER: [u8; 2] = [0xeb, 0xfe];
/// A call.
const CALL: [u8; 2] = [0x0f, 0x05];
/// Reads [`PORT`], then a call.
const READ_PORT: [u8; 4] = [0xe4, PORT as u8, 0x0f, 0x05];
/// Where no memory and no device is.
const NOTHING: u64 = 0xe010_0000;

/// A child's guest, and of what it is made.
pub struct Made {
    pub child: Child,
    parts: GuestParts,
    ram: Slot,
}

fn attached(ram: Slot) -> [Option<(Slot, bool)>; GUEST_REGIONS] {
    [Some((ram, true)), None, None, None]
}

/// A child with a guest, whose frame page says that it begins with this program.
pub fn made(site: &mut Site, program: &[u8]) -> Outcome<Made> {
    let (child, tables, frame, ram) = (site.child()?, site.region(POOL)?, site.region(1)?, site.region(2)?);
    let parts = GuestParts { tables, frame, attached: attached(ram) };
    domain_give_guest(child.domain, Slot(GUEST), &parts)?;
    let entry = GuestMapEntry(GuestMapEntry::new(0, 0).0 | GuestMapEntry::EXECUTE);
    window::write(frame, RIP as u64, &CODE.to_le_bytes())?;
    window::write(frame, ENTRIES as u64, &entry.0.to_le_bytes())?;
    window::write(ram, 0, program)?;
    Ok(Made { child, parts, ram })
}

const CREATE: Call = (CallNumber::GuestSpace, GUEST, [SPACE_CREATE, 0, 0, 0, 0, 0]);
const SHOW: Call = (CallNumber::GuestMap, GUEST, [0, CODE, 1, 0, 0, 0]);
const ENTER: Call = (CallNumber::GuestEnter, GUEST, [0, GuestHalf::Both as u64, 0, 0, 0, NO_DEADLINE]);

pub fn memory_of_a_guest_stays(site: &mut Site) -> Outcome {
    let Made { child, parts, ram } = made(site, &CALL)?;
    let spare = site.slot();
    for region in [ram, parts.frame] {
        refused(region_carve(region, spare, 0, 1), CallError::BadState)?;
        refused(region_delete(region), CallError::BadState)?;
        refused(region_revoke(region), CallError::BadState)?;
        let quota = cloison_sys::build::domain_create(RIGHT, spare, region, cloison_abi::Name::default());
        refused(quota, CallError::BadState)?;
    }
    for call in [region_carve(parts.tables, spare, 0, 1), region_delete(parts.tables)] {
        refused(call, CallError::BadState)?;
    }
    // Nothing of it was scrubbed meanwhile.
    same(
        child.calls(&[CREATE, SHOW, ENTER])?.last().map(|(status, _)| *status),
        Some(GuestExit::Call as i32),
    )?;
    // When its domain is gone, all of it is memory like any other.
    site.destroy(child.domain)?;
    [ram, parts.frame, parts.tables].into_iter().try_for_each(|region| site.delete(region))
}

pub fn memory_of_a_guest_is_not_lent(site: &mut Site) -> Outcome {
    const OWN: u8 = 12;
    const GATE: u8 = 10;
    let Made { child, ram, .. } = made(site, &CALL)?;
    let peer = site.child()?;
    cloison_sys::build::domain_give_gate(child.domain, Slot(GATE), peer.domain, 0, (30, 2))?;
    domain_give_region(child.domain, Slot(OWN), ram, Rights::READ | Rights::GRANT)?;
    let wait = (CallNumber::Wait, 0, [0, 0, 0, 0, 1 << 3, NO_DEADLINE]);
    peer.begin(&[wait])?;
    let (status, _) = child.call(CallNumber::RegionGrant, OWN, [GATE.into(), 1, 0, 0, 0, 0])?;
    same(status, number(CallError::BadState))
}

pub fn parts_are_memory_of_nobody_elses(site: &mut Site) -> Outcome {
    let Made { child, parts, ram } = made(site, &CALL)?;
    let other = site.child()?;
    let (fresh, frame, device) = (site.region(POOL)?, site.region(1)?, site.slot());
    region_device(RIGHT, device, NOTHING, 1)?;
    let seen = site.region(POOL)?;
    site.view(seen, Rights::READ)?;
    let own = site.region(2)?;
    let good = GuestParts { tables: fresh, frame, attached: attached(own) };
    for (bad, why) in [
        // Another guest's.
        (GuestParts { attached: attached(ram), ..good }, CallError::BadState),
        (GuestParts { attached: attached(device), ..good }, CallError::BadState),
        (GuestParts { frame: device, ..good }, CallError::BadState),
        (GuestParts { tables: device, ..good }, CallError::BadState),
        (GuestParts { tables: seen, ..good }, CallError::BadState),
        (GuestParts { tables: parts.tables, ..good }, CallError::BadState),
        (GuestParts { tables: ram, ..good }, CallError::BadState),
        (GuestParts { tables: frame, ..good }, CallError::BadState),
        (GuestParts { frame: parts.tables, ..good }, CallError::BadState),
        (GuestParts { attached: attached(fresh), ..good }, CallError::BadState),
        (GuestParts { frame: RIGHT, ..good }, CallError::WrongType),
    ] {
        refused(domain_give_guest(other.domain, Slot(GUEST), &bad), why)?;
    }
    // It has one, and only before it has lived.
    refused(domain_give_guest(child.domain, Slot(GUEST + 1), &good), CallError::BadState)?;
    other.call(CallNumber::Clock, 0, [0; 6])?;
    refused(domain_give_guest(other.domain, Slot(GUEST), &good), CallError::BadState)?;
    domain_reset(other.domain)?;
    domain_give_guest(other.domain, Slot(GUEST), &good)?;
    site.clear()?;
    Ok(region_delete(device)?)
}

pub fn guests_are_limited(site: &mut Site) -> Outcome {
    for _ in 0..MAX_GUESTS {
        made(site, &CALL)?;
    }
    refused(made(site, &CALL).map(drop).map_err(|_| CallError::TableFull), CallError::TableFull)?;
    site.clear()?;
    made(site, &CALL).map(drop)
}

/// It is stopped while its guest runs, and starts again: its guest is as the first time.
pub fn stopped_in_its_guest(site: &mut Site) -> Outcome {
    let Made { child, parts, ram } = made(site, &FOR_EVER)?;
    for _ in 0..3 {
        child.begin(&[CREATE, SHOW, ENTER])?;
        wait(0, after(Duration::from_millis(5)));
        domain_stop(child.domain)?;
        // No space is left of the life before.
        same([child.answered(0), child.answered(1)], [0, 0])?;
        // Its memory is still the guest's, and the tables are still the kernel's.
        refused(region_delete(ram), CallError::BadState)?;
        refused(region_delete(parts.tables), CallError::BadState)?;
    }
    window::write(ram, 0, &CALL)?;
    let ends = child.calls(&[CREATE, SHOW, ENTER])?;
    same(ends.last().map(|(status, _)| *status), Some(GuestExit::Call as i32))
}

/// All tables are zero when the domain is gone, and the next owner of the memory sees nothing of them.
pub fn tables_of_a_guest_are_zero(site: &mut Site) -> Outcome {
    let Made { child, parts, .. } = made(site, &CALL)?;
    child.calls(&[CREATE, SHOW, ENTER])?;
    site.destroy(child.domain)?;
    same(site.view(parts.tables, Rights::READ)?.is_zero(), true)
}

/// Its domain ends by itself: what its guest had is free, before the domain is destroyed.
pub fn ended_with_its_guest(site: &mut Site) -> Outcome {
    let Made { child, parts, ram } = made(site, &CALL)?;
    child.begin(&[CREATE, SHOW, ENTER, (CallNumber::Exit, 0, [0; 6])])?;
    wait(0, after(Duration::from_millis(5)));
    site.delete(ram)?;
    site.delete(parts.frame)?;
    refused(region_delete(parts.tables), CallError::BadState)?;
    same(slot_info(child.domain)?.is_alive, false)?;
    site.destroy(child.domain)?;
    site.delete(parts.tables)
}

/// A guest that was dropped is there in the next life.
pub fn dropped_for_a_life(site: &mut Site) -> Outcome {
    let Made { child, .. } = made(site, &CALL)?;
    let dropped = child.calls(&[(CallNumber::SlotDrop, GUEST, [0; 6]), CREATE])?;
    same([dropped[0].0, dropped[1].0], [0, number(CallError::BadSlot)])?;
    let next = child.calls(&[CREATE, CREATE])?;
    same([next[0].0, next[1].0], [0, number(CallError::BadState)])
}

/// What its domain may use, and has used, is no guest's.
pub fn ports_stay_outside(site: &mut Site) -> Outcome {
    let Made { child, .. } = made(site, &READ_PORT)?;
    domain_give_ports(child.domain, RIGHT, PORT, 1)?;
    same(child.reads(PORT)?, true)?;
    let ends = child.calls(&[CREATE, SHOW, ENTER])?;
    same(ends.last().map(|(status, _)| *status), Some(GuestExit::Trap as i32))
}
