//! From a manifest to a system image: read, resolve, check, plan, write.
//!
//! | stage | from | to |
//! |---|---|---|
//! | [`manifest`] | files | what they say, with places |
//! | [`system`] | that | a draft with names looked up, then the system |
//! | [`check`] | the draft; later the plan | faults, all of them |
//! | [`plan`](mod@plan) | the system and the programs of its components | addresses, slots, badges, quotas |
//! | [`emit`] | the plan | the bytes of the image |
//!
//! [`pcrs`] foretells what a TPM will show of it. [`report`](mod@report) and [`graph`] show a system to a person. The output depends on the input alone: nothing here
//! starts a program or reads a clock or the environment. `../clippy.toml` names what is refused.

#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

mod caps;
pub mod cause;
pub mod check;
pub mod diagnostic;
pub mod digest;
pub mod emit;
pub mod flow;
pub mod graph;
pub mod manifest;
pub mod pcrs;
pub mod plan;
pub mod policy;
pub mod query;
pub mod report;
pub mod system;
mod table;
pub mod trust;
pub mod visible;
pub mod workspace;

use std::path::{Path, PathBuf};

pub use caps::caps;
pub use check::checks_table;
pub use diagnostic::{Diagnostic, Report};
pub use emit::image;
pub use graph::{graph_dot, graph_svg};
pub use manifest::{Addition, Debian, Extra, Inputs, Package, Payload, Platform, Purpose};
pub use pcrs::{Boot, Prediction};
pub use plan::{Binaries, Plan};
pub use report::{operations_table, report};
pub use system::{ComponentRef, System};
pub use workspace::{BUILDER, PAYLOADS, Workspace};

use system::Draft;

/// Reads a manifest and all that it names, and checks it.
///
/// # Errors
///
/// As [`resolve`].
pub fn load(workspace: &Workspace, manifest: &Path) -> Result<System, Report> {
    resolve(&Inputs::read(workspace, manifest))
}

/// Checks what has been read, and makes a system of it.
///
/// # Errors
///
/// Every fault in the input, in one report.
pub fn resolve(inputs: &Inputs) -> Result<System, Report> {
    let draft = Draft::new(inputs);
    let faults = check::run(&draft);
    if faults.is_empty()
        && let Some(system) = System::resolve(&draft)
    {
        return Ok(system);
    }
    Err(Report::new(inputs.sources.clone(), faults))
}

/// A system of a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuEntry {
    /// What a person reads.
    pub title: String,
    /// How it is chosen.
    pub name: String,
    /// Its manifest.
    pub manifest: PathBuf,
}

/// The systems of a menu. None if the manifest is that of one system.
///
/// # Errors
///
/// Every fault of the menu itself.
pub fn menu(inputs: &Inputs) -> Result<Option<Vec<MenuEntry>>, Report> {
    let tables = &inputs.manifest.menu;
    if tables.is_empty() {
        return Ok(None);
    }
    let faults = check::run(&Draft::new(inputs));
    if !faults.is_empty() {
        return Err(Report::new(inputs.sources.clone(), faults));
    }
    let entry = |table: &manifest::MenuTable| MenuEntry {
        title: table.title.value.clone(),
        name: table.name().to_owned(),
        manifest: inputs.folder.join(&table.manifest.value),
    };
    Ok(Some(tables.iter().map(entry).collect()))
}

/// Gives a system and the programs of its components their places.
///
/// # Errors
///
/// Everything that keeps a program from running where it has to.
pub fn plan(system: &System, binaries: &Binaries) -> Result<Plan, Report> {
    check::files(system)?;
    // A program with faults has no layout; the other checks need all of them.
    let plan = Plan::new(system, check::programs(system, binaries)?);
    check::plan(system, &plan)?;
    Ok(plan)
}
