//! Images with something wrong in them.

use cloison_abi::image::ImageHeader;
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::plan::PlanHeader;
use zerocopy::FromBytes;

/// What is wrong with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// It does not begin like an image.
    Magic,
    /// It was made for another version of the contract.
    AbiVersion,
    /// One bit of the plan has changed.
    Plan,
    /// One letter has changed of what the policy says of a right.
    Policy,
    /// The file ends in the middle of the plan.
    Truncated,
    /// The file has a page behind the last row.
    Longer,
    /// One bit of the last domain's program has changed.
    Domain,
    /// One bit of the builder's program has changed.
    Builder,
    /// The header gives the builder other page tables.
    Header,
    /// A byte behind the last domain's program has changed, which is nobody's; and it was built so.
    Padding,
}

impl Damage {
    /// Reads the name that a scenario gives it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "magic" => Self::Magic,
            "abi-version" => Self::AbiVersion,
            "plan" => Self::Plan,
            "policy" => Self::Policy,
            "truncated" => Self::Truncated,
            "longer" => Self::Longer,
            "domain" => Self::Domain,
            "builder" => Self::Builder,
            "header" => Self::Header,
            "padding" => Self::Padding,
            _ => return None,
        })
    }

    /// Whether it happened before the list was made of what the loader has to find.
    #[must_use]
    pub fn is_listed(self) -> bool {
        matches!(self, Self::Padding)
    }

    /// Does it to an image. `None` if this is no image.
    #[must_use]
    pub fn apply(self, mut image: Vec<u8>) -> Option<Vec<u8>> {
        let plan = usize::try_from(ImageHeader::read_from_prefix(&image).ok()?.0.plan_offset).ok()?;
        // Programs lie before the policy, and that before the plan.
        let programs = PlanHeader::read_from_prefix(image.get(plan..)?).ok()?.0.policy_offset as usize;
        let (header, _) = ImageHeader::mut_from_prefix(&mut image).ok()?;
        let middle = plan + usize::try_from(header.plan_bytes / 2).ok()?;
        match self {
            Self::Magic => header.magic[0] ^= 1,
            Self::AbiVersion => header.abi_version += 1,
            Self::Plan => *image.get_mut(middle)? ^= 1,
            Self::Policy => {
                let mut lines = image.get_mut(programs..plan)?.split_mut(|byte| *byte == b'\n');
                *lines.find(|line| line.ends_with(b"-right"))?.last_mut()? ^= 1;
            }
            Self::Truncated => image.truncate(middle),
            Self::Longer => image.resize(image.len() + PAGE_BYTES as usize, 0),
            Self::Builder => {
                let entry = header.builder_entry;
                let text = header.builder_segments.iter().find(|segment| {
                    let end = segment.address + u64::from(segment.pages) * PAGE_BYTES;
                    (segment.address..end).contains(&entry)
                })?;
                let last = text.image_offset + u64::from(text.pages) * PAGE_BYTES - 1;
                *image.get_mut(usize::try_from(last).ok()?)? ^= 1;
            }
            Self::Header => header.builder_quota_pages ^= 1,
            // A program's last page is filled up with zeros.
            Self::Padding => *image.get_mut(..programs)?.last_mut().filter(|byte| **byte == 0)? ^= 1,
            Self::Domain => {
                // Pages are filled up with zeros, which belong to nobody.
                *image.get_mut(..programs)?.iter_mut().rfind(|byte| **byte != 0)? ^= 1;
            }
        }
        Some(image)
    }
}
