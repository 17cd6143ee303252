//! What there is of everything, as kernel and builder count it.

use builder_api::manage::Client;
use cloison_abi::{ObjectKind, limits::MAX_DOMAINS};
use cloison_rt::sys::{Figures, Slot, census_read, figures, info};
use keeper_api::digest;

use crate::Failure;

/// A count of all that there is.
#[derive(Clone, PartialEq)]
pub struct Count {
    /// Of each domain: page tables, mappings, slots. Not its events, which come and go.
    domains: [[u64; 3]; MAX_DOMAINS],
    /// What is in all slots.
    census: u64,
    free_kib: u32,
    largest_kib: u32,
}

impl Count {
    /// Counts.
    pub fn take(builder: &Client) -> Result<Self, Failure> {
        let right = info::get().slot::<info::Right>(ObjectKind::CensusRight.name());
        let right = right.ok_or(Failure::Plan("this domain was not given the census right"))?;
        let mut domains = [[0; 3]; MAX_DOMAINS];
        for (index, domain) in (1..).zip(&mut domains) {
            let Ok(Figures { table_pages, mappings, slots, .. }) = figures(right, index) else { continue };
            *domain = [table_pages, mappings, slots];
        }
        let memory = builder.budget()?;
        let (free_kib, largest_kib) = (memory.free_kib, memory.largest_kib);
        Ok(Self { domains, census: census(right), free_kib, largest_kib })
    }
}

impl Count {
    /// Whether the domain at a place of the plan has the same by both counts.
    pub fn is_same_of(&self, other: &Self, place: u8) -> bool {
        // The builder comes first.
        let index = usize::from(place) + 1;
        self.domains.get(index) == other.domains.get(index)
    }
}

/// A digest of what is in all slots.
fn census(right: Slot) -> u64 {
    let (mut cursor, mut sum) = (0, digest::START);
    while let Ok(Some((entry, next))) = census_read(right, cursor) {
        cursor = next;
        let words = [entry.index.into(), entry.slot.into(), entry.kind as u64, entry.rights.bits().into()];
        sum = words.into_iter().fold(sum, digest::add);
    }
    sum
}
