//! The file system with which a Linux begins, as an archive that its kernel unpacks. The same files give the same bytes.

use std::io::{self, Write};

use cpio::newc::{Builder, trailer};

const FOLDER: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// What goes into an archive beside folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An executable file.
    File(Vec<u8>),
    /// A device that is read and written byte by byte, by its two numbers.
    CharacterDevice(u32, u32),
}

/// Writes an archive of files, each with its path, after the folders that they are in, and `folders`.
///
/// # Errors
///
/// When a file is too large for the format.
pub fn archive(files: &[(&str, Content)], folders: &[&str]) -> io::Result<Vec<u8>> {
    let mut archive = Vec::new();
    let parents = files.iter().filter_map(|(path, _)| Some(path.rsplit_once('/')?.0));
    let mut folders: Vec<_> = parents.chain(folders.iter().copied()).collect();
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        Builder::new(folder).mode(FOLDER).write(&mut archive, 0).finish()?;
    }
    for (path, content) in files {
        match content {
            Content::File(bytes) => {
                let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
                let mut entry = Builder::new(path).mode(EXECUTABLE).write(&mut archive, size);
                entry.write_all(bytes)?;
                entry.finish()?;
            }
            Content::CharacterDevice(major, minor) => {
                let device = Builder::new(path).mode(CHARACTER_DEVICE).rdev_major(*major).rdev_minor(*minor);
                device.write(&mut archive, 0).finish()?;
            }
        }
    }
    trailer(archive)
}

#[cfg(test)]
mod tests {
    use cpio::NewcReader;

    use super::*;

    #[test]
    fn an_archive_has_folders_before_what_is_in_them() {
        let files = [
            ("init", Content::File(b"#!".to_vec())),
            ("bin/tool", Content::File(b"abc".to_vec())),
            ("dev/console", Content::CharacterDevice(5, 1)),
        ];
        let archive = archive(&files, &["proc", "bin"]).unwrap();
        let (mut rest, mut entries) = (&archive[..], Vec::new());
        loop {
            let entry = NewcReader::new(rest).unwrap();
            let about = entry.entry();
            if about.is_trailer() {
                break;
            }
            entries.push((about.name().to_owned(), about.mode(), about.rdev_major(), about.rdev_minor()));
            rest = entry.finish().unwrap();
        }
        let expected = [
            ("bin", 0o040_755, 0, 0),
            ("dev", 0o040_755, 0, 0),
            ("proc", 0o040_755, 0, 0),
            ("init", 0o100_755, 0, 0),
            ("bin/tool", 0o100_755, 0, 0),
            ("dev/console", 0o020_600, 5, 1),
        ];
        assert_eq!(entries, expected.map(|(name, mode, major, minor)| (name.to_owned(), mode, major, minor)));
    }
}
