//! Folders for the time of a run. What a killed run has left, the next one removes.

use std::{
    fs::{self, File},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::Failure;

/// The start of such folders' names.
const PREFIX: &str = "run-";

/// A folder that is removed when this value goes.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    /// The folder itself, locked for as long as its owner runs.
    lock: File,
}

impl Scratch {
    /// Makes one in `parent`, and removes those there whose owners are gone.
    ///
    /// # Errors
    ///
    /// When a folder cannot be made.
    pub fn new(parent: &Path) -> Result<Self, Failure> {
        let refused = |error| Failure::file("cannot make a folder in", parent, &error);
        fs::create_dir_all(parent).map_err(refused)?;
        // While the parent is locked, no other run takes a folder that is not locked yet for an abandoned one.
        let parent_lock = File::open(parent).map_err(refused)?;
        flock(&parent_lock, FlockOperation::LockExclusive).map_err(|error| refused(error.into()))?;
        sweep(parent);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).map_err(refused)?;
        let lock = File::open(folder.path()).map_err(refused)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| refused(error.into()))?;
        Ok(Self { folder, lock })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A short path to a file in it, for programs that this one starts: a socket's path may have 107 bytes, and
    /// some programs cut their options at commas.
    #[must_use]
    pub fn short(&self, name: &str) -> PathBuf {
        format!("/proc/{}/fd/{}/{name}", std::process::id(), self.lock.as_raw_fd()).into()
    }
}

/// Removes folders that nobody has locked. One that cannot be removed stays for the next time.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_abandoned = || {
            let lock = File::open(entry.path())?;
            Ok::<_, std::io::Error>(flock(&lock, FlockOperation::NonBlockingLockExclusive)?)
        };
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_has_left_goes_and_what_runs_stays() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join("run-left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("state"), "x").unwrap();
        fs::create_dir(parent.path().join("kept-1.2")).unwrap();
        let first = Scratch::new(parent.path()).unwrap();
        assert!(!left.exists());
        let second = Scratch::new(parent.path()).unwrap();
        assert!(first.path().exists() && second.path().exists());
        assert!(parent.path().join("kept-1.2").exists());
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn its_files_have_short_paths() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(&parent.path().join("a, b".repeat(50))).unwrap();
        fs::write(scratch.short("file"), "x").unwrap();
        assert!(scratch.path().join("file").is_file());
        assert!(scratch.short("control").as_os_str().len() < 50);
    }
}
