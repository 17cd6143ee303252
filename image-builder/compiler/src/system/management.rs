//! What the manager does for its clients, and groups of domains.

use cloison_abi::ObjectKind;
use cloison_abi::management::{Group, ManagementHeader, Operation, Permit};

use super::{DomainId, Draft, Named, Right};
use crate::diagnostic::At;
use crate::manifest::{Component, GroupTable, PermitTable};

/// The manager's gate for those who have domains started.
pub const BMI_GATE: &str = "bmi";

/// The right of the domain that starts and ends others.
pub const MANAGE_RIGHT: Right = Right(ObjectKind::ManageRight);

/// Who may have what done to which domains.
#[derive(Debug, Default)]
pub struct Management {
    /// What the manager does for whom.
    pub permits: Vec<ManagementPermit>,
    /// Domains that are started together.
    pub groups: Vec<DomainGroup>,
}

/// What the manager does for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManagementPermit {
    /// The client.
    pub client: DomainId,
    /// Bits of [`Operation`].
    pub operations: u32,
    /// A bit for each domain.
    pub domains: u32,
}

/// Domains that are started together.
#[derive(Debug)]
pub struct DomainGroup {
    /// What the group is called.
    pub name: String,
    /// The domains, in the order in which they are started.
    pub members: Vec<DomainId>,
}

impl Management {
    /// `None` if a name leads nowhere, which the checks have ruled out.
    pub(super) fn resolve(draft: &Draft<'_>) -> Option<Self> {
        let mut permits = Vec::new();
        for (client, domain) in draft.domains.iter().enumerate() {
            for table in domain.uses.iter().filter_map(|gate_use| gate_use.table.permit.as_ref()) {
                permits.push(permit(draft, DomainId(client), table)?);
            }
        }
        let groups = draft.inputs.manifest.groups.iter();
        let group = |table: &GroupTable| {
            let members = table.start.iter().map(|written| place(draft, written).map(DomainId));
            Some(DomainGroup { name: table.name.value.clone(), members: members.collect::<Option<_>>()? })
        };
        Some(Self { permits, groups: groups.map(group).collect::<Option<_>>()? })
    }
}

impl Draft<'_> {
    /// The domain that starts and ends others. Without one, the domain that is meant to: its component asks for the
    /// right.
    #[must_use]
    pub fn manager(&self) -> Option<usize> {
        let is_manager = |held: &Named<'_, Right>| held.found == Some(MANAGE_RIGHT);
        let exact = self.domains.iter().position(|domain| domain.rights.iter().any(is_manager));
        let asks = |component: &Component| {
            component.rights.iter().any(|need| Right::from_name(&need.value) == Some(MANAGE_RIGHT))
        };
        exact.or_else(|| self.domains.iter().position(|domain| domain.component.is_some_and(asks)))
    }

    /// How many bytes the manager is told of it.
    pub(super) fn management_bytes(&self) -> usize {
        let uses = self.domains.iter().flat_map(|domain| &domain.uses);
        let permits = uses.filter(|gate_use| gate_use.table.permit.is_some()).count();
        let groups = self.inputs.manifest.groups.len();
        size_of::<ManagementHeader>() + permits * size_of::<Permit>() + groups * size_of::<Group>()
    }
}

fn permit(draft: &Draft<'_>, client: DomainId, table: &PermitTable) -> Option<ManagementPermit> {
    let operations = table.may.iter().map(|written| Some(Operation::from_name(&written.value)?.bit()));
    let operations: Vec<u32> = operations.collect::<Option<_>>()?;
    let places: Vec<usize> = match &table.on {
        Some(on) => on.iter().map(|written| place(draft, written)).collect::<Option<_>>()?,
        None => on_request(draft).collect(),
    };
    let domains = places.into_iter().fold(0, |bits, place| bits | 1 << place);
    Some(ManagementPermit {
        client,
        operations: operations.into_iter().fold(0, |bits, bit| bits | bit),
        domains,
    })
}

fn on_request(draft: &Draft<'_>) -> impl Iterator<Item = usize> {
    let domains = draft.domains.iter().enumerate();
    domains.filter(|(_, domain)| domain.table.on_request().is_some()).map(|(place, _)| place)
}

fn place(draft: &Draft<'_>, written: &At<String>) -> Option<usize> {
    draft.domains.iter().position(|domain| domain.table.name.value == written.value)
}
