//! From a manifest to a system image: read, resolve, check, plan, write.
//!
//! | stage | from | to |
//! |---|---|---|
//! | [`manifest`] | files | what they say, with places |
//! | [`system`] | that | a draft with names looked up, then the system |
//! | [`check`] | the draft | faults, all of them |
//! | [`plan`](mod@plan) | the system and the programs of its components | addresses, slots, badges, quotas |
//! | [`emit`] | the plan | the bytes of the image |
//!
//! [`report`](mod@report) and [`graph`] show a system to a person. The binary of this crate adds what needs
//! other tools: building the programs ([`build`], [`cargo_build`]), writing a disc ([`disc`]), running it
//! ([`run`], [`bench`](mod@bench)).

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod bench;
pub mod build;
pub mod cargo_build;
pub mod check;
pub mod cli;
pub mod diagnostic;
pub mod disc;
pub mod emit;
mod failure;
pub mod graph;
pub mod interrupts;
pub mod manifest;
pub mod patience;
pub mod plan;
pub mod process;
pub mod progress;
pub mod report;
pub mod run;
pub mod scratch;
pub mod system;
pub mod tools;
pub mod visible;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use check::checks_table;
pub use diagnostic::{Diagnostic, Report};
pub use emit::image;
pub use failure::Failure;
pub use graph::{graph_dot, graph_svg};
pub use manifest::{Addition, Platform};
pub use plan::{Plan, plan};
pub use report::report;
pub use system::{ComponentRef, System};

use manifest::Inputs;
use system::Draft;

/// The component that builds all domains; every system has it, no manifest names it.
pub const BUILDER: &str = "builder";

/// Where components and platforms are found.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The folder that holds `domains/`, `tests/domains/` and `manifests/platforms/`.
    pub root: PathBuf,
}

/// The program of each component, by the component's name, the builder's included: ELF files.
#[derive(Debug, Default, Clone)]
pub struct Binaries(pub BTreeMap<String, Vec<u8>>);

/// Reads a manifest and all that it names, and checks it.
///
/// # Errors
///
/// Every fault in the input, in one report.
pub fn load(workspace: &Workspace, manifest: &Path) -> Result<System, Report> {
    load_with(workspace, manifest, &[], None)
}

/// As [`load`], with what the user has added to the manifest, and with the memory, in MiB, that the user has asked
/// for in place of the platform's.
///
/// # Errors
///
/// As [`load`].
pub fn load_with(
    workspace: &Workspace,
    manifest: &Path,
    additions: &[Addition],
    memory_mib: Option<u32>,
) -> Result<System, Report> {
    let inputs = Inputs::read(workspace, manifest, additions, memory_mib);
    let draft = Draft::new(&inputs);
    let faults = check::run(&draft);
    if faults.is_empty()
        && let Some(system) = System::resolve(&draft, workspace)
    {
        return Ok(system);
    }
    Err(Report::new(inputs.sources, faults))
}
