//! The policy, as the manifest states it.

use cloison_abi::{
    Name,
    access::{Class, Classes},
    policy::{FIRST_INDEX, PolicyDomain, PolicyHeader, PolicyRule},
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// What the bytes of a policy say.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    header: &'a PolicyHeader,
    domains: &'a [PolicyDomain],
    rules: &'a [PolicyRule],
}

/// Bytes that are no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPolicy;

impl core::fmt::Display for BadPolicy {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("the settings of this domain hold no policy")
    }
}

impl core::error::Error for BadPolicy {}

impl<'a> Policy<'a> {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`BadPolicy`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, BadPolicy> {
        let (header, rest) = PolicyHeader::ref_from_prefix(bytes).map_err(|_| BadPolicy)?;
        let (domains, rest) = table(rest, header.domains)?;
        let (rules, _) = table(rest, header.rules)?;
        Ok(Self { header, domains, rules })
    }

    /// The domains about which the monitor is asked, by their indices, each with the classes.
    pub fn judged(&self) -> impl Iterator<Item = (u8, Classes)> {
        let domains = (FIRST_INDEX as u8..).zip(self.domains);
        let asked = domains.map(|(index, domain)| (index, Classes::from_bits_truncate(domain.asked)));
        asked.filter(|(_, classes)| !classes.is_empty())
    }

    /// The index of the domain with this name.
    #[must_use]
    pub fn find(&self, name: Name) -> Option<u8> {
        (FIRST_INDEX as u8..)
            .zip(self.domains)
            .find(|(_, domain)| domain.name == name)
            .map(|(index, _)| index)
    }

    /// The name of the domain with this index; empty if there is none.
    #[must_use]
    pub fn name(&self, index: u8) -> Name {
        self.domain(index).map_or(Name::EMPTY, |domain| domain.name)
    }

    /// The name of a domain's type.
    #[must_use]
    pub fn kind(&self, index: u8) -> Name {
        let kind = self.domain(index).and_then(|domain| self.header.types.get(domain.kind as usize));
        kind.copied().unwrap_or(Name::EMPTY)
    }

    /// Whether some rule lets domains of the subject's type do this to those of the object's.
    #[must_use]
    pub fn allows(&self, subject: u8, object: u8, class: Class) -> bool {
        let (Some(from), Some(to)) = (self.domain(subject), self.domain(object)) else { return false };
        let mut rules = self.rules.iter().filter(|rule| (rule.from, rule.to) == (from.kind, to.kind));
        rules.any(|rule| Classes::from_bits_truncate(rule.may).contains(class.bit()))
    }

    fn domain(&self, index: u8) -> Option<&'a PolicyDomain> {
        self.domains.get(usize::from(index).checked_sub(FIRST_INDEX as usize)?)
    }
}

fn table<T: FromBytes + Immutable + KnownLayout>(
    bytes: &[u8],
    count: u32,
) -> Result<(&[T], &[u8]), BadPolicy> {
    <[T]>::ref_from_prefix_with_elems(bytes, count as usize).map_err(|_| BadPolicy)
}
