//! The system image as the builder sees it: the plan and the programs, each checked before use.

use cloison_abi::{
    Name,
    image::{Digest, ImageHeader},
    limits::PAGE_BYTES,
    plan::FileEntry,
};
use sha2::{Digest as _, Sha256};
use zerocopy::FromBytes;

use crate::{BuildError, Plan, Policy, Program};

/// The system image.
pub struct Image<'a> {
    bytes: &'a [u8],
    header: ImageHeader,
    plan: Plan<'a>,
}

impl<'a> Image<'a> {
    /// Opens an image.
    ///
    /// # Errors
    /// [`BuildError::Image`], [`BuildError::Version`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, BuildError> {
        let header =
            ImageHeader::read_from_prefix(bytes).map_err(|_| BuildError::Image("it has no header"))?.0;
        let plan = range(bytes, header.plan_offset, header.plan_bytes);
        let plan = plan.ok_or(BuildError::Image("the plan is not all there"))?;
        Ok(Self { bytes, header, plan: Plan::open(plan)? })
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan<'a> {
        &self.plan
    }

    /// The digest of the plan, which was checked.
    #[must_use]
    pub fn plan_digest(&self) -> &Digest {
        &self.header.plan_digest
    }

    /// Bytes of the image.
    ///
    /// # Errors
    /// [`BuildError::Image`] if they are not all there.
    pub fn range(&self, offset: u64, bytes: u64) -> Result<&'a [u8], BuildError> {
        range(self.bytes, offset, bytes).ok_or(BuildError::Image("a part that the plan names is not there"))
    }

    /// Checks the digests of the plan, of every program and of every file, and that the policy says all that the plan allows.
    ///
    /// # Errors
    /// [`BuildError::Image`], [`BuildError::Program`], [`BuildError::File`], [`BuildError::Policy`].
    pub fn check(&self) -> Result<(), BuildError> {
        let plan = self.range(self.header.plan_offset, self.header.plan_bytes)?;
        if digest(plan) != self.header.plan_digest {
            return Err(BuildError::Image("the plan's digest is wrong"));
        }
        self.plan.all_programs().try_for_each(|program| self.check_program(&program?))?;
        self.plan.files.iter().try_for_each(|file| self.check_file(file))?;
        let header = self.plan.header;
        let policy = self.range(header.policy_offset.into(), header.policy_bytes.into())?;
        Policy::read(policy)?.covers(&self.plan)
    }

    /// Checks the digest of a domain's program.
    ///
    /// # Errors
    /// [`BuildError::Image`], [`BuildError::Program`].
    pub fn check_program(&self, program: &Program) -> Result<(), BuildError> {
        let found = digest(self.range(program.image_offset, program.image_bytes)?);
        if found == program.digest {
            return Ok(());
        }
        Err(BuildError::Program { domain: program.domain, planned: program.digest, found })
    }

    /// The digest of a domain's program as the boot loader measures it: to the end of its last page.
    ///
    /// # Errors
    /// [`BuildError::Image`].
    pub fn measure_program(&self, program: &Program) -> Result<Digest, BuildError> {
        let bytes = program.image_bytes.checked_next_multiple_of(PAGE_BYTES);
        let bytes = bytes.ok_or(BuildError::Image("a program has no end"))?;
        self.range(program.image_offset, bytes).map(digest)
    }

    fn check_file(&self, file: &FileEntry) -> Result<(), BuildError> {
        let found = digest(self.range(file.image_offset, file.image_bytes)?);
        if found == file.digest {
            return Ok(());
        }
        let region = self.plan.regions.get(file.region as usize);
        let name = region.map_or(Name::EMPTY, |region| region.name);
        Err(BuildError::File { name, planned: file.digest, found })
    }
}

fn range(bytes: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(start..end)
}

fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}
