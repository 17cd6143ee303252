//! The folders in which components, platforms and payloads are found.

use std::path::{Path, PathBuf};

/// The component that builds all domains; every system has it, no manifest names it.
pub const BUILDER: &str = "builder";

/// The file of what guests can begin with by a name, in the workspace.
pub const PAYLOADS: &str = "image-builder/payloads.toml";

/// Where components and platforms are found.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The folder that holds `manifests/platforms/` and the folders in [`Workspace::COMPONENTS`].
    pub root: PathBuf,
}

impl Workspace {
    /// The folders that hold components: what systems are built of, what shows it, what tests it.
    pub const COMPONENTS: [&str; 3] = ["domains", "domains/demos", "tests/domains"];

    /// The folder of a component, if there is one.
    #[must_use]
    pub fn component_folder(&self, name: &str) -> Option<PathBuf> {
        if !is_plain_name(name) {
            return None;
        }
        let folders = Self::COMPONENTS.map(|parent| self.root.join(parent).join(name));
        folders.into_iter().find(|folder| folder.join("domain.toml").is_file())
    }

    pub(crate) fn platform_file(&self, name: &str) -> Option<PathBuf> {
        let path = self.root.join("manifests/platforms").join(format!("{name}.toml"));
        (is_plain_name(name) && path.is_file()).then_some(path)
    }

    /// The file of payloads, if there is one.
    pub(crate) fn payloads_file(&self) -> Option<PathBuf> {
        Some(self.root.join(PAYLOADS)).filter(|path| path.is_file())
    }

    pub(crate) fn component_names(&self) -> Vec<String> {
        let folders = Self::COMPONENTS.map(|parent| names_in(&self.root.join(parent)));
        let mut names: Vec<_> = folders.into_iter().flatten().collect();
        names.retain(|name| name != BUILDER && self.component_folder(name).is_some());
        names.sort();
        names
    }

    pub(crate) fn platform_names(&self) -> Vec<String> {
        let names = names_in(&self.root.join("manifests/platforms"));
        let mut names: Vec<_> =
            names.iter().filter_map(|name| name.strip_suffix(".toml")).map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The path as a person would type it from the root of the workspace.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// Whether a name can be a part of a path and leads nowhere else.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
