//! The crates that a program is linked of, and their source.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use image_compiler::trust::{Facts, Made};

use crate::{
    Failure,
    cargo_build::{Compiler, Part, cargo_home},
    process, source,
};

/// A crate: its name with its version, and its folder.
type Crate = (String, PathBuf);

impl Compiler<'_> {
    /// What programs are made of: each with its part, its package and its length.
    ///
    /// # Errors
    ///
    /// When Cargo cannot tell, or a crate's source is not where Cargo keeps it.
    pub fn facts(&self, programs: &[(Part, &str, u64)]) -> Result<Facts, Failure> {
        let mut facts = Facts::default();
        let mut folders = BTreeMap::new();
        for (part, package, bytes) in programs {
            let crates = self.crates(*part, package)?;
            let names: BTreeSet<String> = crates.iter().map(|(name, _)| name.clone()).collect();
            facts.programs.insert((*package).to_owned(), Made { crates: names, bytes: *bytes });
            folders.extend(crates);
        }
        for (name, folder) in folders {
            if folder.starts_with(self.root) {
                facts.own.insert(name.clone());
            }
            let folder = folder.join("src");
            let source = source::of_folder(&folder);
            let source = source.map_err(|error| Failure::file("cannot read", &folder, &error))?;
            facts.crates.insert(name, source);
        }
        Ok(facts)
    }

    /// The crates of a program, itself among them; what only the compiler runs is not.
    fn crates(&self, part: Part, package: &str) -> Result<Vec<Crate>, Failure> {
        let mut command = self.bare_cargo();
        command.args(["tree", "--quiet", "--locked", "--offline", "--no-dedupe"]);
        command.args(["--edges", "normal,no-proc-macro"]);
        command.args([
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--target",
            part.target(),
            "--package",
            package,
        ]);
        command.args(part.feature().into_iter().flat_map(|feature| ["--features", feature]));
        let finished = process::run(&mut command, "cargo", self.interrupts, &mut |_| ())?;
        if !finished.status.success() {
            let why = finished.complaint();
            return Err(Failure::Failed(format!("cannot tell what `{package}` is linked of: {why}")));
        }
        let lines: BTreeSet<&str> = finished.text.lines().filter(|line| !line.trim().is_empty()).collect();
        let registries = registries();
        let found = lines.into_iter().map(|line| {
            crate_of(line, &registries).ok_or_else(|| {
                Failure::Environment(format!("the source of `{line}` is not where Cargo keeps it"))
            })
        });
        found.collect()
    }
}

/// The crate of a line such as `name v1.2.3 (/a/folder)`; without a folder, it is from a registry.
fn crate_of(line: &str, registries: &[PathBuf]) -> Option<Crate> {
    let (name, rest) = line.split_once(" v")?;
    let (version, folder) = rest.split_once(' ').map_or((rest, ""), |(version, folder)| (version, folder));
    let title = format!("{name} {version}");
    if let Some(folder) = folder.strip_prefix('(').and_then(|folder| folder.strip_suffix(')')) {
        return Some((title, folder.into()));
    }
    let mut places = registries.iter().map(|registry| registry.join(format!("{name}-{version}")));
    places.find(|place| place.is_dir()).map(|place| (title, place))
}

/// The folders in which Cargo keeps the source of registries.
fn registries() -> Vec<PathBuf> {
    let Some(home) = cargo_home() else { return Vec::new() };
    let entries = fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_cargo_names_a_crate() {
        let registry = tempfile::tempdir().unwrap();
        let kept = registry.path().join("heapless-0.9.1");
        fs::create_dir(&kept).unwrap();
        let registries = [registry.path().to_owned()];
        let read = |line| crate_of(line, &registries);
        assert_eq!(read("heapless v0.9.1"), Some(("heapless 0.9.1".into(), kept)));
        assert_eq!(read("stpm v0.1.0 (/a b/stpm)"), Some(("stpm 0.1.0".into(), "/a b/stpm".into())));
        assert_eq!(read("heapless v0.9.2"), None, "it is not there");
        assert_eq!(read("[dev-dependencies]"), None);
    }
}
