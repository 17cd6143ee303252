//! The kernel: each step is a call.

use cloison_abi::{
    CallError, Fault,
    call::{BUILDER_MEMORY_SLOTS, BUILDER_SLOT_MEMORY, BUILDER_SLOT_RIGHT},
    policy::FIRST_INDEX,
};
use cloison_rt::time;
use cloison_sys::{
    Slot,
    access::access_ask,
    build::{
        DomainInfo, domain_capture, domain_configure, domain_create, domain_destroy, domain_give_domain,
        domain_give_event, domain_give_gate, domain_give_guest, domain_give_interrupt, domain_give_ports,
        domain_give_region, domain_give_right, domain_info, domain_map, domain_pause, domain_reset,
        domain_restore, domain_resume, domain_start, domain_stop, domain_strip, fault_read, region_back,
        region_carve, region_delete, region_device, region_vacate, registers_read,
    },
    region_info, signal, slot_drop, slot_limit, window,
};

use builder::{FreeMemory, Life, Step};

/// The builder right.
const RIGHT: Slot = Slot(BUILDER_SLOT_RIGHT);

/// The kernel that runs.
pub struct Kernel;

impl builder::Kernel for Kernel {
    fn carry_out(&mut self, step: &Step<'_>) -> Result<(), CallError> {
        match *step {
            Step::Carve { run, receiver, first, pages } => region_carve(run, receiver, first, pages),
            Step::Registers { receiver, address, pages } => region_device(RIGHT, receiver, address, pages),
            Step::Delete { region } => region_delete(region),
            Step::Back { region, run, first, pages } => region_back(region, run, first, pages),
            Step::Vacate { region } => region_vacate(region),
            Step::Create { receiver, tables, name } => domain_create(RIGHT, receiver, tables, name),
            Step::Destroy { domain } => domain_destroy(domain),
            Step::Load { region, offset, bytes } => window::write(region, offset, bytes),
            Step::Clear { region } => window::clear(region),
            Step::Map { domain, region, address, first, pages, rights } => {
                domain_map(domain, region, address, first, pages, rights)
            }
            Step::GivePorts { domain, first, count } => domain_give_ports(domain, RIGHT, first, count),
            Step::GiveInterrupt { domain, to, source, event } => {
                domain_give_interrupt(domain, to, RIGHT, source, event)
            }
            Step::GiveRegion { domain, to, region, rights } => domain_give_region(domain, to, region, rights),
            Step::GiveGate { domain, to, server, badge, grants } => {
                domain_give_gate(domain, to, server, badge, grants)
            }
            Step::GiveEvent { domain, to, target, event } => domain_give_event(domain, to, target, event),
            Step::GiveDomain { domain, to, subject, rights } => {
                domain_give_domain(domain, to, subject, rights)
            }
            Step::GiveRight { domain, to, kind, event } => domain_give_right(domain, to, RIGHT, kind, event),
            Step::GiveGuest { domain, to, ref parts } => domain_give_guest(domain, to, parts),
            Step::Configure { domain, ref how } => domain_configure(domain, how),
            Step::Judge { domain, classes } => access_ask(domain, classes),
            Step::Reset { domain } => domain_reset(domain),
            Step::Strip { domain } => domain_strip(domain),
            Step::Start { domain, entry, stack } => domain_start(domain, entry, stack, 0),
            Step::Restore { domain, part, words } => domain_restore(domain, part, words),
            Step::Stop { domain } => domain_stop(domain),
            Step::Pause { domain } => domain_pause(domain),
            Step::Resume { domain } => domain_resume(domain),
            Step::Signal { event } => signal(event),
            Step::Limit { slot, kept } => slot_limit(slot, kept),
            Step::Drop { slot } => slot_drop(slot),
        }
    }

    fn end_of(&mut self, domain: Slot) -> Result<Fault, CallError> {
        fault_read(domain)
    }

    fn registers_of(&mut self, domain: Slot, part: u8) -> Result<[u64; 4], CallError> {
        registers_read(domain, part)
    }

    fn capture(&mut self, domain: Slot, part: u64) -> Result<[u64; 4], CallError> {
        domain_capture(domain, part)
    }

    fn read(&mut self, region: Slot, offset: u64, bytes: &mut [u8]) -> Result<(), CallError> {
        window::read(region, offset, bytes)
    }

    fn life_of(&mut self, domain: Slot) -> Result<Life, CallError> {
        let DomainInfo { ticks, lives_ended, refusals, waiting, .. } = domain_info(domain)?;
        let cpu_us = u128::from(ticks) * 1_000_000 / u128::from(time::hertz());
        // The domains of the plan have the numbers from there on.
        let waiting = waiting >> FIRST_INDEX;
        Ok(Life { lives_ended, cpu_us: cpu_us as u64, refusals, waiting })
    }
}

/// The memory that the kernel has put into the builder's slots.
pub fn free_memory() -> FreeMemory {
    let slots = (BUILDER_SLOT_MEMORY..BUILDER_SLOT_MEMORY + BUILDER_MEMORY_SLOTS).map(Slot);
    FreeMemory::new(slots.filter_map(|slot| Some((slot, region_info(slot).ok()?.pages))))
}
