//! The files that a manifest names, found and read.

use std::path::Path;

use super::reader::{Problem, Reader, parse};
use super::text_file::read_file;
use super::{Component, Listed, Platform};
use crate::diagnostic::Sources;
use crate::workspace::Workspace;

/// The outcome of a search for a file.
#[derive(Debug, Clone)]
pub enum Lookup<T> {
    /// It was read.
    Found(T),
    /// It is there, but cannot be used; the problems say why.
    Broken,
    /// There is no such file.
    Absent,
}

impl<T> Lookup<T> {
    /// The file's content, if it was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(value) => Some(value),
            Self::Broken | Self::Absent => None,
        }
    }
}

/// A component by itself, if there is one and it can be read.
#[must_use]
pub fn component(workspace: &Workspace, name: &str) -> Option<Component> {
    let (sources, problems) = (&mut Sources::default(), &mut Vec::new());
    Files { workspace, sources, problems }.component(name).found().cloned()
}

/// All payloads, as far as they can be read.
#[must_use]
pub fn payloads(workspace: &Workspace) -> Listed {
    let (sources, problems) = (&mut Sources::default(), &mut Vec::new());
    Files { workspace, sources, problems }.payloads().found().cloned().unwrap_or_default()
}

/// Where files are found and what became of them.
pub(super) struct Files<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) sources: &'a mut Sources,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Files<'_> {
    pub(super) fn component(&mut self, name: &str) -> Lookup<Component> {
        match self.workspace.component_folder(name) {
            Some(folder) => self.file(&folder.join("domain.toml"), |reader| Component::read(name, reader)),
            None => Lookup::Absent,
        }
    }

    pub(super) fn platform(&mut self, name: &str) -> Lookup<Platform> {
        match self.workspace.platform_file(name) {
            Some(path) => self.file(&path, |reader| Platform::read(name, reader)),
            None => Lookup::Absent,
        }
    }

    pub(super) fn payloads(&mut self) -> Lookup<Listed> {
        match self.workspace.payloads_file() {
            Some(path) => self.file(&path, |reader| Some(Listed::read(reader))),
            None => Lookup::Absent,
        }
    }

    /// Reads one file. It counts as broken as soon as it has one problem.
    fn file<T>(&mut self, path: &Path, read: impl FnOnce(&mut Reader<'_, '_>) -> Option<T>) -> Lookup<T> {
        let before = self.problems.len();
        let shown = self.workspace.shown(path);
        let (source, is_text) = read_file(path, shown, self.sources, self.problems);
        if !is_text {
            return Lookup::Broken;
        }
        let text = self.sources.get(source).text.clone();
        match parse(source, &text, self.problems, read) {
            Some(value) if self.problems.len() == before => Lookup::Found(value),
            _ => Lookup::Broken,
        }
    }
}
