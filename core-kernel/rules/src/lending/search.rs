//! Every state that three domains can get into of which one lends memory to the others, two have memory together, and a
//! monitor withdraws either and gives it back, in every order, with steps of long calls between those of others: no page is
//! seen where it should not be.
//!
//! Slots, mappings and decisions are the real ones. What the kernel does with them in one step is done here as it does it,
//! a page a step.

use std::{assert, assert_eq, vec::Vec};

use cloison_abi::{
    Rights,
    access::Decision,
    limits::{INFO_ADDRESS, PAGE_BYTES},
};

use super::*;
use crate::{
    Frame,
    authorize::Access,
    every_state::{Explorable, explore},
    region::{Backing, Region, RegionTable},
};

const COUNT: usize = 3;
/// The lender, and the two that have memory together.
const LENDER: usize = 0;
const PAIR: [usize; 2] = [0, 1];
/// The regions: what is lent, and what the pair has. Each is seen at one address.
const LENT: usize = 0;
const SHARED: usize = 1;
const PAGES: [u32; 2] = [2, 2];
/// Where a loan arrives.
const LOAN: u64 = 9;

const READ: Rights = Rights::READ;
const WRITE: Rights = Rights::READ.union(Rights::WRITE);

#[derive(Clone, Copy, Debug)]
enum Step {
    Grant(usize, Rights),
    Limit(usize),
    Drop(usize),
    Map(usize),
    Unmap(usize),
    /// Another step of what the lender takes back.
    TakeBack,
    /// Another step of what the builder has mapped for the pair.
    Plan(usize),
    /// A domain ends, and begins its next life.
    Reborn(usize),
    /// The monitor begins to decide, or goes on.
    Judge(usize, usize, Decision),
    Settle,
}

/// What tells states apart.
#[derive(Clone, Copy)]
struct Small {
    loans: [Option<Rights>; COUNT],
    mappings: [[Option<Mapping>; 2]; COUNT],
    cut: [DomainSet; COUNT],
    /// Between whom the monitor is in the middle of deciding.
    settling: Option<(usize, usize)>,
    /// What has been lent, and not yet been taken back.
    lent: [Rights; COUNT],
}

struct System {
    regions: [(RegionRef, Region); 2],
    slots: [SlotTable; COUNT],
    mappings: [MappingTable; COUNT],
    access: [Access; COUNT],
    settling: Option<(usize, usize)>,
    lent: [Rights; COUNT],
}

fn id(which: usize) -> DomainId {
    DomainId::new(which + 1).unwrap()
}

fn address(region: usize) -> u64 {
    INFO_ADDRESS + region as u64 * 16 * PAGE_BYTES
}

fn parties(region: usize) -> DomainSet {
    if region == SHARED { id(PAIR[0]).bit() | id(PAIR[1]).bit() } else { id(LENDER).bit() }
}

impl System {
    fn new() -> Self {
        let mut table = RegionTable::EMPTY;
        let regions = [LENT, SHARED].map(|region| {
            let pages = PAGES[region];
            let first = Frame::new(0x100 * (region as u64 + 1));
            let reference = table.add(first, pages, Backing::Memory { zeroed: pages }).unwrap();
            (reference, *table.get(reference).unwrap())
        });
        let mut system = Self {
            regions,
            slots: [const { SlotTable::EMPTY }; COUNT],
            mappings: [const { MappingTable::EMPTY }; COUNT],
            access: [const { Access::ALL }; COUNT],
            settling: None,
            lent: [Rights::empty(); COUNT],
        };
        for which in PAIR {
            let mapping = system.mapping(SHARED, WRITE);
            system.mappings[which].begin(mapping).unwrap();
        }
        system
    }

    fn mapping(&self, region: usize, rights: Rights) -> Mapping {
        let (reference, found) = &self.regions[region];
        let pages = PAGES[region].into();
        Mapping::new(*reference, found, address(region), 0, pages, rights.bits().into()).unwrap()
    }

    fn loan(&self, rights: Rights) -> Capability {
        Capability::Region { region: self.regions[LENT].0, rights, lender: Some(id(LENDER)) }
    }

    fn map(&mut self, which: usize) {
        let Ok((_, rights)) = self.slots[which].region(LOAN, READ) else { return };
        let lender = self.slots[which].lender(LOAN);
        let new = self.mapping(LENT, rights & WRITE).made_by_domain(true).lent_by(lender);
        if let Ok(mapping) = self.mappings[which].begin(new) {
            self.map_step(which, LENT, mapping);
        }
    }

    fn plan_step(&mut self, which: usize) {
        let planned = self.mappings[which].starting_at(address(SHARED));
        if let Some(mapping) = planned.filter(|mapping| mapping.mapped < mapping.pages) {
            self.map_step(which, SHARED, mapping);
        }
    }

    fn is_withdrawn(&self, which: usize, region: usize, mapping: &Mapping) -> bool {
        is_withdrawn(mapping, id(which), parties(region), |of| self.access[of.index() - 1].cut())
    }

    /// Lets a mapping show what it should. Returns whether there was something to do.
    fn settle(&mut self, which: usize, region: usize) -> bool {
        let Some(mapping) = self.mappings[which].starting_at(address(region)) else { return false };
        let unsettled = mapping.unsettled(self.is_withdrawn(which, region, &mapping), 1);
        if let Some((_, dead)) = unsettled {
            self.mappings[which].conceal(mapping.address, dead);
            return true;
        }
        false
    }

    fn map_step(&mut self, which: usize, region: usize, mapping: Mapping) {
        if self.settle(which, region) {
            return;
        }
        let is_dead = self.is_withdrawn(which, region, &mapping);
        let end = mapping.mapped + 1;
        self.mappings[which].progress(mapping.address, end);
        self.mappings[which].conceal(mapping.address, if is_dead { end } else { 0 });
    }

    fn unmap_step(&mut self, which: usize) {
        if let Some(mapping) = self.mappings[which].starting_at(address(LENT)) {
            self.mappings[which].truncate(mapping.address, mapping.mapped.saturating_sub(1));
        }
    }

    fn take_back_step(&mut self) {
        let region = self.regions[LENT].0;
        for which in 1..COUNT {
            if take_slots(&mut self.slots[which], id(LENDER), |taken| taken == region) {
                return;
            }
            let planned = SlotTable::EMPTY;
            if lent_mapping(&self.slots[which], &planned, &self.mappings[which], |taken| taken == region)
                .is_some()
            {
                return self.unmap_step(which);
            }
        }
        // Nothing was left to be taken.
        self.lent = [Rights::empty(); COUNT];
    }

    fn reborn(&mut self, which: usize) {
        if which == LENDER {
            while self.lent != [Rights::empty(); COUNT] {
                self.take_back_step();
            }
        }
        let _ = self.slots[which].take(LOAN);
        self.mappings[which].renew();
        self.lent[which] = Rights::empty();
    }

    fn settle_step(&mut self) {
        let Some((subject, object)) = self.settling else { return };
        let mut ends = [subject, object].into_iter().flat_map(|which| [(which, LENT), (which, SHARED)]);
        if !ends.any(|(which, region)| self.settle(which, region)) {
            self.settling = None;
        }
    }

    fn check_mapping(&self, which: usize, region: usize, pages: u32, mapping: &Mapping) {
        let Mapping { mapped, dead, rights, .. } = *mapping;
        assert!(dead <= mapped && mapped <= pages);
        let shows = mapped > dead;
        let is_party = parties(region) & id(which).bit() != 0 || self.lent[which].contains(rights);
        assert!(!shows || is_party, "a page is shown to one that is no party");
        let cut = |one: usize, other: usize| {
            self.settling != Some((one, other)) && self.access[one].cut() & id(other).bit() != 0
        };
        let other = if region == LENT { LENDER } else { PAIR[0] + PAIR[1] - which };
        let is_cut = cut(which, other) || (region == LENT && cut(other, which));
        assert!(!shows || !is_cut, "a page is seen along a pair that is withdrawn");
        if self.settling.is_none() {
            assert_eq!(dead > 0, is_cut && mapped > 0, "what is given back is there again");
        }
    }
}

impl Explorable for System {
    type Step = Step;
    type State = Small;

    fn state(&self) -> Small {
        let loan =
            |which: usize| self.slots[which].region(LOAN, Rights::empty()).ok().map(|(_, rights)| rights);
        let mapping =
            |which: usize| [LENT, SHARED].map(|region| self.mappings[which].starting_at(address(region)));
        Small {
            loans: [0, 1, 2].map(loan),
            mappings: [0, 1, 2].map(mapping),
            cut: [0, 1, 2].map(|which| self.access[which].cut()),
            settling: self.settling,
            lent: self.lent,
        }
    }

    fn key(small: &Small) -> Vec<u8> {
        small.key()
    }

    fn restore(&mut self, small: &Small) {
        for which in 0..COUNT {
            let _ = self.slots[which].take(LOAN);
            if let Some(rights) = small.loans[which] {
                let loan = self.loan(rights);
                self.slots[which].fill(LOAN, loan).unwrap();
            }
            for region in [LENT, SHARED] {
                self.mappings[which].truncate(address(region), 0);
                if let Some(mapping) = small.mappings[which][region] {
                    self.mappings[which].begin(Mapping { mapped: 0, dead: 0, ..mapping }).unwrap();
                    self.mappings[which].progress(mapping.address, mapping.mapped);
                    self.mappings[which].conceal(mapping.address, mapping.dead);
                }
            }
            self.access[which].judge_memory(DomainSet::MAX, Decision::Allow);
            self.access[which].judge_memory(small.cut[which], Decision::Deny);
        }
        (self.settling, self.lent) = (small.settling, small.lent);
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Grant(to, rights) => {
                let loan = self.loan(rights);
                if self.slots[to].fill(LOAN, loan).is_ok() {
                    self.lent[to] |= rights;
                }
            }
            Step::Limit(which) => _ = self.slots[which].limit(LOAN, READ),
            Step::Drop(which) => _ = self.slots[which].take(LOAN),
            Step::Map(which) => self.map(which),
            Step::Unmap(which) => self.unmap_step(which),
            Step::TakeBack => self.take_back_step(),
            Step::Plan(which) => self.plan_step(which),
            Step::Reborn(which) => self.reborn(which),
            Step::Judge(subject, object, decision) if self.settling.is_none() => {
                self.access[subject].judge_memory(id(object).bit(), decision);
                self.settling = Some((subject, object));
                self.settle_step();
            }
            Step::Settle => self.settle_step(),
            Step::Judge(..) => {}
        }
    }

    fn check(&self) {
        for which in 0..COUNT {
            if let Ok((_, rights)) = self.slots[which].region(LOAN, Rights::empty()) {
                assert!(self.lent[which].contains(rights), "nobody holds what was not lent");
            }
            for (region, pages) in PAGES.into_iter().enumerate() {
                if let Some(mapping) = self.mappings[which].starting_at(address(region)) {
                    self.check_mapping(which, region, pages, &mapping);
                }
            }
        }
    }
}

impl Small {
    /// All of it that matters, as bytes.
    fn key(&self) -> Vec<u8> {
        let mut key = Vec::new();
        let rights = |rights: Option<Rights>| rights.map_or(0xff, |rights| rights.bits() as u8);
        for which in 0..COUNT {
            key.extend([rights(self.loans[which]), self.lent[which].bits() as u8, self.cut[which] as u8]);
            for mapping in self.mappings[which] {
                let shown = mapping.map(|mapping| (mapping.mapped << 4 | mapping.dead) as u8);
                key.extend([shown.unwrap_or(0xff), rights(mapping.map(|mapping| mapping.rights))]);
                key.push(mapping.map_or(0, |mapping| mapping.pages as u8));
            }
        }
        key.push(self.settling.map_or(0, |(subject, object)| (subject * COUNT + object + 1) as u8));
        key
    }
}

/// What can be done at all.
fn steps() -> Vec<Step> {
    let mut steps = Vec::from([Step::TakeBack, Step::Settle]);
    steps.extend([Step::Grant(1, READ), Step::Grant(1, WRITE), Step::Limit(1), Step::Grant(2, READ)]);
    for which in 1..COUNT {
        steps.extend([Step::Drop(which), Step::Map(which), Step::Unmap(which)]);
    }
    steps.extend((0..COUNT).map(Step::Reborn));
    steps.extend(PAIR.map(Step::Plan));
    for (subject, object) in [(0, 1), (1, 0), (2, 0)] {
        steps
            .extend([Decision::Allow, Decision::Deny].map(|decision| Step::Judge(subject, object, decision)));
    }
    steps
}

#[test]
fn no_order_of_loans_mappings_and_withdrawals_shows_what_it_should_not() {
    let states = explore(&mut System::new(), &steps());
    // Fewer would say that something is never tried.
    assert!(states > 10_000, "{states} states");
}
