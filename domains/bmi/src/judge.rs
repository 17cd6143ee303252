//! Who may ask for what, about whom.

use alloc::vec::Vec;

use bmi_api::manage::Refusal;
use cloison_abi::{
    Badge, Name,
    management::{self, Group, Operation, Permit},
};

/// What the manifest says, and the domains by their places in it.
#[derive(Debug)]
pub struct Judge<'a> {
    permits: &'a [Permit],
    groups: &'a [Group],
    domains: Vec<Name>,
}

/// The settings hold no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTable;

impl core::fmt::Display for NoTable {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("the settings of this domain do not say who may ask for what")
    }
}

impl core::error::Error for NoTable {}

impl<'a> Judge<'a> {
    /// Reads what the manifest says of these domains.
    ///
    /// # Errors
    /// [`NoTable`].
    pub fn new(settings: &'a [u8], domains: Vec<Name>) -> Result<Self, NoTable> {
        let (permits, groups) = management::read(settings).ok_or(NoTable)?;
        Ok(Self { permits, groups, domains })
    }

    /// Whether a client may ask for something that is about no domain.
    ///
    /// # Errors
    /// [`Refusal::NotAllowed`].
    pub fn may(&self, client: Badge, operation: Operation) -> Result<(), Refusal> {
        self.permit(client, operation).map(drop)
    }

    /// Whether a client may ask for something about a domain.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] if there is no such domain, [`Refusal::NotAllowed`].
    pub fn may_to(&self, client: Badge, operation: Operation, domain: Name) -> Result<(), Refusal> {
        let permit = self.permit(client, operation)?;
        let place = self.domains.iter().position(|known| *known == domain).ok_or(Refusal::Unknown)?;
        let is_its = permit.domains.checked_shr(place as u32).is_some_and(|domains| domains & 1 == 1);
        if is_its { Ok(()) } else { Err(Refusal::NotAllowed) }
    }

    fn permit(&self, client: Badge, operation: Operation) -> Result<&Permit, Refusal> {
        let mut its = self.permits.iter().filter(|permit| permit.badge == client.0);
        its.find(|permit| permit.operations & operation.bit() != 0).ok_or(Refusal::NotAllowed)
    }

    /// The group at a place.
    ///
    /// # Errors
    /// [`Refusal::UnknownGroup`].
    pub fn group(&self, place: u8) -> Result<Name, Refusal> {
        self.groups.get(usize::from(place)).map(|group| group.name).ok_or(Refusal::UnknownGroup)
    }

    /// The domain at a place of a group.
    ///
    /// # Errors
    /// [`Refusal::UnknownGroup`].
    pub fn member(&self, group: Name, place: u8) -> Result<Name, Refusal> {
        let group = self.groups.iter().find(|known| known.name == group).ok_or(Refusal::UnknownGroup)?;
        let member = group.members().get(usize::from(place)).ok_or(Refusal::UnknownGroup)?;
        self.domains.get(usize::from(*member)).copied().ok_or(Refusal::UnknownGroup)
    }
}

#[cfg(test)]
mod tests {
    use cloison_abi::management::{MEMBERS, ManagementHeader};
    use proptest::prelude::*;
    use std::vec;
    use zerocopy::IntoBytes;

    use super::*;

    fn named(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn words(bytes: &[u8]) -> Vec<u32> {
        bytes.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word)).collect()
    }

    fn domains() -> Vec<Name> {
        ["console", "stpm", "tpmdemo"].map(named).to_vec()
    }

    /// Client 4 may list, and start and kill the second domain; client 7 may do all with the second and the third.
    fn table() -> Vec<u32> {
        let all = Operation::ALL.iter().fold(0, |bits, operation| bits | operation.bit());
        let some = Operation::List.bit() | Operation::Start.bit() | Operation::Kill.bit();
        let permits = [
            Permit { badge: 4, operations: some, domains: 0b010 },
            Permit { badge: 7, operations: all, domains: 0b110 },
        ];
        let mut members = [0; MEMBERS];
        members[..2].copy_from_slice(&[2, 1]);
        let groups = [Group { name: named("test"), count: 2, members }];
        let header = ManagementHeader { permits: 2, groups: 1 };
        words(&[header.as_bytes(), permits.as_bytes(), groups.as_bytes()].concat())
    }

    /// Each client, operation and domain, granted and denied.
    #[test]
    fn nobody_may_more_than_the_manifest_says() {
        let table = table();
        let judge = Judge::new(table.as_bytes(), domains()).unwrap();
        for client in 0..10 {
            for operation in Operation::ALL {
                let is_its = match client {
                    4 => matches!(operation, Operation::List | Operation::Start | Operation::Kill),
                    7 => true,
                    _ => false,
                };
                assert_eq!(judge.may(Badge(client), operation).is_ok(), is_its, "{client} {operation:?}");
                for domain in ["console", "stpm", "tpmdemo", "nobody"] {
                    let reaches = matches!((client, domain), (4 | 7, "stpm") | (7, "tpmdemo"));
                    let expected = match (is_its, domain) {
                        (false, _) => Err(Refusal::NotAllowed),
                        (true, "nobody") => Err(Refusal::Unknown),
                        (true, _) if reaches => Ok(()),
                        (true, _) => Err(Refusal::NotAllowed),
                    };
                    let found = judge.may_to(Badge(client), operation, named(domain));
                    assert_eq!(found, expected, "{client} {operation:?} {domain}");
                }
            }
        }
    }

    #[test]
    fn groups_are_told_in_their_order() {
        let table = table();
        let judge = Judge::new(table.as_bytes(), domains()).unwrap();
        assert_eq!((judge.group(0), judge.group(1)), (Ok(named("test")), Err(Refusal::UnknownGroup)));
        let member = |group, place| judge.member(named(group), place);
        assert_eq!((member("test", 0), member("test", 1)), (Ok(named("tpmdemo")), Ok(named("stpm"))));
        assert_eq!(
            (member("test", 2), member("tset", 0)),
            (Err(Refusal::UnknownGroup), Err(Refusal::UnknownGroup))
        );
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert_eq!(Judge::new(&[], vec![]).unwrap_err(), NoTable);
        let table = table();
        for bytes in 0..table.as_bytes().len() {
            assert!(Judge::new(&table.as_bytes()[..bytes], domains()).is_err(), "{bytes}");
        }
    }

    proptest! {
        /// Whatever the table is, it is read or refused, and everything can be asked.
        #[test]
        fn any_table(mut words in prop::collection::vec(any::<u32>(), 2..60), counts in (0..3_u32, 0..3_u32)) {
            (words[0], words[1]) = counts;
            let Ok(judge) = Judge::new(words.as_bytes(), domains()) else { return Ok(()) };
            for operation in Operation::ALL {
                let _ = judge.may_to(Badge(words[1]), operation, named("stpm"));
            }
            for place in 0..=u8::MAX {
                let _ = judge.group(0).and_then(|group| judge.member(group, place));
            }
        }
    }
}
