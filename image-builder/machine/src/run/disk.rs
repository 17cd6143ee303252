//! The files behind a system's disks.

use std::{
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
};

use image_compiler::system::{DiskContent, System};

use crate::Failure;

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// A file that is a disk of the machine.
#[derive(Debug, Clone)]
pub struct OpenDisk {
    /// The domain that drives it.
    pub domain: String,
    /// The device.
    pub device: String,
    /// The file.
    pub path: PathBuf,
    /// Whether the machine cannot write it.
    pub is_read_only: bool,
}

impl OpenDisk {
    /// All disks of a system. A disk that is made for a run lies in a folder, all zeros; it takes no room of the
    /// host's disk until it is written.
    ///
    /// # Errors
    ///
    /// When a file cannot be made.
    pub fn open_all(system: &System, folder: &Path) -> Result<Vec<Self>, Failure> {
        let open = |disk: &image_compiler::system::Disk| {
            let domain = system.domain(disk.domain).name.clone();
            let path = match &disk.content {
                DiskContent::File { path, .. } => path.clone(),
                DiskContent::Scratch(mib) => scratch(&folder.join(format!("{domain}.disk")), *mib)?,
            };
            let device = system.device(disk.device).name.value.clone();
            Ok(Self { domain, device, path, is_read_only: disk.is_read_only })
        };
        system.disks().iter().map(open).collect()
    }
}

impl fmt::Display for OpenDisk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = if self.is_read_only { ", read-only" } else { "" };
        write!(out, "disk: {} is {}{access}", self.domain, self.path.display())
    }
}

/// A new file: one of before may still be a running machine's.
fn scratch(path: &Path, mib: u64) -> Result<PathBuf, Failure> {
    let failed = |error| Failure::file("cannot make", path, &error);
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    File::create_new(path).and_then(|file| file.set_len(mib * MIB)).map_err(failed)?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_on_a_scratch_disk_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.disk");
        let first = scratch(&path, 1).unwrap();
        let held = File::open(&first).unwrap();
        fs::write(&first, b"what the last run wrote").unwrap();
        let again = scratch(&path, 2).unwrap();
        let bytes = fs::read(&again).unwrap();
        assert_eq!((bytes.len(), bytes.iter().any(|byte| *byte != 0)), (2 << 20, false));
        assert_eq!(held.metadata().unwrap().len(), 23, "a machine that still runs has its own");
        assert!(scratch(&folder.path().join("none/store.disk"), 1).is_err());
    }
}
