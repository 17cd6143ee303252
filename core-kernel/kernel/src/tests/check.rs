//! What has to hold at any time, whatever the domains have asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use cloison_abi::{Rights, guest::GuestHalf, limits::PAGE_BYTES};
use cloison_rules::{
    DomainId, Frame, RegionRef, ThreadId, capability::Capability, memory::Run, thread::State,
};

use super::acts::LINE;
use super::world::World;
use crate::arch::{
    apic,
    machine::{self, IMAGE_PAGES, KERNEL_MARK},
};

impl World {
    /// Everything that has to hold.
    pub fn check(&self) {
        let mut seen = BTreeMap::new();
        for id in DomainId::all().filter(|id| self.kernel.domain(*id).thread.is_some()) {
            self.check_sight(id, &mut seen);
            if id != DomainId::BUILDER {
                self.check_slots(id);
            }
        }
        self.check_guests(&mut seen);
        self.check_tables(&seen.keys().copied().collect());
        self.check_lines();
    }

    /// A domain sees what its mappings say, by rights that it was given, and no page by way of two regions.
    fn check_sight(&self, id: DomainId, seen: &mut BTreeMap<Frame, RegionRef>) {
        let domain = self.kernel.domain(id);
        let mut counts = BTreeMap::new();
        for (address, frame, write, execute) in machine::seen(&domain.space) {
            if frame.number() < machine::FIRST_FRAME + IMAGE_PAGES {
                assert!(id == DomainId::BUILDER && !write, "{} sees the image", self.story());
                continue;
            }
            let covers =
                |start: u64, pages: u32| (start..start + u64::from(pages) * PAGE_BYTES).contains(&address);
            let mapping = domain.mappings.iter().find(|mapping| covers(mapping.address(), mapping.pages()));
            let Some(mapping) = mapping else { panic!("{} {id:?} sees {address:#x}", self.story()) };
            *counts.entry(mapping.address()).or_insert(0) += 1;
            let Ok(region) = self.kernel.regions.get(mapping.region()) else {
                panic!("{} {id:?} sees a region that has ended", self.story())
            };
            let page = (address - mapping.address()) / PAGE_BYTES;
            let is_dead = page < mapping.dead().into();
            assert_eq!(Some(frame) == domain.space.dead(), is_dead, "{} {id:?} {mapping:?}", self.story());
            if is_dead {
                let quota = domain.quota.and_then(|quota| self.kernel.regions.get(quota).ok());
                let is_own = quota.is_some_and(|quota| quota.run().contains(Run::new(frame, 1)));
                assert!(is_own && !execute, "{} {id:?} has a dead page", self.story());
                continue;
            }
            assert!(!self.is_cut(id, mapping.region()), "{} {id:?} sees what is withdrawn", self.story());
            let shown = mapping.frames(region).map(|run| run.first.after(page));
            assert_eq!(shown, Some(frame), "{} {id:?} sees another page at {address:#x}", self.story());
            let mut rights = Rights::READ;
            rights.set(Rights::WRITE, write);
            rights.set(Rights::EXECUTE, execute);
            let allowed = self.allowed(id, mapping.region());
            assert!(
                allowed.contains(rights),
                "{} {id:?} has {rights:?} at {address:#x} and may have {allowed:?}",
                self.story()
            );
            let by = *seen.entry(frame).or_insert(mapping.region());
            assert_eq!(by, mapping.region(), "{} a page is seen by two regions", self.story());
        }
        for mapping in domain.mappings.iter() {
            let count = counts.get(&mapping.address()).copied().unwrap_or(0);
            let hidden = if domain.space.dead().is_some() { 0 } else { mapping.dead() };
            let is_there = if domain.space.is_there() { mapping.mapped() - hidden } else { 0 };
            assert_eq!(count, is_there, "{} {id:?}: {mapping:?}", self.story());
        }
    }

    /// A guest sees pages of what is attached to it, as it may, and has the kernel's half. Its spaces differ in the lower
    /// half alone, which both halves of a space show.
    fn check_guests(&self, seen: &mut BTreeMap<Frame, RegionRef>) {
        for guest in &self.kernel.guests {
            let mut shared = None;
            let mut lower = Vec::new();
            for (space, half, shows) in machine::seen_by_guest(&guest.spaces) {
                let mark = machine::guests_kernel_mark(&guest.spaces, space, half);
                assert_eq!(mark, KERNEL_MARK, "{} {space} {half:?}", self.story());
                for (address, frame, write, _) in &shows {
                    let shows = |region: &RegionRef| {
                        self.kernel
                            .regions
                            .get(*region)
                            .is_ok_and(|found| found.run().contains(Run::new(*frame, 1)))
                    };
                    let found = self.attached.iter().find(|(region, _)| shows(region));
                    let Some((region, may_write)) = found else {
                        panic!("{} a guest sees {frame:?} at {address:#x}", self.story())
                    };
                    assert!(!write || *may_write, "{} a guest writes at {address:#x}", self.story());
                    let by = *seen.entry(*frame).or_insert(*region);
                    assert_eq!(by, *region, "{} a page is seen by two regions", self.story());
                }
                let (low, high): (Vec<_>, Vec<_>) = shows.into_iter().partition(|(at, ..)| at >> 47 == 0);
                match half {
                    GuestHalf::Lower => {
                        assert!(high.is_empty(), "{} {space} shows its upper half", self.story());
                        lower = low;
                    }
                    GuestHalf::Both => {
                        assert_eq!(low, lower, "{} the halves of {space}", self.story());
                        assert_eq!(*shared.get_or_insert(high.clone()), high, "{} {space}", self.story());
                    }
                }
            }
        }
    }

    /// Whether all ways by which a domain has a region are withdrawn.
    fn is_cut(&self, id: DomainId, region: RegionRef) -> bool {
        if self.is_busy(DomainId::BUILDER) {
            // Whom it is giving something does not have it yet.
            return false;
        }
        let is_cut = |pair| self.cut.contains(&pair);
        let parties: Vec<_> =
            self.plan.iter().filter(|(_, of, _)| *of == region).map(|(to, ..)| *to).collect();
        let mut lenders = self.loans.iter().filter(|loan| (loan.borrower, loan.region) == (id, region));
        match parties.contains(&id) {
            true => parties.iter().any(|other| is_cut((id, *other))) && lenders.next().is_none(),
            false => {
                lenders.clone().count() > 0
                    && lenders.all(|loan| is_cut((loan.lender, id)) || is_cut((id, loan.lender)))
            }
        }
    }

    /// What a domain was given by the plan or lent, of a region. The builder has all rights.
    fn allowed(&self, id: DomainId, region: RegionRef) -> Rights {
        if id == DomainId::BUILDER {
            return Rights::all();
        }
        let planned =
            self.plan.iter().filter(|(to, of, _)| (*to, *of) == (id, region)).map(|(.., rights)| *rights);
        let lent = self.loans.iter().filter(|loan| (loan.borrower, loan.region) == (id, region));
        planned.chain(lent.map(|loan| loan.rights)).fold(Rights::empty(), Rights::union)
    }

    /// A domain holds nothing that it was not given.
    fn check_slots(&self, id: DomainId) {
        for (slot, held) in self.kernel.slots(id).iter().filter(|(slot, _)| *slot > 0) {
            let is_given = match held {
                Capability::Region { region, rights, .. } => self.allowed(id, *region).contains(*rights),
                Capability::Domain(domain, rights) => self.given.iter().any(|(to, given)| {
                    matches!(given, Capability::Domain(of, most) if (*to, *of) == (id, *domain) && most.contains(*rights))
                }),
                other => self.given.contains(&(id, *other)),
            };
            assert!(is_given, "{} {id:?} holds {held:?} in slot {slot}", self.story());
        }
    }

    /// Nobody sees page tables. Each address space has the kernel's half, and no more tables than its quota.
    fn check_tables(&self, seen: &BTreeSet<Frame>) {
        for region in self.kernel.regions.all().filter(|region| region.holds_page_tables()) {
            let is_seen = region.run().frames().any(|frame| seen.contains(&frame));
            assert!(!is_seen, "{} page tables are seen", self.story());
        }
        for id in DomainId::all() {
            let domain = self.kernel.domain(id);
            if domain.space.is_there() {
                assert_eq!(machine::kernel_mark(&domain.space), KERNEL_MARK, "{} {id:?}", self.story());
                let quota = domain.quota.and_then(|quota| self.kernel.regions.get(quota).ok());
                let pages = quota.map_or(16, |quota| quota.run().pages());
                assert!(machine::tables(&domain.space) <= pages, "{} {id:?}", self.story());
            }
        }
    }

    /// A line that is open is somebody's who lives, or waits for its handler.
    fn check_lines(&self) {
        let is_open = (0..apic::LINES).any(apic::is_open);
        let mut holders = self.given.iter().filter(|(_, held)| matches!(held, Capability::Interrupt { .. }));
        let lives = |id| self.kernel.is_alive(id) || matches!(self.kernel.state(id), State::Faulted(_));
        assert!(!is_open || holders.any(|(id, _)| lives(*id)), "{} a line is open", self.story());
    }

    /// All domains are gone, and all memory is as it was.
    pub fn check_nothing_left(&self) {
        for frame in self.pool().frames() {
            assert_eq!(machine::page(frame), [0; machine::WORDS], "{} {frame:?}", self.story());
        }
        let others = || DomainId::all().filter(|id| *id != DomainId::BUILDER);
        assert!(others().all(|id| self.kernel.domain(id).thread.is_none()), "{}", self.story());
        let free = ThreadId::all().filter(|id| self.kernel.threads.get(*id).state == State::Free);
        assert_eq!(free.count(), others().count(), "{} threads", self.story());
        assert!(self.kernel.interrupts.place_for(LINE).is_ok(), "{} the line is free", self.story());
        assert_eq!(self.kernel.domain(DomainId::BUILDER).mappings.iter().count(), 0, "{}", self.story());
    }

    /// Domains write to what they see and may write, as programs do.
    pub fn scribble(&self) {
        for id in DomainId::all() {
            for (_, frame, write, _) in machine::seen(&self.kernel.domain(id).space) {
                if write {
                    machine::scribble(frame, id.index() as u64);
                }
            }
        }
    }

    /// What has happened, for the message of a test that fails.
    pub fn story(&self) -> std::string::String {
        let last: Vec<_> = self.history.iter().rev().take(40).rev().cloned().collect();
        std::format!("{}\n-- ", last.join("\n"))
    }
}
