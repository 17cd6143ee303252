//! A copy of the project, in which a file can be changed and put back.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The copy. It stays from run to run, so that what has not changed is not compiled again.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Makes `copy` what `project` is now: the files that git tracks or would track. Files that are the same keep
    /// their times.
    ///
    /// # Errors
    /// Where git or the file system fails.
    pub fn copy(project: &Path, copy: PathBuf) -> Result<Self, String> {
        let listed = git_files(project)?;
        for file in old_files(&copy)?.difference(&listed) {
            fs::remove_file(copy.join(file)).map_err(|error| format!("cannot remove {file}: {error}"))?;
        }
        for file in &listed {
            copy_if_changed(&project.join(file), &copy.join(file))
                .map_err(|error| format!("cannot copy {file}: {error}"))?;
        }
        fs::write(copy.join(LIST), listed.into_iter().collect::<Vec<_>>().join("\n"))
            .map_err(|error| format!("cannot write {LIST}: {error}"))?;
        Ok(Self { root: copy })
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Changes a file of the copy for as long as `meanwhile` runs.
    ///
    /// # Errors
    /// If the file cannot be read or written, or `change` fails.
    pub fn with_change<T>(
        &self,
        file: &str,
        change: impl FnOnce(&str) -> Result<String, String>,
        meanwhile: impl FnOnce() -> T,
    ) -> Result<T, String> {
        let path = self.root.join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {file}: {error}"))?;
        let write =
            |text: &str| fs::write(&path, text).map_err(|error| format!("cannot write {file}: {error}"));
        write(&change(&text)?)?;
        let result = meanwhile();
        write(&text)?;
        Ok(result)
    }
}

/// Where the copy notes which files it has, so that those that go from the project go from it too.
const LIST: &str = ".files";

fn git_files(project: &Path) -> Result<BTreeSet<String>, String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(project)
        .output()
        .map_err(|error| format!("cannot run git: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let names = String::from_utf8_lossy(&output.stdout);
    Ok(names.split_terminator('\0').filter(|file| project.join(file).is_file()).map(str::to_owned).collect())
}

fn old_files(copy: &Path) -> Result<BTreeSet<String>, String> {
    match fs::read_to_string(copy.join(LIST)) {
        Ok(names) => Ok(names.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(format!("cannot read {LIST}: {error}")),
    }
}

fn copy_if_changed(from: &Path, to: &Path) -> io::Result<()> {
    if fs::read(to).is_ok_and(|old| fs::read(from).is_ok_and(|new| old == new)) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).map(|_| ())
}
