//! Lending: a domain passes a region of its own on to a server, which holds and maps it for as long as it is
//! lent.
//!
//! What the plan gave a domain is its own. A region in a slot that the plan left empty is lent, and so is a
//! mapping that the domain has made with rights that no slot of the plan gave it. The holder of
//! [`Rights::BUILD`] to a region is its builder, from whom nobody takes it.

use cloison_abi::Rights;

use crate::{
    capability::{Capability, RegionRef, SlotTable},
    mapping::{Mapping, MappingTable},
};

/// Empties the slots that hold one of the regions `taken` and that the plan did not fill so. Returns whether
/// there were any.
pub fn take_slots(slots: &mut SlotTable, planned: &SlotTable, taken: impl Fn(RegionRef) -> bool) -> bool {
    let lent = |slot: usize, held: &Capability| match held {
        Capability::Region(region, rights) => {
            taken(*region) && !rights.contains(Rights::BUILD) && !planned.has_at(slot, *region)
        }
        _ => false,
    };
    let mut any = false;
    slots.retain(|slot, held| {
        let keep = !lent(slot, held);
        any |= !keep;
        keep
    });
    any
}

/// A mapping that the domain has made of one of the regions `taken`, by a loan.
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
                && !slots.holds(mapping.region, Rights::BUILD)
        })
        .copied()
}

#[cfg(test)]
mod tests {
    use cloison_abi::limits::INFO_ADDRESS;

    use super::*;
    use crate::region::{Backing, Region, RegionTable};

    const READ: Rights = Rights::READ;

    struct World {
        region: RegionRef,
        other: RegionRef,
        info: Region,
    }

    impl World {
        fn new() -> Self {
            let mut table = RegionTable::EMPTY;
            let region = table.add(0x100, 4, Backing::Memory { zeroed: 4 }).unwrap();
            let other = table.add(0x200, 4, Backing::Memory { zeroed: 4 }).unwrap();
            Self { region, other, info: *table.get(region).unwrap() }
        }

        fn mapped(&self, rights: Rights, made_by_domain: bool) -> MappingTable {
            let new =
                Mapping::new(self.region, &self.info, INFO_ADDRESS, 0, 1, rights.bits().into()).unwrap();
            let mut table = MappingTable::EMPTY;
            table.begin(Mapping { made_by_domain, ..new }).unwrap();
            table
        }
    }

    fn slots(filled: &[(u64, RegionRef, Rights)]) -> SlotTable {
        let mut table = SlotTable::EMPTY;
        for (slot, region, rights) in filled {
            table.fill(*slot, Capability::Region(*region, *rights)).unwrap();
        }
        table
    }

    #[test]
    fn only_slots_that_the_plan_left_empty_are_taken() {
        let world = World::new();
        let planned = slots(&[(1, world.region, READ)]);
        let mut held = slots(&[(1, world.region, READ), (2, world.region, READ), (3, world.other, READ)]);
        let taken = |region| region == world.region;
        assert!(take_slots(&mut held, &planned, taken));
        assert!(held.region(1, READ).is_ok(), "the plan's");
        assert!(held.region(2, READ).is_err(), "lent");
        assert!(held.region(3, READ).is_ok(), "of another lender");
        assert!(!take_slots(&mut held, &planned, taken), "nothing is left to be taken");
    }

    #[test]
    fn a_slot_that_the_plan_filled_otherwise_is_no_excuse() {
        let world = World::new();
        let planned = slots(&[(1, world.other, READ)]);
        let mut held = slots(&[(1, world.region, READ)]);
        assert!(take_slots(&mut held, &planned, |region| region == world.region));
    }

    #[test]
    fn nothing_is_taken_from_the_builder() {
        let world = World::new();
        let mut held = slots(&[(1, world.region, READ | Rights::BUILD)]);
        let mappings = world.mapped(READ, true);
        assert!(!take_slots(&mut held, &SlotTable::EMPTY, |_| true));
        assert_eq!(lent_mapping(&held, &SlotTable::EMPTY, &mappings, |_| true), None);
    }

    #[test]
    fn a_mapping_is_lent_unless_the_plan_allows_it() {
        let world = World::new();
        let write = READ | Rights::WRITE;
        let none = SlotTable::EMPTY;
        let found = |planned: &SlotTable, mappings: &MappingTable| {
            lent_mapping(&none, planned, mappings, |region| region == world.region).is_some()
        };
        assert!(found(&none, &world.mapped(READ, true)));
        assert!(!found(&none, &world.mapped(READ, false)), "the builder has made it");
        assert!(!found(&slots(&[(1, world.region, READ)]), &world.mapped(READ, true)), "by its own slot");
        assert!(found(&slots(&[(1, world.region, READ)]), &world.mapped(write, true)), "more than its own");
        assert!(lent_mapping(&none, &none, &world.mapped(READ, true), |_| false).is_none());
    }
}
