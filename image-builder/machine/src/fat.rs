//! A FAT file system, which UEFI firmware reads (*UEFI Specification* 2.10, section 13.3).

use std::io::{self, Cursor, Write};

use fatfs::{Date, DateTime, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};

/// Bytes of a MiB, and what of a volume is for other things than the content of files: the least with which every reader
/// takes it for the kind that it is.
const MIB: usize = 1 << 20;
const OTHER: usize = 8 * MIB;
/// Of all volumes alike.
const LABEL: [u8; 11] = *b"CLOISON    ";
const NUMBER: u32 = 0x636c_736e;

/// The day of everything on a volume: the first of 2025.
#[derive(Debug)]
struct Day;

impl TimeProvider for Day {
    fn get_current_date(&self) -> Date {
        Date { year: 2025, month: 1, day: 1 }
    }

    fn get_current_date_time(&self) -> DateTime {
        let time = Time { hour: 0, min: 0, sec: 0, millis: 0 };
        DateTime { date: self.get_current_date(), time }
    }
}

/// A volume with these files, each in the folder that its name says. Its bytes follow from them alone.
///
/// # Errors
///
/// When a file is too large for such a volume.
pub(crate) fn volume(files: &[(&str, &[u8])]) -> io::Result<Vec<u8>> {
    let content: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    // The table and the last cluster of each file take less than a sixteenth.
    let mut bytes = vec![0; (OTHER + content + content / 16).next_multiple_of(MIB)];
    let shape = FormatVolumeOptions::new().volume_label(LABEL).volume_id(NUMBER);
    fatfs::format_volume(Cursor::new(&mut bytes), shape)?;
    let system = FileSystem::new(Cursor::new(&mut bytes), FsOptions::new().time_provider(&Day))?;
    for (name, content) in files {
        let (folders, _) = name.rsplit_once('/').unwrap_or_default();
        folders
            .split('/')
            .filter(|folder| !folder.is_empty())
            .try_fold(system.root_dir(), |parent, folder| parent.create_dir(folder))?;
        system.root_dir().create_file(name)?.write_all(content)?;
    }
    system.unmount()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What mtools reads of a volume.
    fn read(volume: &[u8], path: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("volume");
        std::fs::write(&file, volume).unwrap();
        let mut command = Command::new("mtype");
        let output = command.arg("-i").arg(&file).arg(format!("::{path}")).output().unwrap();
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[test]
    fn what_is_stored_is_what_others_read() {
        for bytes in [0, 1, 511, 512, 513, 100_000, 40 << 20] {
            let large: Vec<u8> = (0..bytes).map(|place| (place / 7) as u8).collect();
            let files: [(&str, &[u8]); 4] = [
                ("outer/inner/small.txt", b"some text"),
                ("outer/inner/empty", b""),
                ("outer/second.txt", b"more text"),
                ("large.bin", &large),
            ];
            let made = volume(&files).unwrap();
            assert!(made == volume(&files).unwrap(), "the same again");
            for (name, content) in files {
                assert!(
                    read(&made, &format!("/{}", name.to_uppercase())) == content,
                    "{name}, {bytes} bytes"
                );
            }
        }
    }

    #[test]
    fn a_volume_is_of_a_kind_that_firmware_reads() {
        let large = vec![1; 520 * MIB];
        for (bytes, kind) in [(0, &b"FAT16"[..]), (40 * MIB, b"FAT16"), (520 * MIB, b"FAT32")] {
            let volume = volume(&[("large.bin", &large[..bytes])]).unwrap();
            let place = if kind == b"FAT16" { 54 } else { 82 };
            assert_eq!(&volume[place..][..kind.len()], kind, "{bytes} bytes");
        }
    }
}
