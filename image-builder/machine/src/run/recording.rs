//! The file that recorded frames go to. QEMU writes it, and says nothing when the disc is full.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::Failure;

/// How often room is looked for.
const PERIOD: Duration = Duration::from_secs(1);
/// The unit in which file systems give out room, in bytes. On a full one, a file ends on such a border.
const BLOCK: [u8; 4096] = [0; 4096];

/// A recording.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    /// Where there has to be room; `None`: it is no file of a disc.
    folder: Option<PathBuf>,
    last_look: Instant,
}

impl Recording {
    /// Makes the file.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or not be written.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let create = || {
            let mut file = File::create(path)?;
            let about = file.metadata()?;
            if about.file_type().is_char_device() {
                file.write_all(&[0])?;
            }
            let folder = about.is_file().then(|| fs::canonicalize(path)).transpose()?;
            Ok(folder.and_then(|path| path.parent().map(Path::to_owned)))
        };
        let folder = create().map_err(|error| Failure::file("cannot write", path, &error))?;
        let mut recording = Self { path: path.to_owned(), folder, last_look: Instant::now() };
        recording.finish()?;
        Ok(recording)
    }

    /// Looks, from time to time, whether there still is room for it.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn attend(&mut self) -> Result<(), Failure> {
        if self.last_look.elapsed() < PERIOD {
            return Ok(());
        }
        self.finish()
    }

    /// Looks whether there still is room for it.
    ///
    /// # Errors
    ///
    /// When there is none: then it stops in the middle.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.last_look = Instant::now();
        let Some(folder) = &self.folder else { return Ok(()) };
        let try_it = || -> io::Result<()> {
            let mut file = tempfile::tempfile_in(folder)?;
            file.write_all(&BLOCK)?;
            file.flush()
        };
        // A folder in which no other file can be made says nothing about room.
        match try_it() {
            Err(error) if is_full(&error) => {
                Err(Failure::file("the recording stops in the middle: cannot write", &self.path, &error))
            }
            _ => Ok(()),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_full_is_told_at_once() {
        let refusal = Recording::create(Path::new("/dev/full")).unwrap_err();
        assert_eq!(refusal.to_string(), "cannot write /dev/full: no space left on device");
        assert_eq!(refusal.status(), 3);
    }

    #[test]
    fn a_file_with_room_is_well() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = Recording::create(&folder.path().join("all.pcap")).unwrap();
        recording.finish().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        Recording::create(Path::new("/dev/null")).unwrap();
    }
}
