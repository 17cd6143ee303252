//! A disk with a Debian: user space as mmdebstrap puts it together of an archive's packages, in a file system.
//!
//! The archive's keys vouch for the packages, and what they are at that time is listed. Nobody can know a digest
//! beforehand, because an archive goes on; that of what was made is kept, and compared before each use.

use std::{
    fs,
    path::{Path, PathBuf},
};

use image_compiler::{
    Debian,
    digest::{digest, hex},
};

use rustix::process::geteuid;

use super::Payloads;
use crate::{Failure, disc, interrupts::Interrupts, process, tools};

/// Makes the disk out of mmdebstrap's work.
const SCRIPT: &str = include_str!("debian.sh");
/// What is left out: it takes more than half of the room.
const LEFT_OUT: [&str; 4] = [
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
];
/// Makes the key with which the host can log in.
const KEY: &str = "chroot \"$1\" ssh-keygen -q -t ed25519 -N '' -C '' -f /key";

/// A disk that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebianDisk {
    folder: PathBuf,
}

impl DebianDisk {
    const DISK: &str = "disk";
    const KEY: &str = "key";
    const KNOWN_HOSTS: &str = "known_hosts";
    const PACKAGES: &str = "packages";
    const DIGESTS: &str = "SHA256SUMS";

    /// Copies it, for a machine to write on. Beside the copy, whose path is continued, lie the key that opens it to ssh
    /// (`.key`), and how ssh knows it again, by the name `debian` (`.known_hosts`).
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn copy(&self, to: &Path, interrupts: &Interrupts) -> Result<(), Failure> {
        let mut command = process::command(Path::new("cp"));
        command.args(["--sparse=always", "--reflink=auto"]).arg(self.folder.join(Self::DISK)).arg(to);
        let finished = process::run(&mut command, "cp", interrupts, &mut |_| ())?;
        if !finished.status.success() {
            let text = format!("cannot write {}: {}", to.display(), finished.complaint());
            return Err(Failure::Environment(text));
        }
        for name in [Self::KEY, Self::KNOWN_HOSTS] {
            let beside = beside(to, name);
            // One that is there may not be one that can be written.
            let _ = fs::remove_file(&beside);
            fs::copy(self.folder.join(name), &beside)
                .map_err(|error| Failure::file("cannot write", &beside, &error))?;
        }
        Ok(())
    }
}

/// A file that lies beside a copy.
fn beside(copy: &Path, name: &str) -> PathBuf {
    let mut path = copy.as_os_str().to_owned();
    path.push(".");
    path.push(name);
    path.into()
}

impl Payloads<'_> {
    /// A disk with a Debian: the one that is kept, or one that is made now.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn debian(&self, debian: &Debian) -> Result<DebianDisk, Failure> {
        match self.find_debian(debian)? {
            Some(disk) => Ok(disk),
            None => self.make_debian(debian),
        }
    }

    /// Whether one is kept.
    #[must_use]
    pub fn has_debian(&self, debian: &Debian) -> bool {
        self.debian_folder(debian).join(DebianDisk::DIGESTS).is_file()
    }

    /// The disk that is kept, if it is as it was made.
    fn find_debian(&self, debian: &Debian) -> Result<Option<DebianDisk>, Failure> {
        let folder = self.debian_folder(debian);
        if !self.has_debian(debian) {
            return Ok(None);
        }
        let mut command = process::command(Path::new("sha256sum"));
        command.args(["--check", "--status", DebianDisk::DIGESTS]).current_dir(&folder);
        let finished = process::run(&mut command, "sha256sum", self.interrupts, &mut |_| ())?;
        Ok(finished.status.success().then_some(DebianDisk { folder }))
    }

    fn make_debian(&self, debian: &Debian) -> Result<DebianDisk, Failure> {
        tools::require(tools::DEBIAN, self.progress, self.interrupts)?;
        let cannot_write = |error| Failure::file("cannot write in", &self.folder, &error);
        fs::create_dir_all(&self.folder).map_err(cannot_write)?;
        let step = self.progress.step(&format!("making {}", debian.name));
        let work = tempfile::tempdir_in(&self.folder).map_err(cannot_write)?;
        let made = |what, finished: process::Finished| match finished.status.success() {
            true => Ok(()),
            false => Err(refused(debian, what, &finished)),
        };
        let mut command = bootstrap(debian, work.path())?;
        let show = &mut |line: &str| step.now(line.trim_start_matches("I: "));
        made("mmdebstrap", process::run(&mut command, "mmdebstrap", self.interrupts, show)?)?;
        step.now("writing the file system");
        let mut command = in_folder("fakeroot", work.path());
        command.args(["sh", "-c", SCRIPT, "debian.sh", &debian.mib.to_string()]);
        made("mkfs.ext4", process::run(&mut command, "fakeroot", self.interrupts, &mut |_| ())?)?;
        let mut command = in_folder("sha256sum", work.path());
        command.args([DebianDisk::DISK, DebianDisk::KEY, DebianDisk::KNOWN_HOSTS, DebianDisk::PACKAGES]);
        let finished = process::run(&mut command, "sha256sum", self.interrupts, &mut |_| ())?;
        let digests = finished.text.clone();
        made("sha256sum", finished)?;
        disc::write_file(&work.path().join(DebianDisk::DIGESTS), digests.as_bytes())?;
        let disk = self.keep(debian, work)?;
        let packages = disk.folder.join(DebianDisk::PACKAGES);
        let count = fs::read_to_string(&packages).unwrap_or_default().lines().count();
        let digest = digests.split(' ').next().unwrap_or_default();
        step.done(&format!("{count} packages, listed in {}, SHA-256 {digest}", packages.display()));
        Ok(disk)
    }

    /// Puts a disk where it is looked for. Where another run was faster, its one stays, if it is whole.
    fn keep(&self, debian: &Debian, work: tempfile::TempDir) -> Result<DebianDisk, Failure> {
        if let Some(disk) = self.find_debian(debian)? {
            return Ok(disk);
        }
        let folder = self.debian_folder(debian);
        let _ = fs::remove_dir_all(&folder);
        fs::rename(work.path(), &folder).map_err(|error| Failure::file("cannot write", &folder, &error))?;
        // It is no folder for the time of a run any more.
        let _ = work.keep();
        Ok(DebianDisk { folder })
    }

    /// The folder of what is made so: another description, or another tool, makes another one.
    fn debian_folder(&self, debian: &Debian) -> PathBuf {
        let Debian { name, release, archives, packages, mib } = debian;
        let made_of = format!("{release} {archives:?} {packages:?} {mib} {LEFT_OUT:?} {KEY} {SCRIPT}");
        self.folder.join(format!("{name}-{}", &hex(&digest(made_of.as_bytes()))[..16]))
    }
}

/// What puts a Debian together, as the archive `root.tar` in a folder.
fn bootstrap(debian: &Debian, folder: &Path) -> Result<std::process::Command, Failure> {
    let mut command = in_folder("mmdebstrap", folder);
    command.args(["--variant=minbase", "--format=tar", "--aptopt=Acquire::Languages \"none\""]);
    command.args(LEFT_OUT.map(|left_out| format!("--dpkgopt={left_out}")));
    command.arg(format!("--include={}", debian.packages.join(","))).arg(format!("--customize-hook={KEY}"));
    command.args([&debian.release, "root.tar"]).args(&debian.archives);
    // What a run that is ended leaves goes with the folder. Without root's rights others than the user work there.
    if geteuid().is_root() {
        command.env("TMPDIR", folder);
    }
    Ok(command)
}

fn in_folder(program: &str, folder: &Path) -> std::process::Command {
    let mut command = process::command(Path::new(program));
    command.env("LC_ALL", "C").current_dir(folder);
    command
}

fn refused(debian: &Debian, what: &str, finished: &process::Finished) -> Failure {
    let lines = finished.text.lines().map(str::trim);
    let complaint = lines.rev().find(|line| line.starts_with("E: ") && !line.contains("mmdebstrap failed"));
    let complaint = complaint.map_or(finished.complaint(), |line| &line[3..]);
    Failure::Environment(format!(
        "cannot make the disk `{}`, a Debian {}: {what}: {complaint}\nit needs a network once",
        debian.name, debian.release
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::progress::Progress;

    fn debian() -> Debian {
        let (name, release) = ("small".to_owned(), "bookworm".to_owned());
        let (archives, packages) = (vec!["deb http://localhost x main".to_owned()], vec!["one".to_owned()]);
        Debian { name, release, archives, packages, mib: 1 }
    }

    /// Puts files where a disk is looked for that was made so.
    fn made(payloads: &Payloads<'_>) -> PathBuf {
        let folder = payloads.debian_folder(&debian());
        fs::create_dir_all(&folder).unwrap();
        let files = [DebianDisk::DISK, DebianDisk::KEY, DebianDisk::KNOWN_HOSTS];
        let line = |name: &&str| {
            fs::write(folder.join(name), format!("what is in {name}")).unwrap();
            format!("{}  {name}\n", hex(&digest(format!("what is in {name}").as_bytes())))
        };
        fs::write(folder.join(DebianDisk::DIGESTS), files.iter().map(line).collect::<String>()).unwrap();
        fs::set_permissions(folder.join(DebianDisk::KEY), fs::Permissions::from_mode(0o600)).unwrap();
        folder
    }

    #[test]
    fn what_is_kept_is_used_while_it_is_as_it_was_made() {
        let (place, interrupts) = (tempfile::tempdir().unwrap(), Interrupts::none().unwrap());
        let progress = Progress::silent();
        let folder = place.path().join("kept");
        let payloads = Payloads { folder, progress: &progress, interrupts: &interrupts };
        assert_eq!(payloads.find_debian(&debian()).unwrap(), None);
        let folder = made(&payloads);
        let disk = payloads.find_debian(&debian()).unwrap().unwrap();
        let copy = place.path().join("store.disk");
        disk.copy(&copy, &interrupts).unwrap();
        disk.copy(&copy, &interrupts).unwrap();
        assert_eq!(fs::read(&copy).unwrap(), b"what is in disk");
        assert_eq!(fs::read(place.path().join("store.disk.known_hosts")).unwrap(), b"what is in known_hosts");
        let key = place.path().join("store.disk.key").metadata().unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600, "ssh takes no other");
        for name in [DebianDisk::DISK, DebianDisk::KEY] {
            made(&payloads);
            fs::write(folder.join(name), "another one").unwrap();
            assert_eq!(payloads.find_debian(&debian()).unwrap(), None, "{name}");
        }
    }

    #[test]
    fn another_description_makes_another_disk() {
        let (interrupts, progress) = (Interrupts::none().unwrap(), Progress::silent());
        let payloads = Payloads { folder: "/x".into(), progress: &progress, interrupts: &interrupts };
        let others = [
            Debian { name: "other".into(), ..debian() },
            Debian { release: "trixie".into(), ..debian() },
            Debian { archives: Vec::new(), ..debian() },
            Debian { packages: vec!["one".into(), "two".into()], ..debian() },
            Debian { mib: 2, ..debian() },
        ];
        for other in others {
            assert_ne!(payloads.debian_folder(&other), payloads.debian_folder(&debian()), "{other:?}");
        }
    }
}
