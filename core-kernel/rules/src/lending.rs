//! Lending: a domain passes a region of its own on to a server, which holds and maps it for as long as it is
//! lent.
//!
//! A slot with a lender is lent. A mapping that the domain has made is lent if no slot that is its own, and none that
//! another lender has filled, gives it the rights.

use crate::{
    DomainId, DomainSet, RegionRef,
    capability::{Capability, SlotTable},
    mapping::{Mapping, MappingTable},
};

/// Empties the slots that hold one of the regions `taken` by a loan of `lender`. Returns whether there were any.
pub fn take_slots(slots: &mut SlotTable, lender: DomainId, taken: impl Fn(RegionRef) -> bool) -> bool {
    let is_lent = |held: &Capability| match held {
        Capability::Region { region, lender: Some(of), .. } => *of == lender && taken(*region),
        _ => false,
    };
    let mut any = false;
    slots.retain(|_, held| {
        any |= is_lent(held);
        !is_lent(held)
    });
    any
}

/// A mapping that the domain has made of one of the regions `taken`, and for which its slots do not hold the rights
/// any more, once [`take_slots`] has emptied them; nor has the plan given them.
#[must_use]
pub fn lent_mapping(
    slots: &SlotTable,
    planned: &SlotTable,
    mappings: &MappingTable,
    taken: impl Fn(RegionRef) -> bool,
) -> Option<Mapping> {
    mappings
        .iter()
        .find(|mapping| {
            mapping.made_by_domain
                && taken(mapping.region)
                && !planned.holds(mapping.region, mapping.rights)
                && !slots.holds(mapping.region, mapping.rights)
        })
        .copied()
}

/// Whether a domain is not to see what it sees by a mapping: memory that it has together with one with which it may not have
/// any (`cut`), or that is lent along such a pair. `parties`: the domains that builders let see the region.
#[must_use]
pub fn is_withdrawn(
    mapping: &Mapping,
    seen_by: DomainId,
    parties: DomainSet,
    cut: impl Fn(DomainId) -> DomainSet,
) -> bool {
    match mapping.lender {
        Some(lender) => (cut(lender) & seen_by.bit()) | (cut(seen_by) & lender.bit()) != 0,
        None => parties & cut(seen_by) != 0,
    }
}

#[cfg(test)]
mod search;
#[cfg(test)]
mod tests {
    use cloison_abi::{Rights, limits::INFO_ADDRESS};

    use super::*;
    use crate::{
        Frame,
        region::{Backing, Region, RegionTable},
    };

    const READ: Rights = Rights::READ;

    struct World {
        region: RegionRef,
        other: RegionRef,
        info: Region,
    }

    impl World {
        fn new() -> Self {
            let mut table = RegionTable::EMPTY;
            let region = table.add(Frame::new(0x100), 4, Backing::Memory { zeroed: 4 }).unwrap();
            let other = table.add(Frame::new(0x200), 4, Backing::Memory { zeroed: 4 }).unwrap();
            Self { region, other, info: *table.get(region).unwrap() }
        }

        fn mapped(&self, rights: Rights, made_by_domain: bool) -> MappingTable {
            let new =
                Mapping::new(self.region, &self.info, INFO_ADDRESS, 0, 1, rights.bits().into()).unwrap();
            let mut table = MappingTable::EMPTY;
            table.begin(new.made_by_domain(made_by_domain)).unwrap();
            table
        }
    }

    /// A slot table: number, region, rights, index of the lender or 0.
    fn slots(filled: &[(u64, RegionRef, Rights, usize)]) -> SlotTable {
        let mut table = SlotTable::EMPTY;
        for (slot, region, rights, lender) in filled {
            let held =
                Capability::Region { region: *region, rights: *rights, lender: DomainId::new(*lender) };
            table.fill(*slot, held).unwrap();
        }
        table
    }

    fn id(index: usize) -> DomainId {
        DomainId::new(index).unwrap()
    }

    #[test]
    fn only_what_the_lender_has_lent_is_taken() {
        let world = World::new();
        let mut held = slots(&[
            (1, world.region, READ, 0),
            (2, world.region, READ, 5),
            (3, world.other, READ, 5),
            (4, world.region, READ, 6),
        ]);
        let taken = |region| region == world.region;
        assert!(take_slots(&mut held, id(5), taken));
        assert!(held.region(1, READ).is_ok(), "its own");
        assert!(held.region(2, READ).is_err(), "lent");
        assert!(held.region(3, READ).is_ok(), "another region");
        assert!(held.region(4, READ).is_ok(), "of another lender");
        assert!(!take_slots(&mut held, id(5), taken), "nothing is left to be taken");
    }

    #[test]
    fn a_mapping_is_lent_unless_a_slot_that_is_left_allows_it() {
        let world = World::new();
        let write = READ | Rights::WRITE;
        let none = SlotTable::EMPTY;
        let own = slots(&[(1, world.region, READ, 0)]);
        let found = |slots: &SlotTable, planned: &SlotTable, mappings: &MappingTable| {
            lent_mapping(slots, planned, mappings, |region| region == world.region).is_some()
        };
        assert!(found(&none, &none, &world.mapped(READ, true)));
        assert!(!found(&none, &none, &world.mapped(READ, false)), "the builder has made it");
        assert!(!found(&none, &own, &world.mapped(READ, true)), "by its own slot");
        assert!(found(&none, &own, &world.mapped(write, true)), "more than its own");
        let of_another = slots(&[(4, world.region, READ, 6)]);
        assert!(!found(&of_another, &none, &world.mapped(READ, true)), "by another loan");
        assert!(lent_mapping(&none, &none, &world.mapped(READ, true), |_| false).is_none());
    }
}
