//! What a slot holds, and the one place where a slot is looked up.

use cloison_abi::{CallError, ObjectKind, Rights, limits::MAX_SLOTS};

use crate::{DomainId, DomainRef, EventRef, GuestRef, Peer, RegionRef, refs::InterruptId};

/// A gate: an entry into a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The server.
    pub server: Peer,
    /// Tells the server who calls.
    pub badge: u32,
    /// First slot of the server that this client's grants fill.
    pub grant_first: u8,
    /// How many such slots there are.
    pub grant_count: u8,
}

/// What a slot holds. With `repr(u8)` an empty slot is all zeros, so that empty tables need no bytes in the
/// kernel's file. Its size is a power of two, which makes finding a slot cheaper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8, align(32))]
pub enum Capability {
    /// Nothing.
    #[default]
    Empty,
    /// A domain.
    Domain(DomainRef, Rights),
    /// A region.
    Region {
        /// Which one.
        region: RegionRef,
        /// What may be done with it.
        rights: Rights,
        /// The domain that has lent it; none if the builder gave it, or it was made here.
        lender: Option<DomainId>,
    },
    /// A gate.
    Gate(Gate),
    /// An event bit of a thread.
    Event {
        /// Who is signalled.
        target: Peer,
        /// By which bit.
        bit: u8,
    },
    /// An interrupt of a device.
    Interrupt(InterruptId),
    /// A right that is not about one object.
    Right(ObjectKind),
    /// A guest of the holder.
    Guest(GuestRef),
}

impl Capability {
    /// A region that nobody has lent.
    #[must_use]
    pub fn own_region(region: RegionRef, rights: Rights) -> Self {
        Self::Region { region, rights, lender: None }
    }

    /// The type of the object.
    #[must_use]
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Empty => ObjectKind::Empty,
            Self::Domain(..) => ObjectKind::Domain,
            Self::Region { .. } => ObjectKind::Region,
            Self::Gate(_) => ObjectKind::Gate,
            Self::Event { .. } => ObjectKind::Event,
            Self::Interrupt(_) => ObjectKind::Interrupt,
            Self::Right(kind) => *kind,
            Self::Guest(_) => ObjectKind::Guest,
        }
    }

    /// The rights to a domain or a region; none for all else, where there is nothing to choose.
    #[must_use]
    pub fn rights(&self) -> Rights {
        match self {
            Self::Domain(_, rights) | Self::Region { rights, .. } => *rights,
            _ => Rights::empty(),
        }
    }
}

/// The slots of one domain.
#[derive(Clone, Debug)]
pub struct SlotTable([Capability; MAX_SLOTS]);

impl SlotTable {
    /// A table with nothing in it.
    pub const EMPTY: Self = Self([Capability::Empty; MAX_SLOTS]);

    /// What a slot holds.
    ///
    /// # Errors
    /// [`CallError::BadSlot`] if it is empty or no slot has this number.
    #[inline]
    pub fn get(&self, slot: u64) -> Result<&Capability, CallError> {
        match usize::try_from(slot).ok().and_then(|slot| self.0.get(slot)) {
            None | Some(Capability::Empty) => Err(CallError::BadSlot),
            Some(capability) => Ok(capability),
        }
    }

    /// The gate in a slot.
    ///
    /// # Errors
    /// [`CallError::BadSlot`], [`CallError::WrongType`].
    #[inline(always)]
    pub fn gate(&self, slot: u64) -> Result<&Gate, CallError> {
        match usize::try_from(slot).ok().and_then(|slot| self.0.get(slot)) {
            Some(Capability::Gate(gate)) => Ok(gate),
            None | Some(Capability::Empty) => Err(CallError::BadSlot),
            Some(_) => Err(CallError::WrongType),
        }
    }

    /// The event in a slot.
    ///
    /// # Errors
    /// [`CallError::BadSlot`], [`CallError::WrongType`].
    #[inline(always)]
    pub fn event(&self, slot: u64) -> Result<EventRef, CallError> {
        match *self.get(slot)? {
            Capability::Event { target, bit } => Ok(EventRef { target, bit }),
            _ => Err(CallError::WrongType),
        }
    }

    /// The region in a slot, if the slot holds all of `needed`.
    ///
    /// # Errors
    /// [`CallError::BadSlot`], [`CallError::WrongType`], [`CallError::MissingRight`].
    pub fn region(&self, slot: u64, needed: Rights) -> Result<(RegionRef, Rights), CallError> {
        match *self.get(slot)? {
            Capability::Region { region, rights, .. } if rights.contains(needed) => Ok((region, rights)),
            Capability::Region { .. } => Err(CallError::MissingRight),
            _ => Err(CallError::WrongType),
        }
    }

    /// The domain in a slot, if the slot holds all of `needed`.
    ///
    /// # Errors
    /// [`CallError::BadSlot`], [`CallError::WrongType`], [`CallError::MissingRight`].
    pub fn domain(&self, slot: u64, needed: Rights) -> Result<(DomainRef, Rights), CallError> {
        match *self.get(slot)? {
            Capability::Domain(domain, rights) if rights.contains(needed) => Ok((domain, rights)),
            Capability::Domain(..) => Err(CallError::MissingRight),
            _ => Err(CallError::WrongType),
        }
    }

    /// The interrupt in a slot.
    ///
    /// # Errors
    /// [`CallError::BadSlot`], [`CallError::WrongType`].
    pub fn interrupt(&self, slot: u64) -> Result<InterruptId, CallError> {
        match *self.get(slot)? {
            Capability::Interrupt(id) => Ok(id),
            _ => Err(CallError::WrongType),
        }
    }

    /// The guest in a slot.
    ///
    /// # Errors
    /// [`CallError::BadSlot`], [`CallError::WrongType`].
    pub fn guest(&self, slot: u64) -> Result<GuestRef, CallError> {
        match *self.get(slot)? {
            Capability::Guest(guest) => Ok(guest),
            _ => Err(CallError::WrongType),
        }
    }

    /// Checks that a slot holds a right.
    ///
    /// # Errors
    /// [`CallError::BadSlot`], [`CallError::WrongType`].
    pub fn right(&self, slot: u64, kind: ObjectKind) -> Result<(), CallError> {
        match *self.get(slot)? {
            Capability::Right(held) if held == kind => Ok(()),
            _ => Err(CallError::WrongType),
        }
    }

    /// Checks that a slot can be filled.
    ///
    /// # Errors
    /// As [`SlotTable::fill`].
    pub fn check_free(&self, slot: u64) -> Result<(), CallError> {
        match usize::try_from(slot).ok().and_then(|slot| self.0.get(slot)) {
            None => Err(CallError::BadArgument),
            Some(Capability::Empty) => Ok(()),
            Some(_) => Err(CallError::SlotTaken),
        }
    }

    /// Fills an empty slot.
    ///
    /// # Errors
    /// [`CallError::BadArgument`] if no slot has this number, [`CallError::SlotTaken`] if it is not empty.
    pub fn fill(&mut self, slot: u64, capability: Capability) -> Result<(), CallError> {
        let place = usize::try_from(slot).ok().and_then(|slot| self.0.get_mut(slot));
        match place {
            None => Err(CallError::BadArgument),
            Some(place @ Capability::Empty) => {
                *place = capability;
                Ok(())
            }
            Some(_) => Err(CallError::SlotTaken),
        }
    }

    /// Fills the first empty slot of a run. Returns its number.
    ///
    /// # Errors
    /// [`CallError::SlotTaken`] if none is empty.
    pub fn fill_first(&mut self, first: u8, count: u8, capability: Capability) -> Result<u64, CallError> {
        (u64::from(first)..u64::from(first) + u64::from(count))
            .find(|slot| self.fill(*slot, capability).is_ok())
            .ok_or(CallError::SlotTaken)
    }

    /// Empties a slot. Returns what it held.
    ///
    /// # Errors
    /// [`CallError::BadSlot`] if it was empty.
    pub fn take(&mut self, slot: u64) -> Result<Capability, CallError> {
        let held = *self.get(slot)?;
        self.0[slot as usize % MAX_SLOTS] = Capability::Empty;
        Ok(held)
    }

    /// Takes away the rights that are not in `kept`.
    ///
    /// # Errors
    /// [`CallError::BadSlot`] if it is empty; [`CallError::WrongType`] if it holds neither a domain nor a region.
    pub fn limit(&mut self, slot: u64, kept: Rights) -> Result<(), CallError> {
        self.get(slot)?;
        match &mut self.0[slot as usize % MAX_SLOTS] {
            Capability::Domain(_, rights) | Capability::Region { rights, .. } => {
                *rights &= kept;
                Ok(())
            }
            _ => Err(CallError::WrongType),
        }
    }

    /// Fills a slot, whatever it held. A number that no slot has is ignored.
    pub fn replace(&mut self, slot: u64, capability: Capability) {
        if let Some(place) = usize::try_from(slot).ok().and_then(|slot| self.0.get_mut(slot)) {
            *place = capability;
        }
    }

    /// Empties every slot for which `keep` says no. It is told the slot's number and what the slot holds.
    pub fn retain(&mut self, mut keep: impl FnMut(usize, &Capability) -> bool) {
        for (slot, place) in self.0.iter_mut().enumerate() {
            if !keep(slot, place) {
                *place = Capability::Empty;
            }
        }
    }

    /// Who has lent the region in a slot; none if nobody has, or no region is there.
    #[must_use]
    pub fn lender(&self, slot: u64) -> Option<DomainId> {
        match self.get(slot) {
            Ok(Capability::Region { lender, .. }) => *lender,
            _ => None,
        }
    }

    /// Whether some slot holds a region with all of these rights.
    #[must_use]
    pub fn holds(&self, region: RegionRef, needed: Rights) -> bool {
        let is_it = |held: &Capability| matches!(held, Capability::Region { region: of, rights, .. } if *of == region && rights.contains(needed));
        self.0.iter().any(is_it)
    }

    /// The gates in the slots from `first` on, each with its slot.
    pub fn gates_from(&self, first: usize) -> impl Iterator<Item = (usize, &Gate)> {
        self.0.iter().enumerate().skip(first).filter_map(|(slot, held)| match held {
            Capability::Gate(gate) => Some((slot, gate)),
            _ => None,
        })
    }

    /// Every slot that is not empty.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Capability)> {
        self.0.iter().enumerate().filter(|(_, capability)| **capability != Capability::Empty)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::{GuestId, ThreadId, ThreadRef};

    fn domain(rights: Rights) -> Capability {
        Capability::Domain(DomainRef { id: DomainId::BUILDER, generation: 0 }, rights)
    }

    const SOMEBODY: Peer =
        Peer { thread: ThreadRef { id: ThreadId::FIRST, generation: 4 }, domain: DomainId::BUILDER };
    const GUEST: GuestRef = GuestRef { id: GuestId::FIRST, generation: 2 };
    const GATE: Gate = Gate { server: SOMEBODY, badge: 7, grant_first: 1, grant_count: 2 };

    /// One slot of each kind, from 1 on.
    fn one_of_each() -> SlotTable {
        let mut slots = SlotTable::EMPTY;
        let held = [
            domain(Rights::BUILD),
            Capability::Region {
                region: RegionRef::NONE,
                rights: Rights::READ,
                lender: Some(SOMEBODY.domain),
            },
            Capability::Gate(GATE),
            Capability::Event { target: SOMEBODY, bit: 3 },
            Capability::Interrupt(InterruptId::new(9).unwrap()),
            Capability::Right(ObjectKind::LogRight),
            Capability::Guest(GUEST),
        ];
        for (slot, capability) in (1..).zip(held) {
            slots.fill(slot, capability).unwrap();
        }
        slots
    }

    #[test]
    fn each_look_up_finds_its_own_kind_and_refuses_every_other() {
        let slots = one_of_each();
        let look_ups = |slot| {
            [
                slots.domain(slot, Rights::empty()).map(drop),
                slots.region(slot, Rights::empty()).map(drop),
                slots.gate(slot).map(drop),
                slots.event(slot).map(drop),
                slots.interrupt(slot).map(drop),
                slots.right(slot, ObjectKind::LogRight),
                slots.guest(slot).map(drop),
            ]
        };
        for (own, slot) in (1..=7).enumerate() {
            for (kind, found) in look_ups(slot).into_iter().enumerate() {
                let expected = if kind == own { Ok(()) } else { Err(CallError::WrongType) };
                assert_eq!(found, expected, "kind {kind} in slot {slot}");
            }
        }
        assert_eq!(look_ups(8), [Err(CallError::BadSlot); 7]);
        assert_eq!(look_ups(MAX_SLOTS as u64), [Err(CallError::BadSlot); 7]);
    }

    #[test]
    fn what_a_slot_holds_is_found_as_it_was_put_there() {
        let slots = one_of_each();
        assert_eq!(slots.region(2, Rights::READ), Ok((RegionRef::NONE, Rights::READ)));
        assert_eq!(slots.region(2, Rights::READ | Rights::WRITE), Err(CallError::MissingRight));
        assert_eq!(slots.gate(3), Ok(&GATE));
        assert_eq!(slots.event(4), Ok(EventRef { target: SOMEBODY, bit: 3 }));
        assert_eq!(slots.interrupt(5), Ok(InterruptId::new(9).unwrap()));
        assert_eq!(slots.right(6, ObjectKind::ShutdownRight), Err(CallError::WrongType), "another right");
        assert_eq!(slots.guest(7), Ok(GUEST));
        let (kinds, rights): (Vec<_>, Vec<_>) =
            slots.iter().map(|(_, held)| (held.kind(), held.rights())).unzip();
        use ObjectKind::{Domain, Event, Gate, Guest, Interrupt, LogRight, Region};
        assert_eq!(kinds, [Domain, Region, Gate, Event, Interrupt, LogRight, Guest]);
        let none = Rights::empty();
        assert_eq!(rights, [Rights::BUILD, Rights::READ, none, none, none, none, none]);
        assert_eq!(Capability::Empty.kind(), ObjectKind::Empty);
    }

    #[test]
    fn a_slot_is_emptied_once_and_is_free_then() {
        let mut slots = one_of_each();
        assert_eq!(slots.check_free(5), Err(CallError::SlotTaken));
        assert_eq!(slots.check_free(MAX_SLOTS as u64), Err(CallError::BadArgument));
        assert_eq!(slots.take(5), Ok(Capability::Interrupt(InterruptId::new(9).unwrap())));
        assert_eq!(slots.take(5), Err(CallError::BadSlot));
        assert_eq!(slots.check_free(5), Ok(()));
        assert_eq!(slots.iter().map(|(slot, _)| slot).collect::<Vec<_>>(), [1, 2, 3, 4, 6, 7]);
        slots.retain(|slot, held| slot == 3 || held.kind() == ObjectKind::Event);
        assert_eq!(slots.iter().map(|(slot, _)| slot).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_region_is_held_with_rights_and_perhaps_lent() {
        let slots = one_of_each();
        let other = RegionRef { generation: 1, ..RegionRef::NONE };
        assert_eq!(
            [1, 2, MAX_SLOTS as u64].map(|slot| slots.lender(slot)),
            [None, Some(SOMEBODY.domain), None]
        );
        assert!(slots.holds(RegionRef::NONE, Rights::READ));
        assert!(!slots.holds(RegionRef::NONE, Rights::READ | Rights::WRITE));
        assert!(!slots.holds(other, Rights::READ));
    }

    #[test]
    fn gates_are_found_from_a_slot_on() {
        let mut slots = one_of_each();
        slots.replace(9, Capability::Gate(Gate { badge: 8, ..GATE }));
        let badges =
            |first| slots.gates_from(first).map(|(slot, gate)| (slot, gate.badge)).collect::<Vec<_>>();
        assert_eq!((badges(0), badges(3)), (std::vec![(3, 7), (9, 8)], std::vec![(3, 7), (9, 8)]));
        assert_eq!((badges(4), badges(10)), (std::vec![(9, 8)], std::vec![]));
    }

    #[test]
    fn a_slot_is_looked_up_by_number_type_and_right() {
        let mut slots = SlotTable::EMPTY;
        assert_eq!(slots.fill(5, domain(Rights::HANDLE_FAULT)), Ok(()));
        assert_eq!(slots.fill(5, domain(Rights::BUILD)), Err(CallError::SlotTaken));
        assert_eq!(slots.fill(MAX_SLOTS as u64, domain(Rights::BUILD)), Err(CallError::BadArgument));
        assert!(slots.domain(5, Rights::HANDLE_FAULT).is_ok());
        assert_eq!(slots.domain(5, Rights::BUILD), Err(CallError::MissingRight));
        assert_eq!(slots.region(5, Rights::empty()), Err(CallError::WrongType));
        assert_eq!(slots.gate(5), Err(CallError::WrongType));
        assert_eq!(slots.gate(6), Err(CallError::BadSlot));
        assert_eq!(slots.event(u64::MAX), Err(CallError::BadSlot));
        assert_eq!(slots.right(5, ObjectKind::LogRight), Err(CallError::WrongType));
    }

    #[test]
    fn rights_can_be_given_up_and_not_taken_back() {
        let mut slots = SlotTable::EMPTY;
        slots.fill(1, domain(Rights::BUILD | Rights::HANDLE_FAULT)).unwrap();
        assert_eq!(slots.limit(1, Rights::HANDLE_FAULT), Ok(()));
        assert_eq!(slots.limit(1, Rights::all()), Ok(()));
        assert_eq!(slots.domain(1, Rights::BUILD), Err(CallError::MissingRight));
        assert_eq!(slots.limit(2, Rights::all()), Err(CallError::BadSlot));
        slots.fill(2, Capability::Right(ObjectKind::CensusRight)).unwrap();
        assert_eq!(slots.limit(2, Rights::empty()), Err(CallError::WrongType));
    }

    #[test]
    fn grants_fill_their_places_and_no_others() {
        let mut slots = SlotTable::EMPTY;
        assert_eq!(slots.fill_first(3, 2, domain(Rights::BUILD)), Ok(3));
        assert_eq!(slots.fill_first(3, 2, domain(Rights::BUILD)), Ok(4));
        assert_eq!(slots.fill_first(3, 2, domain(Rights::BUILD)), Err(CallError::SlotTaken));
        assert_eq!(slots.fill_first(3, 0, domain(Rights::BUILD)), Err(CallError::SlotTaken));
        assert_eq!(slots.iter().count(), 2);
        slots.replace(3, Capability::Empty);
        assert_eq!(slots.iter().count(), 1);
    }
}
