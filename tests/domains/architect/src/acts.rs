//! The acts: a property that has to hold, and what shows it.

use cloison_abi::{
    CallError, CallNumber, InterruptSource, ObjectKind, Rights,
    call::{BUILDER_SLOT_CENSUS, BUILDER_SLOT_CONFIGURATION_SPACE},
    limits::{BUILDER_WINDOW_ADDRESS, DOMAIN_END, KERNEL_BASE, MAX_INTERRUPT_LINES, PAGE_BYTES},
    plan::FaultPolicy,
};
use cloison_rt::time::after;
use cloison_sys::{
    Slot,
    build::{
        Configuration, domain_configure, domain_create, domain_give_domain, domain_give_event,
        domain_give_gate, domain_give_interrupt, domain_give_ports, domain_give_region, domain_give_right,
        domain_map, domain_reset, domain_start, domain_stop, region_carve, region_delete, region_device,
    },
    census_read, region_map, slot_info, wait,
};
use core::time::Duration;

use crate::{
    access,
    child::{CODE_ADDRESS, Child, TABLE_PAGES},
    ends, guests, monitor,
    outcome::{Outcome, refused, same},
    site::{PORT, RIGHT, Site, configuration, number},
};

/// A slot that holds a right, but not the builder's.
const OTHER_RIGHT: Slot = Slot(BUILDER_SLOT_CENSUS);
/// Another port that does nothing.
const OTHER_PORT: u16 = 0x84;
/// An interrupt line that no device of the machine uses.
const LINE: InterruptSource = line(7);
/// The slot of a child that an act fills.
const CHILD_SLOT: Slot = Slot(10);
/// Another one.
const LATER_SLOT: Slot = Slot(11);
/// The slot of a server that is lent a region.
const LENT_SLOT: u64 = 20;

/// An act.
type Act = fn(&mut Site) -> Outcome;

/// All of them.
pub const ACTS: &[(&str, Act)] = &[
    ("a deleted region is zero for the next owner of its pages", deleted_is_zero),
    ("page tables are zero when they are memory again", tables_are_zero),
    ("page tables can be neither mapped nor given nor carved nor deleted", tables_are_the_kernels),
    ("no domain is made of memory that somebody sees", no_tables_in_sight),
    ("memory is no device, nor is what the kernel or firmware uses", memory_is_no_device),
    ("a page of PCI's configuration space is given once, and as nothing else", configuration_space_is_one),
    ("a domain that runs is not configured", running_is_not_configured),
    ("a configuration is in range", configuration_is_in_range),
    ("the slot that names a domain itself stays", own_slot_stays),
    ("a slot that is taken is not filled", taken_stays),
    ("a domain gets no gate into itself", no_gate_into_itself),
    ("an interrupt goes to one domain", one_interrupt_one_domain),
    ("an interrupt of a destroyed domain can be given again", interrupt_comes_back),
    ("devices and rights are given with the builder right alone", builder_right_is_needed),
    ("ports are in range", ports_are_in_range),
    ("a right that is none is not given", no_other_rights),
    ("a domain starts at an address of its own, with an aligned stack", start_is_in_range),
    ("a domain that runs is not started, and keeps what it holds", running_is_not_started),
    ("a domain that is stopped does not run", stopped_is_still),
    ("a domain does not destroy itself", not_itself),
    ("a destroyed domain's ports are closed for the next", ports_of_the_last),
    ("a slot for a destroyed domain does not lead to the next", slots_of_the_last),
    ("a domain that has ended holds nothing and does not live again", no_life_after_the_end),
    ("a domain that lives is not reset", living_is_not_reset),
    ("a reset brings back what a domain has dropped, and what the builder gave", reset_brings_back),
    ("a reset makes page tables of all of the quota again", reset_frees_tables),
    ("a deleted region does not come back with a reset", deleted_stays_away),
    ("what the builder gave another domain is no loan that can be revoked", revoke_spares_the_plan),
    ("nothing is lent to a domain that does not live", no_loan_for_the_dead),
    ("who reads the kernel's log and is stopped reads on when it is started again", reader_reads_on),
    ("a new domain with an old one's number has none of its lives", lives_of_the_last),
    ("an event for a destroyed domain does not reach the next", events_of_the_last),
    ("a mapping is not replaced", no_mapping_over_another),
    ("memory is neither mapped nor given to be written and run", not_both_written_and_run),
    ("what a domain is denied it cannot do, and all else it can", access::denied_is_refused),
    ("memory that was carved before is judged by what holds now", access::shaping_is_judged),
    ("who was denied to lend keeps what is lent from being mapped", access::lender_is_judged),
    ("a domain can deny itself something, for this life, and allow itself nothing", access::oneself),
    ("what a domain may is not changed while it lives", access::not_the_living),
    ("a new domain is denied nothing that was denied toward an old one", access::new_is_free),
    ("nobody attends a domain that has ended", ends::nobody_attends_the_ended),
    ("what was lent is not mapped into another domain", ends::loan_is_not_passed_on),
    ("a loan ends with its lender, whatever the plan gave that one", ends::loan_ends_with_its_lender),
    ("who waits for a handler that ends is ended too", ends::patient_ends_with_its_handler),
    ("what one domain loads as selectors no other finds", selectors_of_another),
    ("a domain without page tables does not run when its handler ends", ends::without_tables_nothing_runs),
    ("memory of a guest stays what it is until its domain is gone", guests::memory_of_a_guest_stays),
    ("memory of a guest is not lent", guests::memory_of_a_guest_is_not_lent),
    ("a guest is made of memory that is nothing else", guests::parts_are_memory_of_nobody_elses),
    ("the number of guests is limited", guests::guests_are_limited),
    ("a domain that is stopped in its guest begins with it again", guests::stopped_in_its_guest),
    ("page tables of a guest are zeroed", guests::tables_of_a_guest_are_zero),
    ("a domain that ends gives back its guest's memory", guests::ended_with_its_guest),
    ("a guest that was dropped is there in the next life", guests::dropped_for_a_life),
    ("a guest has no ports, whatever its domain has", guests::ports_stay_outside),
    (
        "a call nobody has decided about waits for the monitor, and its answer holds",
        monitor::asked_and_answered,
    ),
    ("a call about which the monitor says nothing is denied", monitor::without_an_answer),
    ("nobody waits for a monitor that has faulted", monitor::without_a_monitor),
    ("a call that is denied leaves the queue", monitor::withdrawn_in_the_queue),
    ("a call that is denied ends while it is served", monitor::withdrawn_while_served),
];

fn deleted_is_zero(site: &mut Site) -> Outcome {
    let whole = site.region(2)?;
    let part = site.part(whole, 0, 1)?;
    cloison_sys::window::write(part, 8, b"a secret")?;
    site.delete(part)?;
    same(site.view(whole, Rights::READ)?.is_zero(), true)
}

fn tables_are_zero(site: &mut Site) -> Outcome {
    let quota = site.region(TABLE_PAGES)?;
    let child = site.child_with(quota)?;
    site.destroy(child.domain)?;
    same(site.view(quota, Rights::READ)?.is_zero(), true)
}

fn tables_are_the_kernels(site: &mut Site) -> Outcome {
    let quota = site.region(TABLE_PAGES)?;
    let child = site.child_with(quota)?;
    let spare = site.slot();
    refused(region_map(quota, BUILDER_WINDOW_ADDRESS, 0, 1, Rights::READ), CallError::BadState)?;
    refused(
        domain_map(child.domain, quota, CODE_ADDRESS + 0x1_0000, 0, 1, Rights::READ),
        CallError::BadState,
    )?;
    refused(domain_give_region(child.domain, CHILD_SLOT, quota, Rights::READ), CallError::BadState)?;
    refused(region_carve(quota, spare, 0, 1), CallError::BadState)?;
    refused(region_delete(quota), CallError::BadState)?;
    // Had the refused call scrubbed them, the domain could not run any more.
    same(child.reads(PORT)?, false)
}

fn no_tables_in_sight(site: &mut Site) -> Outcome {
    let (quota, receiver) = (site.region(TABLE_PAGES)?, site.slot());
    site.view(quota, Rights::READ)?;
    refused(domain_create(RIGHT, receiver, quota, cloison_abi::Name::default()), CallError::BadState)
}

fn memory_is_no_device(site: &mut Site) -> Outcome {
    let receiver = site.slot();
    let memory = [0, 0xf_0000, 0x10_0000, 0x20_0000, 0x40_0000, 0xfee0_0000, 0xfec0_0000];
    for address in memory {
        refused(region_device(RIGHT, receiver, address, 1), CallError::BadArgument)?;
    }
    refused(region_device(RIGHT, receiver, 0xfed4_0800, 1), CallError::BadArgument)?;
    refused(region_device(RIGHT, receiver, 0xfed4_0000, u64::MAX / 2), CallError::BadArgument)?;
    refused(region_device(OTHER_RIGHT, receiver, 0xfed4_0000, 1), CallError::WrongType)?;
    region_device(RIGHT, receiver, 0xfed4_0000, 1)?;
    Ok(region_delete(receiver)?)
}

/// The space as QEMU's q35 has it below a BIOS: 256 buses at this address, function 00:00.0 the bridge to the CPU (Intel's
/// 82G33, whose numbers are the first four bytes of its page).
fn configuration_space_is_one(site: &mut Site) -> Outcome {
    const ADDRESS: u64 = 0xb000_0000;
    const PAGES: u64 = 256 << 8;
    const BRIDGE: u64 = 0x29c0_8086;
    let space = Slot(BUILDER_SLOT_CONFIGURATION_SPACE);
    let bridge = site.part(space, 0, 1)?;
    same(site.view(bridge, Rights::READ)?.get(0) & 0xffff_ffff, BRIDGE)?;
    let receiver = site.slot();
    refused(region_carve(space, receiver, 0, 1), CallError::Overlap)?;
    refused(region_carve(space, receiver, PAGES, 1), CallError::BadArgument)?;
    for page in [0, 1, PAGES - 1] {
        refused(region_device(RIGHT, receiver, ADDRESS + page * PAGE_BYTES, 1), CallError::Overlap)?;
    }
    refused(region_device(RIGHT, receiver, ADDRESS - PAGE_BYTES, 2), CallError::Overlap)
}

fn running_is_not_configured(site: &mut Site) -> Outcome {
    let child = site.child()?;
    child.count()?;
    refused(domain_configure(child.domain, &configuration()), CallError::BadState)
}

fn configuration_is_in_range(site: &mut Site) -> Outcome {
    let child = site.child()?;
    let good = configuration();
    for bad in [
        Configuration { priority: 0, ..good },
        Configuration { priority: 32, ..good },
        Configuration { budget_us: 200, period_us: 100, ..good },
        Configuration { budget_us: 0, period_us: 100, ..good },
        Configuration { budget_us: 1, period_us: 99, ..good },
    ] {
        refused(domain_configure(child.domain, &bad), CallError::BadArgument)?;
    }
    let bit_out_of_range = Configuration { handler: Some((child.domain, 63)), ..good };
    refused(domain_configure(child.domain, &bit_out_of_range), CallError::BadArgument)?;
    let stopped = Configuration { on_fault: FaultPolicy::Stop, priority: 31, ..good };
    Ok(domain_configure(child.domain, &stopped)?)
}

fn own_slot_stays(site: &mut Site) -> Outcome {
    let (child, region) = (site.child()?, site.region(1)?);
    refused(domain_give_region(child.domain, Slot(0), region, Rights::READ), CallError::BadArgument)?;
    let (status, _) = child.call(CallNumber::SlotDrop, 0, [0; 6])?;
    let refilled = domain_give_region(child.domain, Slot(0), region, Rights::READ);
    refused(refilled, CallError::BadArgument)?;
    same(status, 0)
}

fn taken_stays(site: &mut Site) -> Outcome {
    let (child, region) = (site.child()?, site.region(1)?);
    domain_give_region(child.domain, CHILD_SLOT, region, Rights::READ)?;
    let again = domain_give_region(child.domain, CHILD_SLOT, region, Rights::READ | Rights::WRITE);
    refused(again, CallError::SlotTaken)?;
    let beyond = domain_give_region(child.domain, Slot(128), region, Rights::READ);
    refused(beyond, CallError::BadArgument)?;
    let twice = domain_create(RIGHT, region, region, cloison_abi::Name::default());
    refused(twice, CallError::SlotTaken)
}

fn no_gate_into_itself(site: &mut Site) -> Outcome {
    let child = site.child()?;
    refused(domain_give_gate(child.domain, CHILD_SLOT, child.domain, 0, (0, 0)), CallError::SelfCall)
}

const fn line(number: u8) -> InterruptSource {
    InterruptSource::Line { number, is_level: false, is_active_low: false }
}

fn one_interrupt_one_domain(site: &mut Site) -> Outcome {
    let (one, other) = (site.child()?, site.child()?);
    domain_give_interrupt(one.domain, CHILD_SLOT, RIGHT, LINE, 1)?;
    let again = domain_give_interrupt(other.domain, CHILD_SLOT, RIGHT, LINE, 1);
    refused(again, CallError::BadArgument)?;
    let level = InterruptSource::Line { number: 7, is_level: true, is_active_low: true };
    let anyhow = domain_give_interrupt(other.domain, CHILD_SLOT, RIGHT, level, 1);
    refused(anyhow, CallError::BadArgument)?;
    // The machine's I/O APIC has fewer lines than there could be.
    let beyond = line(MAX_INTERRUPT_LINES as u8 - 1);
    refused(domain_give_interrupt(other.domain, CHILD_SLOT, RIGHT, beyond, 1), CallError::BadArgument)
}

fn interrupt_comes_back(site: &mut Site) -> Outcome {
    let child = site.child()?;
    domain_give_interrupt(child.domain, CHILD_SLOT, RIGHT, LINE, 1)?;
    site.destroy(child.domain)?;
    let next = site.child()?;
    Ok(domain_give_interrupt(next.domain, CHILD_SLOT, RIGHT, LINE, 1)?)
}

fn builder_right_is_needed(site: &mut Site) -> Outcome {
    let child = site.child()?;
    let line = domain_give_interrupt(child.domain, CHILD_SLOT, OTHER_RIGHT, LINE, 1);
    refused(line, CallError::WrongType)?;
    refused(domain_give_ports(child.domain, OTHER_RIGHT, PORT, 1), CallError::WrongType)?;
    let right = domain_give_right(child.domain, CHILD_SLOT, OTHER_RIGHT, ObjectKind::ShutdownRight, 0);
    refused(right, CallError::WrongType)?;
    let (quota, receiver) = (site.region(TABLE_PAGES)?, site.slot());
    let created = domain_create(OTHER_RIGHT, receiver, quota, cloison_abi::Name::default());
    refused(created, CallError::WrongType)
}

fn ports_are_in_range(site: &mut Site) -> Outcome {
    let child = site.child()?;
    refused(domain_give_ports(child.domain, RIGHT, 0xffff, 2), CallError::BadArgument)?;
    refused(domain_give_ports(child.domain, RIGHT, PORT, 0), CallError::BadArgument)
}

fn no_other_rights(site: &mut Site) -> Outcome {
    let child = site.child()?;
    let kind = domain_give_right(child.domain, CHILD_SLOT, RIGHT, ObjectKind::Region, 0);
    refused(kind, CallError::BadArgument)?;
    let rights = domain_give_domain(child.domain, CHILD_SLOT, child.domain, Rights::WRITE);
    refused(rights, CallError::BadArgument)
}

fn start_is_in_range(site: &mut Site) -> Outcome {
    let child = site.child()?;
    for (entry, stack) in [
        (KERNEL_BASE, CODE_ADDRESS),
        (DOMAIN_END, CODE_ADDRESS),
        (CODE_ADDRESS, DOMAIN_END),
        (CODE_ADDRESS, KERNEL_BASE),
        (CODE_ADDRESS, CODE_ADDRESS + 8),
    ] {
        refused(domain_start(child.domain, entry, stack, 0), CallError::BadArgument)?;
    }
    Ok(())
}

fn running_is_not_started(site: &mut Site) -> Outcome {
    let (lender, server) = lender_and_server(site)?;
    server.count()?;
    same(lend(&lender)?, (0, LENT_SLOT))?;
    let held = slots_of_children()?;
    refused(domain_start(server.domain, CODE_ADDRESS, CODE_ADDRESS, 0), CallError::BadState)?;
    same(slots_of_children()?, held)
}

fn stopped_is_still(site: &mut Site) -> Outcome {
    let child = site.child()?;
    child.count()?;
    domain_stop(child.domain)?;
    let counted = child.counted();
    wait(0, after(Duration::from_millis(20)));
    same(child.counted(), counted)
}

fn not_itself(site: &mut Site) -> Outcome {
    let child = site.child()?;
    domain_give_domain(child.domain, CHILD_SLOT, child.domain, Rights::BUILD)?;
    let (status, _) = child.call(CallNumber::DomainDestroy, CHILD_SLOT.0, [0; 6])?;
    same(status, number(CallError::SelfCall))
}

fn ports_of_the_last(site: &mut Site) -> Outcome {
    let child = site.child()?;
    domain_give_ports(child.domain, RIGHT, PORT, 1)?;
    same(child.reads(PORT)?, true)?;
    same(child.reads(OTHER_PORT)?, false)?;
    site.destroy(child.domain)?;
    let without = site.child()?;
    same(without.reads(PORT)?, false)?;
    // One that has the number of the one with ports, and ports of its own.
    site.destroy(without.domain)?;
    let with_another = site.child()?;
    domain_give_ports(with_another.domain, RIGHT, OTHER_PORT, 1)?;
    same(with_another.reads(OTHER_PORT)?, true)?;
    same(with_another.reads(PORT)?, false)
}

fn slots_of_the_last(site: &mut Site) -> Outcome {
    let (child, holder) = (site.child()?, site.child()?);
    domain_give_domain(holder.domain, CHILD_SLOT, child.domain, Rights::HANDLE_FAULT)?;
    let read = || holder.call(CallNumber::FaultRead, CHILD_SLOT.0, [0; 6]);
    same(read()?.0, 0)?;
    site.destroy(child.domain)?;
    site.child()?;
    same(read()?.0, number(CallError::PeerFailed))
}

fn no_life_after_the_end(site: &mut Site) -> Outcome {
    let child = site.child()?;
    same(slots_of_children()?, 1)?;
    child.last_call(CallNumber::Exit, 0)?;
    same(slots_of_children()?, 0)?;
    refused(domain_start(child.domain, CODE_ADDRESS, CODE_ADDRESS, 0), CallError::BadState)?;
    refused(domain_reset(child.domain), CallError::BadState)
}

/// How many slots of children hold something, as the census says.
fn slots_of_children() -> Outcome<usize> {
    let (mut cursor, mut held) = (0, 0);
    while let Some((entry, next)) = census_read(OTHER_RIGHT, cursor)? {
        held += usize::from(entry.domain.as_str() == "child");
        cursor = next;
    }
    Ok(held)
}

fn living_is_not_reset(site: &mut Site) -> Outcome {
    let child = site.child()?;
    child.count()?;
    refused(domain_reset(child.domain), CallError::BadState)
}

fn reset_brings_back(site: &mut Site) -> Outcome {
    let (child, region, later) = (site.child()?, site.region(1)?, site.region(1)?);
    domain_give_region(child.domain, CHILD_SLOT, region, Rights::READ)?;
    same(child.call(CallNumber::SlotDrop, CHILD_SLOT.0, [0; 6])?.0, 0)?;
    // It has lived already: what it is given now is for its later lives as well.
    domain_give_region(child.domain, LATER_SLOT, later, Rights::READ)?;
    domain_reset(child.domain)?;
    for slot in [CHILD_SLOT, LATER_SLOT] {
        let (status, pages) = child.call(CallNumber::RegionInfo, slot.0, [0; 6])?;
        same((status, pages), (0, 1))?;
    }
    Ok(())
}

fn reset_frees_tables(site: &mut Site) -> Outcome {
    let (child, region) = (site.child()?, site.region(1)?);
    domain_give_region(child.domain, CHILD_SLOT, region, Rights::READ)?;
    // Each takes three pages of tables of its own, and the quota has four left: the second life has them again.
    for address in [1 << 40, 2 << 40] {
        let arguments = [address, 0, 1, Rights::READ.bits().into(), 0, 0];
        same(child.call(CallNumber::RegionMap, CHILD_SLOT.0, arguments)?.0, 0)?;
    }
    Ok(())
}

fn deleted_stays_away(site: &mut Site) -> Outcome {
    let (child, region) = (site.child()?, site.region(1)?);
    domain_give_region(child.domain, CHILD_SLOT, region, Rights::READ)?;
    child.count()?;
    domain_stop(child.domain)?;
    site.delete(region)?;
    // It gets the number of the deleted one.
    site.region(1)?;
    let (status, _) = child.call(CallNumber::SlotInfo, CHILD_SLOT.0, [0; 6])?;
    same(status, number(CallError::BadSlot))
}

fn revoke_spares_the_plan(site: &mut Site) -> Outcome {
    let (lender, other, region) = (site.child()?, site.child()?, site.region(1)?);
    domain_give_region(lender.domain, CHILD_SLOT, region, Rights::READ | Rights::GRANT)?;
    domain_give_region(other.domain, CHILD_SLOT, region, Rights::READ)?;
    other.count()?;
    same(lender.call(CallNumber::RegionRevoke, CHILD_SLOT.0, [0; 6])?.0, 0)?;
    domain_stop(other.domain)?;
    let (status, pages) = other.call(CallNumber::RegionInfo, CHILD_SLOT.0, [0; 6])?;
    same((status, pages), (0, 1))
}

fn no_loan_for_the_dead(site: &mut Site) -> Outcome {
    let (lender, server) = lender_and_server(site)?;
    same(lend(&lender)?.0, number(CallError::PeerFailed))?;
    server.count()?;
    same(lend(&lender)?, (0, LENT_SLOT))
}

/// A child with a region that it may lend, and the one to which it may.
fn lender_and_server(site: &mut Site) -> Outcome<(Child, Child)> {
    let (lender, server, region) = (site.child()?, site.child()?, site.region(1)?);
    domain_give_region(lender.domain, CHILD_SLOT, region, Rights::READ | Rights::GRANT)?;
    domain_give_gate(lender.domain, LATER_SLOT, server.domain, 0, (LENT_SLOT as u8, 1))?;
    Ok((lender, server))
}

/// Lets a lender lend its region. Returns status and slot, as the call does.
fn lend(lender: &Child) -> Outcome<(i32, u64)> {
    let arguments = [LATER_SLOT.0.into(), Rights::READ.bits().into(), 0, 0, 0, 0];
    lender.call(CallNumber::RegionGrant, CHILD_SLOT.0, arguments)
}

fn reader_reads_on(site: &mut Site) -> Outcome {
    let child = site.child()?;
    domain_give_right(child.domain, CHILD_SLOT, RIGHT, ObjectKind::LogRight, 3)?;
    child.count()?;
    domain_stop(child.domain)?;
    // Its next life says something, for itself to read in the one after that: its fault does not stop it.
    let eight = u64::from_le_bytes(*b"a line.\n");
    child.call(CallNumber::DebugWrite, 0, [eight, eight, eight, eight, 0, 0])?;
    cloison_sys::debug_write(b"and one of the architect\n");
    let (status, text) = child.call(CallNumber::LogRead, CHILD_SLOT.0, [0; 6])?;
    same(status, 0)?;
    same(text == 0, false)
}

fn lives_of_the_last(site: &mut Site) -> Outcome {
    let child = site.child()?;
    child.count()?;
    domain_stop(child.domain)?;
    same(slot_info(child.domain)?.lives_ended, 1)?;
    site.destroy(child.domain)?;
    let next = site.child()?;
    same(slot_info(next.domain)?.lives_ended, 0)?;
    next.count()?;
    same(slot_info(next.domain)?.is_alive, true)
}

fn events_of_the_last(site: &mut Site) -> Outcome {
    let (holder, target) = (site.child()?, site.child()?);
    domain_give_event(holder.domain, CHILD_SLOT, target.domain, 3)?;
    same(holder.call(CallNumber::Signal, CHILD_SLOT.0, [0; 6])?.0, 0)?;
    site.destroy(target.domain)?;
    let next = site.child()?;
    next.count()?;
    same(holder.call(CallNumber::Signal, CHILD_SLOT.0, [0; 6])?.0, number(CallError::PeerFailed))
}

fn no_mapping_over_another(site: &mut Site) -> Outcome {
    let (child, region) = (site.child()?, site.region(1)?);
    let over = domain_map(child.domain, region, CODE_ADDRESS, 0, 1, Rights::READ);
    refused(over, CallError::Overlap)?;
    // The kernel has mapped the program of the builder, so no table of mappings knows of it.
    let own = ACTS.as_ptr().addr() as u64 & !(PAGE_BYTES - 1);
    refused(region_map(region, own, 0, 1, Rights::READ), CallError::Overlap)?;
    refused(region_map(region, KERNEL_BASE, 0, 1, Rights::READ), CallError::BadArgument)
}

fn not_both_written_and_run(site: &mut Site) -> Outcome {
    let (child, region) = (site.child()?, site.region(1)?);
    let both = Rights::READ | Rights::WRITE | Rights::EXECUTE;
    refused(domain_map(child.domain, region, CODE_ADDRESS + 0x2000, 0, 1, both), CallError::BadArgument)?;
    refused(domain_give_region(child.domain, LATER_SLOT, region, both), CallError::BadArgument)
}

fn selectors_of_another(site: &mut Site) -> Outcome {
    let child = site.child()?;
    child.loads_selectors()?;
    same(crate::child::selectors(), [0; 4])
}
