//! What the bytes of the policies say.

use cloison_abi::{
    Name,
    access::Classes,
    limits::MAX_DOMAINS,
    policy::{FIRST_INDEX, MAX_POLICIES, PolicyDomain, PolicyHeader, PolicyRule, PolicyStart, PolicyWall},
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::{Domains, Fault, Flow, fault};

/// All policies of a system, and the domains that they are about.
#[derive(Clone, Copy, Debug)]
pub struct Policies<'a> {
    domains: Domains<'a>,
    /// What comes behind the domains.
    rest: &'a [u8],
    count: u32,
}

/// What one policy says.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// Its name.
    pub name: Name,
    /// What is allowed.
    pub rules: &'a [PolicyRule],
    /// What is kept apart, whatever is allowed.
    pub walls: &'a [PolicyWall],
}

impl<'a> Policies<'a> {
    /// Reads what all policies are about. Each of them is judged when it is looked up.
    ///
    /// # Errors
    /// [`Fault::Cut`], [`Fault::Domains`], [`Fault::Domain`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let (header, rest) = PolicyHeader::ref_from_prefix(bytes).map_err(|_| Fault::Cut)?;
        if header.domains > MAX_DOMAINS as u32 + 1 - FIRST_INDEX {
            return Err(Fault::Domains(header.domains));
        }
        let (table, rest) = table::<PolicyDomain>(rest, header.domains)?;
        let domains = Domains::new(header, table);
        match table.iter().position(|domain| !domains.has_kind(domain.kind)) {
            Some(place) => Err(Fault::Domain(place)),
            None => Ok(Self { domains, rest, count: header.policies }),
        }
    }

    /// The domains.
    #[must_use]
    pub fn domains(&self) -> Domains<'a> {
        self.domains
    }

    /// The policy with this name, if it is one that can be in force. None if there is none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn find(&self, name: Name) -> Result<Option<Policy<'a>>, Fault> {
        for policy in self.all() {
            let policy = policy?;
            if policy.name == name {
                return policy.faults(self.domains).next().map_or(Ok(Some(policy)), Err);
            }
        }
        Ok(None)
    }

    /// The names of the policies, up to one that is cut off.
    pub fn names(&self) -> impl Iterator<Item = Name> + use<'a> {
        self.all().map_while(Result::ok).map(|policy| policy.name)
    }

    /// Whether one of the policies lets a domain do this.
    #[must_use]
    pub fn ever_allow(&self, flow: Flow) -> bool {
        self.all().flatten().any(|policy| policy.rule(self.domains, flow).is_some())
    }

    /// All policies, up to one that is cut off.
    fn all(&self) -> impl Iterator<Item = Result<Policy<'a>, Fault>> + use<'a> {
        let (mut rest, mut left) = (self.rest, self.count.min(MAX_POLICIES as u32));
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let read = Policy::read(rest);
            match &read {
                Ok((_, behind)) => rest = behind,
                Err(_) => left = 0,
            }
            Some(read.map(|(policy, _)| policy))
        })
    }
}

impl<'a> Policy<'a> {
    /// Reads one policy; what comes behind it is the second value.
    fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Fault> {
        let (start, rest) = PolicyStart::ref_from_prefix(bytes).map_err(|_| Fault::Cut)?;
        let (rules, rest) = table(rest, start.rules)?;
        let (walls, rest) = table(rest, start.walls)?;
        Ok((Self { name: start.name, rules, walls }, rest))
    }

    /// Everything that is wrong with it.
    pub fn faults(self, domains: Domains<'a>) -> impl Iterator<Item = Fault> + use<'a> {
        fault::faults(domains, self.rules, self.walls)
    }

    /// The first rule that lets domains of the subject's type do this to those of the object's.
    #[must_use]
    pub fn rule(&self, domains: Domains<'_>, flow: Flow) -> Option<&'a PolicyRule> {
        let (from, to) = (domains.kind(flow.subject)?, domains.kind(flow.object)?);
        let mut rules = self.rules.iter().filter(|rule| (rule.from, rule.to) == (from.into(), to.into()));
        rules.find(|rule| Classes::from_bits_truncate(rule.may).contains(flow.class.bit()))
    }
}

fn table<T: FromBytes + Immutable + KnownLayout>(bytes: &[u8], count: u32) -> Result<(&[T], &[u8]), Fault> {
    <[T]>::ref_from_prefix_with_elems(bytes, count as usize).map_err(|_| Fault::Cut)
}
