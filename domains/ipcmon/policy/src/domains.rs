//! The domains that policies are about.

use cloison_abi::{
    Name,
    access::Classes,
    policy::{FIRST_INDEX, MAX_TYPES, PolicyDomain, PolicyHeader},
};

/// What is the same whatever policy is in force: the domains of a system, by their indices in the kernel's tables, and
/// their types.
#[derive(Clone, Copy, Debug)]
pub struct Domains<'a> {
    pub(crate) types: &'a [Name; MAX_TYPES],
    pub(crate) table: &'a [PolicyDomain],
}

impl<'a> Domains<'a> {
    /// These domains.
    #[must_use]
    pub fn new(header: &'a PolicyHeader, table: &'a [PolicyDomain]) -> Self {
        Self { types: &header.types, table }
    }

    /// Every domain with its index.
    pub fn all(&self) -> impl Iterator<Item = (u8, &'a PolicyDomain)> + Clone + use<'a> {
        (FIRST_INDEX as u8..).zip(self.table)
    }

    /// The domains about which the monitor is asked, each with the classes.
    pub fn judged(&self) -> impl Iterator<Item = (u8, Classes)> + use<'a> {
        let asked = self.all().map(|(index, domain)| (index, Classes::from_bits_truncate(domain.asked)));
        asked.filter(|(_, classes)| !classes.is_empty())
    }

    /// The index of the domain with this name.
    #[must_use]
    pub fn find(&self, name: Name) -> Option<u8> {
        self.all().find(|(_, domain)| domain.name == name).map(|(index, _)| index)
    }

    /// The name of the domain with this index; empty if there is none.
    #[must_use]
    pub fn name(&self, index: u8) -> Name {
        self.domain(index).map_or(Name::EMPTY, |domain| domain.name)
    }

    /// The number of a domain's type.
    #[must_use]
    pub fn kind(&self, index: u8) -> Option<u8> {
        let kind = usize::try_from(self.domain(index)?.kind).ok()?;
        (kind < MAX_TYPES).then_some(kind as u8)
    }

    /// The name of a domain's type; empty if there is no such domain.
    #[must_use]
    pub fn kind_of(&self, index: u8) -> Name {
        self.kind(index).map_or(Name::EMPTY, |kind| self.kind_name(kind))
    }

    /// The name of a type; empty if there is none.
    #[must_use]
    pub fn kind_name(&self, kind: u8) -> Name {
        self.types.get(usize::from(kind)).copied().unwrap_or(Name::EMPTY)
    }

    pub(crate) fn domain(&self, index: u8) -> Option<&'a PolicyDomain> {
        self.table.get(usize::from(index).checked_sub(FIRST_INDEX as usize)?)
    }

    /// Whether a type of this number has a name.
    pub(crate) fn has_kind(&self, kind: u32) -> bool {
        let name = usize::try_from(kind).ok().and_then(|kind| self.types.get(kind));
        name.is_some_and(|name| *name != Name::EMPTY)
    }
}
