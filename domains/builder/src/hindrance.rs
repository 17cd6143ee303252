//! What the plan gives a domain that cannot be kept with it.

use builder_api::manage::Refusal;
use cloison_abi::Name;

use crate::Plan;

/// Something that a domain has, and that is not its own alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hindrance {
    pub(crate) refusal: Refusal,
    /// The device, or the memory.
    pub(crate) what: Name,
    /// The other one who has that memory, lends it or is lent it.
    pub(crate) whose: Name,
}

impl Plan<'_> {
    /// Why a domain cannot be saved at any time: the first thing of that kind that it has, if it has any.
    pub(crate) fn hindrance(&self, domain: u32) -> Option<Hindrance> {
        self.own_device(domain).or_else(|| self.loan(domain)).or_else(|| self.shared_memory(domain))
    }

    fn own_device(&self, domain: u32) -> Option<Hindrance> {
        let device = self.devices_of(domain).next()?;
        let what = self.devices.get(device as usize)?.name;
        Some(Hindrance { refusal: Refusal::HasDevice, what, whose: Name::EMPTY })
    }

    /// Memory that it can lend, or a client that can lend it some.
    fn loan(&self, domain: u32) -> Option<Hindrance> {
        let refusal = Refusal::HasLoans;
        let lends = self.region_slots.iter().find(|slot| slot.domain == domain);
        let lends = lends.map(|slot| Hindrance {
            refusal,
            what: self.region_name(slot.region as usize),
            whose: Name::EMPTY,
        });
        let takes = || {
            let gate = self
                .gates
                .iter()
                .find(|gate| gate.grants > 0 && self.domain_of(gate.server) == Ok(domain))?;
            Some(Hindrance { refusal, what: Name::EMPTY, whose: self.domain_name(gate.domain) })
        };
        lends.or_else(takes)
    }

    /// Memory that it does not have of the budget for itself.
    fn shared_memory(&self, domain: u32) -> Option<Hindrance> {
        let is_own = |place: usize| self.is_of_budget(place) && self.regions[place].owner == domain;
        let place = (0..self.regions.len()).find(|place| self.needs(domain, *place) && !is_own(*place))?;
        let other =
            (0..self.domains.len() as u32).find(|other| *other != domain && self.needs(*other, place));
        let whose = other.map_or(Name::EMPTY, |other| self.domain_name(other));
        Some(Hindrance { refusal: Refusal::HasShared, what: self.region_name(place), whose })
    }

    fn region_name(&self, place: usize) -> Name {
        self.regions.get(place).map_or(Name::EMPTY, |region| region.name)
    }

    fn domain_name(&self, domain: u32) -> Name {
        self.domain(domain).map_or(Name::EMPTY, |entry| entry.name)
    }
}
