//! What to do about a path at which there is no manifest that can be read.

use std::path::{Path, PathBuf};

use crate::diagnostic::closest;
use crate::workspace::Workspace;

const EXAMPLE: &str = "a manifest is a file such as manifests/hello.toml";

/// What to do, if that can be said.
pub(super) fn proposal(workspace: &Workspace, path: &Path) -> Option<String> {
    if path.is_dir() {
        let inside = manifests_in(path);
        let inside = inside.first().map(|file| format!("name a file in it, such as `{}`", file.display()));
        return Some(inside.unwrap_or_else(|| EXAMPLE.to_owned()));
    }
    if path.is_file() {
        let is_empty = path.metadata().is_ok_and(|about| about.len() == 0);
        return is_empty.then(|| "manifests/README.md begins with the smallest system".to_owned());
    }
    Some(near(workspace, path).unwrap_or_else(|| EXAMPLE.to_owned()))
}

/// The manifest that was probably meant: beside the path, or of those that are shipped.
fn near(workspace: &Workspace, path: &Path) -> Option<String> {
    let written = stem(path)?;
    let beside = path.parent().map_or_else(Vec::new, manifests_in);
    let shipped = manifests_in(&workspace.root.join("manifests"));
    let shipped = shipped.iter().map(|file| PathBuf::from(workspace.shown(file)));
    let all: Vec<PathBuf> = beside.into_iter().chain(shipped).collect();
    let stems: Vec<String> = all.iter().filter_map(|file| stem(file)).collect();
    let meant = closest(&written, stems.iter().map(String::as_str))?;
    let file = all.iter().find(|file| stem(file).as_deref() == Some(meant))?;
    Some(format!("did you mean `{}`?", file.display()))
}

/// A file's name without its ending.
fn stem(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    Some(name.strip_suffix(".toml").unwrap_or(name).to_owned())
}

/// The files of a folder that end as manifests do, sorted.
fn manifests_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    files
}
