//! The files behind a system's disks.

use std::{
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
};

use image_compiler::system::{DiskContent, System};

use crate::{Failure, payload::Payloads};

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
    /// Whether ssh's key for what is on it lies beside it.
    has_key: bool,
}

impl OpenDisk {
    /// All disks of a system. A disk that is made for a run lies in a folder: all zeros, which take no room of the host's
    /// disk until they are written, or a copy of what is made of packages. `is_kept`: a copy that is there is used.
    ///
    /// # Errors
    ///
    /// When a file cannot be made.
    pub fn open_all(
        system: &System,
        folder: &Path,
        payloads: &Payloads<'_>,
        is_kept: bool,
    ) -> Result<Vec<Self>, Failure> {
        let open = |disk: &image_compiler::system::Disk| {
            let domain = system.domain(disk.domain).name.clone();
            let own = folder.join(format!("{domain}.disk"));
            let path = match &disk.content {
                DiskContent::File { path, .. } => path.clone(),
                DiskContent::Made(_) if is_kept && own.is_file() => own,
                DiskContent::Made(debian) => {
                    remove(&own)?;
                    payloads.debian(debian)?.copy(&own, payloads.interrupts)?;
                    own
                }
                DiskContent::Scratch(mib) => scratch(&own, *mib)?,
            };
            let has_key = matches!(disk.content, DiskContent::Made(_));
            let device = system.device(disk.device).name.value.clone();
            Ok(Self { domain, device, path, is_read_only: disk.is_read_only, has_key })
        };
        system.disks().iter().map(open).collect()
    }
}

impl fmt::Display for OpenDisk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = if self.is_read_only { ", read-only" } else { "" };
        let path = self.path.display();
        write!(out, "disk: {} is {path}{access}", self.domain)?;
        if self.has_key {
            let options = format!("-o UserKnownHostsFile={path}.known_hosts -o HostKeyAlias=debian");
            write!(out, "\nssh -i {path}.key {options} -p PORT root@127.0.0.1")?;
        }
        Ok(())
    }
}

/// A new file: one of before may still be a running machine's.
fn scratch(path: &Path, mib: u64) -> Result<PathBuf, Failure> {
    remove(path)?;
    let made = File::create_new(path).and_then(|file| file.set_len(mib * MIB));
    made.map_err(|error| Failure::file("cannot make", path, &error))?;
    Ok(path.to_owned())
}

/// Removes what was there before.
fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::file("cannot make", path, &error))
        }
        _ => Ok(()),
    }
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
