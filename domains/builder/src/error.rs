//! Why something cannot be built.

use core::fmt;

use cloison_abi::{ABI_VERSION, CallError, Name, PciFunction, image::Digest};

use crate::hex::Hex;

/// Why the system, or a domain, cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// The image is damaged: how.
    Image(&'static str),
    /// The plan is of another version of the contract: which.
    Version(u32),
    /// The program of a domain is not the one that the plan names.
    Program {
        /// The domain.
        domain: Name,
        /// Digest of the program that the plan names.
        planned: Digest,
        /// Digest of the program that is there.
        found: Digest,
    },
    /// A file is not the one that the plan names.
    File {
        /// Its name in the plan.
        name: Name,
        /// Digest of the file that the plan names.
        planned: Digest,
        /// Digest of the file that is there.
        found: Digest,
    },
    /// The plan lets a domain reach something that its policy does not say.
    Policy {
        /// The domain.
        who: Name,
        /// What it reaches: another domain, a device, a right.
        whom: Name,
        /// By what.
        how: &'static str,
    },
    /// The machine has too little memory in one piece.
    Piece {
        /// How much is needed, in pages.
        needed: u64,
        /// How much there is in the largest piece, in pages.
        largest: u64,
    },
    /// The machine has too little memory.
    Memory {
        /// How much is needed, in pages.
        needed: u64,
        /// How much there is, in pages.
        left: u64,
    },
    /// The kernel has refused the registers of a device.
    Registers {
        /// The device.
        device: Name,
        /// The physical address at which the plan has them.
        address: u64,
        /// Why.
        error: CallError,
    },
    /// The kernel has no configuration page for a device.
    ConfigurationPage {
        /// The device.
        device: Name,
        /// Its PCI function.
        function: PciFunction,
        /// Why.
        error: CallError,
    },
    /// What was kept of a domain is not what it was.
    Changed,
    /// The builder has no slot, or no event bit, left: which of the two.
    NoneLeft(&'static str),
    /// The kernel refused a step: which, and why.
    Refused(&'static str, CallError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(what) => write!(out, "the system image is damaged: {what}"),
            Self::Version(found) => {
                write!(out, "the plan has ABI version {found}, this builder {ABI_VERSION}")
            }
            Self::Program { domain, planned, found } => {
                write!(out, "the program of domain {domain} is not the one in the plan; ")?;
                differ(out, planned, found)
            }
            Self::File { name, planned, found } => {
                write!(out, "the file {name} is not the one in the plan; ")?;
                differ(out, planned, found)
            }
            Self::Policy { who, whom, how } => {
                write!(out, "the policy does not say that {who} reaches {whom} by {how}, and the plan does")
            }
            Self::Piece { needed, largest } => {
                let (needed, largest) = (needed * 4, largest * 4);
                write!(
                    out,
                    "too little memory in one piece: {needed} KiB needed, the largest piece has {largest} KiB"
                )
            }
            Self::Memory { needed, left } => {
                write!(out, "too little memory: {} KiB needed, {} KiB free", needed * 4, left * 4)
            }
            Self::Registers { device, address, error } => write!(
                out,
                "the kernel refused the registers of {device} at {address:#x}, where the platform's file has them: {error}"
            ),
            Self::ConfigurationPage { device, function, error } => write!(
                out,
                "the kernel has no configuration page for {device}, PCI function {function}: {error}; ACPI's table MCFG says \
                 on which buses functions have one"
            ),
            Self::Changed => {
                out.write_str("what was saved of a domain was changed since; it does not go on from there")
            }
            Self::NoneLeft(what) => write!(out, "the builder has no {what} left"),
            Self::Refused(step, error) => write!(out, "the kernel refused a step ({step}): {error}"),
        }
    }
}

fn differ(out: &mut fmt::Formatter<'_>, planned: &Digest, found: &Digest) -> fmt::Result {
    write!(out, "its digest is {}..., not {}...", Hex(&found[..8]), Hex(&planned[..8]))
}
