//! The system image as the builder sees it: the plan's tables and the programs, each checked before use.

use cloison_abi::{
    ABI_VERSION,
    image::{Digest, ImageHeader},
    plan::{
        DomainEntry, LoadEntry, MappingEntry, PLAN_MAGIC, PlanHeader, PortEntry, RegionEntry, SlotEntry,
        Table,
    },
};
use cloison_rt::log;
use sha2::{Digest as _, Sha256};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::build::BuildError;

/// The system image.
pub struct Image {
    bytes: &'static [u8],
    header: ImageHeader,
    plan: Plan,
}

/// The plan's tables.
#[derive(Clone, Copy)]
pub struct Plan {
    pub header: &'static PlanHeader,
    pub domains: &'static [DomainEntry],
    pub regions: &'static [RegionEntry],
    pub loads: &'static [LoadEntry],
    pub mappings: &'static [MappingEntry],
    pub slots: &'static [SlotEntry],
    pub ports: &'static [PortEntry],
}

impl Image {
    /// Opens the image at the address that the kernel gave.
    pub fn open(address: u64) -> Result<Self, BuildError> {
        let bytes =
            cloison_sys::window::image(address).ok_or(BuildError::Image("there is no system image"))?;
        let header =
            ImageHeader::read_from_prefix(bytes).map_err(|_| BuildError::Image("it has no header"))?.0;
        let range = range(bytes, header.plan_offset, header.plan_bytes);
        let plan = range.ok_or(BuildError::Image("the plan is not all there"))?;
        Ok(Self { bytes, header, plan: Plan::open(plan)? })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bytes of the image.
    pub fn range(&self, offset: u64, bytes: u64) -> Result<&'static [u8], BuildError> {
        range(self.bytes, offset, bytes).ok_or(BuildError::Image("a part that the plan names is not there"))
    }

    /// Checks the digests of the plan and of every program.
    pub fn check(&self) -> Result<(), BuildError> {
        let plan = self.range(self.header.plan_offset, self.header.plan_bytes)?;
        if digest(plan) != self.header.plan_digest {
            return Err(BuildError::Image("the plan's digest is wrong"));
        }
        self.plan.domains.iter().try_for_each(|domain| self.check_program(domain))
    }

    /// Checks the digest of a domain's program.
    pub fn check_program(&self, domain: &DomainEntry) -> Result<(), BuildError> {
        let program = self.range(domain.image_offset, domain.image_bytes)?;
        let found = digest(program);
        if found != domain.digest {
            log!("digest of {}: in the plan {}...", domain.name, Hex(&domain.digest[..8]));
            log!("digest of {}: found       {}...", domain.name, Hex(&found[..8]));
            return Err(BuildError::Digest(domain.name));
        }
        Ok(())
    }
}

impl Plan {
    fn open(bytes: &'static [u8]) -> Result<Self, BuildError> {
        let damaged = BuildError::Image("the plan is damaged");
        let Ok((header, _)) = PlanHeader::ref_from_prefix(bytes) else { return Err(damaged) };
        if header.magic != PLAN_MAGIC {
            return Err(BuildError::Image("the plan does not begin as one"));
        }
        if header.abi_version != ABI_VERSION {
            return Err(BuildError::Version(header.abi_version));
        }
        Ok(Self {
            header,
            domains: table(bytes, header.domains)?,
            regions: table(bytes, header.regions)?,
            loads: table(bytes, header.loads)?,
            mappings: table(bytes, header.mappings)?,
            slots: table(bytes, header.slots)?,
            ports: table(bytes, header.ports)?,
        })
    }
}

fn table<T: FromBytes + KnownLayout + Immutable>(
    plan: &'static [u8],
    table: Table,
) -> Result<&'static [T], BuildError> {
    let cut = BuildError::Image("a table of the plan is not all there");
    let Some(rest) = plan.get(table.offset as usize..) else { return Err(cut) };
    match <[T]>::ref_from_prefix_with_elems(rest, table.count as usize) {
        Ok((entries, _)) => Ok(entries),
        Err(_) => Err(cut),
    }
}

fn range(bytes: &'static [u8], offset: u64, length: u64) -> Option<&'static [u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(start..end)
}

fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Bytes, shown in hexadecimal.
pub struct Hex<'a>(pub &'a [u8]);

impl core::fmt::Display for Hex<'_> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}
