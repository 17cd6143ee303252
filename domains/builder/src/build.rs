//! Carrying out the plan.

use alloc::vec::Vec;
use core::fmt;

use cloison_abi::{
    ABI_VERSION, CallError, Name, ObjectKind, Rights,
    call::BUILDER_SLOT_FREE,
    limits::PAGE_BYTES,
    plan::{DomainEntry, FaultPolicy, NONE, SlotEntry},
};
use cloison_rt::log;
use cloison_sys::{
    Slot,
    build::{
        Configuration, domain_configure, domain_create, domain_give_domain, domain_give_event,
        domain_give_gate, domain_give_interrupt, domain_give_ports, domain_give_region, domain_give_right,
        domain_map, domain_start, region_device,
    },
    slot_drop, slot_limit, window,
};

use crate::{
    RIGHT,
    image::{Hex, Image, Plan},
    memory::Memory,
};

/// Why the system cannot be built.
pub enum BuildError {
    /// The image is damaged: how.
    Image(&'static str),
    /// The plan is of another version of the contract.
    Version(u32),
    /// The program of a domain is not the one that the plan names.
    Digest(Name),
    /// The machine has too little memory, in pages.
    Memory { needed: u64, left: u64 },
    /// The kernel refused a step: which, and why.
    Call(&'static str, CallError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(what) => write!(out, "the system image is damaged: {what}"),
            Self::Version(found) => {
                write!(out, "the plan has ABI version {found}, this builder {ABI_VERSION}")
            }
            Self::Digest(name) => write!(out, "the program of domain {name} is not the one in the plan"),
            Self::Memory { needed, left } => {
                write!(out, "too little memory: {} KiB needed, {} KiB free", needed * 4, left * 4)
            }
            Self::Call(step, error) => write!(out, "the kernel refused a step ({step}): {error}"),
        }
    }
}

/// What has been built: the slots in which the builder holds it, in the order of the plan.
pub struct Built {
    regions: Vec<Slot>,
    domains: Vec<Slot>,
    plan: Plan,
    next_slot: u8,
}

/// Builds everything that the plan names, and starts nothing.
pub fn build(image: &Image) -> Result<Built, BuildError> {
    let plan = *image.plan();
    let mut built = Built { regions: Vec::new(), domains: Vec::new(), plan, next_slot: BUILDER_SLOT_FREE };
    let mut memory = Memory::find();
    check_memory(&plan, &memory)?;
    built.create_regions(&mut memory)?;
    built.create_domains(&mut memory)?;
    for domain in 0..plan.domains.len() {
        built.load(image, domain as u32)?;
    }
    built.load(image, NONE)?;
    built.map()?;
    plan.slots.iter().try_for_each(|entry| built.fill_slot(entry))?;
    built.give_ports()?;
    plan.domains.iter().enumerate().try_for_each(|(index, entry)| built.configure(index, entry))?;
    built.introduce();
    Ok(built)
}

/// Says how much memory is missing before any is handed out.
fn check_memory(plan: &Plan, memory: &Memory) -> Result<(), BuildError> {
    let regions =
        plan.regions.iter().filter(|region| region.device_address == 0).map(|region| u64::from(region.pages));
    let tables = plan.domains.iter().map(|domain| u64::from(domain.quota_pages));
    let (needed, left) = (regions.chain(tables).sum(), memory.pages());
    if needed > left { Err(BuildError::Memory { needed, left }) } else { Ok(()) }
}

fn refused(step: &'static str) -> impl Fn(CallError) -> BuildError {
    move |error| BuildError::Call(step, error)
}

impl Built {
    fn take_slot(&mut self) -> Slot {
        self.next_slot += 1;
        Slot(self.next_slot - 1)
    }

    fn region(&self, index: u32) -> Result<Slot, BuildError> {
        self.regions
            .get(index as usize)
            .copied()
            .ok_or(BuildError::Image("the plan names a region that is not there"))
    }

    fn domain(&self, index: u32) -> Result<Slot, BuildError> {
        self.domains
            .get(index as usize)
            .copied()
            .ok_or(BuildError::Image("the plan names a domain that is not there"))
    }

    fn create_regions(&mut self, memory: &mut Memory) -> Result<(), BuildError> {
        for entry in self.plan.regions {
            let slot = self.take_slot();
            if entry.device_address == 0 {
                memory.carve(slot, entry.pages.into())?;
            } else {
                region_device(RIGHT, slot, entry.device_address, entry.pages.into())
                    .map_err(refused("region of a device"))?;
            }
            self.regions.push(slot);
        }
        Ok(())
    }

    fn create_domains(&mut self, memory: &mut Memory) -> Result<(), BuildError> {
        for entry in self.plan.domains {
            let slot = self.take_slot();
            // The region of page tables is the kernel's from now on; the builder has no use for it.
            let quota = Slot(self.next_slot);
            memory.carve(quota, entry.quota_pages.into())?;
            domain_create(RIGHT, slot, quota, entry.name).map_err(refused("creating a domain"))?;
            slot_drop(quota).map_err(refused("creating a domain"))?;
            self.domains.push(slot);
        }
        Ok(())
    }

    /// Loads the regions that belong to a domain, [`NONE`] for those that belong to none.
    pub fn load(&self, image: &Image, owner: u32) -> Result<(), BuildError> {
        for load in self.plan.loads {
            let entry = self.plan.regions.get(load.region as usize);
            if entry.is_some_and(|region| region.owner == owner) {
                let bytes = image.range(load.image_offset, load.bytes)?;
                window::write(self.region(load.region)?, load.region_offset, bytes)
                    .map_err(refused("loading"))?;
            }
        }
        Ok(())
    }

    /// Zeroes the regions that belong to a domain.
    pub fn clear(&self, owner: u32) -> Result<(), BuildError> {
        for (region, entry) in self.regions.iter().zip(self.plan.regions) {
            if entry.owner == owner && entry.device_address == 0 {
                window::clear(*region).map_err(refused("clearing memory"))?;
            }
        }
        Ok(())
    }

    fn map(&self) -> Result<(), BuildError> {
        for entry in self.plan.mappings {
            let (domain, region) = (self.domain(entry.domain)?, self.region(entry.region)?);
            let rights = Rights::from_bits_truncate(entry.rights);
            domain_map(domain, region, entry.address, entry.first_page.into(), entry.pages.into(), rights)
                .map_err(refused("mapping"))?;
        }
        Ok(())
    }

    fn fill_slot(&self, entry: &SlotEntry) -> Result<(), BuildError> {
        let domain = self.domain(entry.domain)?;
        let to = u8::try_from(entry.slot)
            .map(Slot)
            .map_err(|_| BuildError::Image("a slot's number is too large"))?;
        let rights = Rights::from_bits_truncate(entry.rights);
        let kind =
            ObjectKind::from_number(entry.kind).ok_or(BuildError::Image("a slot's kind is unknown"))?;
        let result = match kind {
            ObjectKind::Empty => return Err(BuildError::Image("the plan fills a slot with nothing")),
            ObjectKind::Domain => domain_give_domain(domain, to, self.domain(entry.object)?, rights),
            ObjectKind::Region => domain_give_region(domain, to, self.region(entry.object)?, rights),
            ObjectKind::Gate => {
                let grants = (entry.detail as u8, entry.count as u8);
                domain_give_gate(domain, to, self.domain(entry.object)?, entry.badge, grants)
            }
            ObjectKind::Event => domain_give_event(domain, to, self.domain(entry.object)?, entry.badge),
            ObjectKind::Interrupt => {
                domain_give_interrupt(domain, to, RIGHT, entry.object, entry.badge, entry.detail)
            }
            ObjectKind::BuilderRight
            | ObjectKind::LogRight
            | ObjectKind::CensusRight
            | ObjectKind::ShutdownRight => domain_give_right(domain, to, RIGHT, kind, entry.badge),
        };
        result.map_err(refused(kind.name()))
    }

    fn give_ports(&self) -> Result<(), BuildError> {
        for entry in self.plan.ports {
            domain_give_ports(self.domain(entry.domain)?, RIGHT, entry.first, entry.count)
                .map_err(refused("I/O ports"))?;
        }
        Ok(())
    }

    fn configure(&self, index: usize, entry: &DomainEntry) -> Result<(), BuildError> {
        let on_fault = FaultPolicy::from_number(entry.on_fault);
        let on_fault = on_fault.ok_or(BuildError::Image("a domain's fault policy is unknown"))?;
        let handler = match on_fault {
            FaultPolicy::Stop | FaultPolicy::Halt => None,
            // Slot 0 stands for the builder itself, which tells the domains apart by the bit.
            FaultPolicy::Restart => Some((Slot(0), index as u32)),
            FaultPolicy::Handler => Some((self.domain(entry.fault_handler)?, entry.fault_event)),
        };
        let how = Configuration {
            priority: entry.priority,
            budget_us: entry.budget_us,
            period_us: entry.period_us,
            on_fault,
            handler,
            ends_system: self.plan.header.ends_with == index as u32,
        };
        domain_configure(self.domain(index as u32)?, &how).map_err(refused("configuring a domain"))
    }

    /// Says what was built: each domain with its memory and the start of its program's digest.
    fn introduce(&self) {
        log!("system {}: {} domains built", self.plan.header.system, self.plan.domains.len());
        for (index, domain) in self.plan.domains.iter().enumerate() {
            let own = self
                .plan
                .regions
                .iter()
                .filter(|region| region.owner == index as u32 && region.device_address == 0);
            let pages =
                own.map(|region| u64::from(region.pages)).sum::<u64>() + u64::from(domain.quota_pages);
            let digest = Hex(&domain.digest[..8]);
            let kib = pages * PAGE_BYTES / 1024;
            log!("  {:<16} {kib:>6} KiB, priority {:>2}, program {digest}...", domain.name, domain.priority);
        }
    }

    /// Starts every domain. None runs before the builder waits or ends, since its priority is the highest.
    pub fn start(&self, image: &Image) -> Result<(), BuildError> {
        for (slot, entry) in self.domains.iter().zip(image.plan().domains) {
            domain_start(*slot, entry.entry, entry.stack, 0).map_err(refused("starting a domain"))?;
        }
        Ok(())
    }

    /// The domains that the builder restarts after a fault.
    pub fn restartable(&self) -> impl Iterator<Item = &'static DomainEntry> {
        self.plan.domains.iter().filter(|domain| domain.on_fault == FaultPolicy::Restart as u32)
    }

    /// The slot in which the builder holds a domain.
    pub fn domain_slot(&self, index: usize) -> Option<Slot> {
        self.domains.get(index).copied()
    }

    /// Slots that are needed after the build: all domains, until they are started, and the memory of those
    /// that are restarted.
    pub fn kept_slots(&self) -> Vec<u8> {
        let restarts = |owner: u32| {
            let owner = self.plan.domains.get(owner as usize);
            owner.is_some_and(|domain| domain.on_fault == FaultPolicy::Restart as u32)
        };
        let regions = self.regions.iter().zip(self.plan.regions);
        let regions = regions.filter(|(_, entry)| entry.device_address == 0 && restarts(entry.owner));
        self.domains.iter().chain(regions.map(|(slot, _)| slot)).map(|slot| slot.0).collect()
    }

    /// Gives up the rights in the kept slots that a restart does not need: of a domain, to build it; of a region, to
    /// pass it on and to execute it. (To build with a region stays, so that its domain cannot take it away.)
    pub fn limit_kept_slots(&self) -> Result<(), BuildError> {
        let memory = Rights::READ | Rights::WRITE | Rights::BUILD;
        self.kept_slots().into_iter().map(Slot).try_for_each(|slot| {
            let rights = if self.domains.contains(&slot) { Rights::HANDLE_FAULT } else { memory };
            slot_limit(slot, rights).map_err(refused("giving up rights"))
        })
    }

    /// The first slot that was never used.
    pub fn slots_used(&self) -> u8 {
        self.next_slot
    }
}
