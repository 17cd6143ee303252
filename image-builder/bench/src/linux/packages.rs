//! Debian's packages, as they are published: fetched into a folder and read there. Nothing is installed, so
//! no rights are needed.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::Command,
};

use image_builder::build::Context;
use image_compiler::digest::hex;
use image_machine::{
    Failure, package,
    process::{self, Finished},
    tools,
};
use sha2::{Digest, Sha256};

/// A package, as the package lists describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// What its file is called.
    file: String,
    /// SHA-256 of its file, if the lists say it.
    sha256: Option<String>,
}

impl Package {
    /// Reads a line of `apt-get download --print-uris`: address, file, size and digest.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix('\'')?.split_whitespace().skip(1);
        let (file, digest) = (words.next()?, words.nth(1));
        let mut parts = file.split('_');
        let (name, version) = (parts.next()?, parts.next()?.replace("%3a", ":"));
        let sha256 = digest.and_then(|digest| digest.strip_prefix("SHA256:")).map(str::to_owned);
        Some(Self { name: name.into(), version, file: file.into(), sha256 })
    }

    /// Name, version and the first digits of the digest, for display.
    pub(super) fn describe(&self) -> String {
        let digest = self.sha256.as_deref().and_then(|digest| digest.get(..16)).unwrap_or("unknown");
        format!("{} {} (SHA-256 {digest}…)", self.name, self.version)
    }
}

/// Where packages come from, and where they are kept.
#[derive(Debug)]
pub(super) struct Packages<'a> {
    context: &'a Context,
    folder: PathBuf,
}

impl<'a> Packages<'a> {
    /// Those that are kept in `folder`.
    pub(super) fn in_folder(context: &'a Context, folder: PathBuf) -> Result<Self, Failure> {
        let needed = [tools::APT_GET, tools::DPKG_DEB];
        tools::require(&needed, &context.progress, &context.interrupts)?;
        fs::create_dir_all(&folder).map_err(|error| Failure::file("cannot make", &folder, &error))?;
        Ok(Self { context, folder })
    }

    /// Asks the package lists for the newest version of each package. This needs no network.
    pub(super) fn newest(&self, names: &[&str]) -> Result<Vec<Package>, Failure> {
        if let Some(packages) = self.ask(names)? {
            return Ok(packages);
        }
        tools::update_package_lists(&self.context.progress, &self.context.interrupts)?;
        self.ask(names)?.ok_or_else(|| {
            Failure::Environment(format!(
                "apt-get does not know all of the packages that the comparison needs: {}\n\
                 they are those of Debian 12 for amd64; to fetch the package lists: sudo apt-get update",
                names.join(", ")
            ))
        })
    }

    /// The package that another one, which is empty, stands for.
    pub(super) fn dependency(&self, name: &str, begins_with: &str) -> Result<String, Failure> {
        let ask = || self.run("apt-cache", &["depends", name]);
        let mut finished = ask()?;
        if !finished.status.success() {
            tools::update_package_lists(&self.context.progress, &self.context.interrupts)?;
            finished = ask()?;
        }
        let names = finished.text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        names.into_iter().find(|found| found.starts_with(begins_with)).map(str::to_owned).ok_or_else(|| {
            Failure::Environment(format!(
                "apt-cache does not say which package {name} stands for\n\
                 to fetch the package lists: sudo apt-get update"
            ))
        })
    }

    /// Fetches those packages that are not in the folder yet.
    pub(super) fn fetch(&self, packages: &[Package]) -> Result<(), Failure> {
        let missing: Vec<_> = packages.iter().filter(|package| !self.path(package).is_file()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        // apt-get may be stopped halfway; what it has written until then must not look like a package.
        let fresh = tempfile::tempdir_in(&self.folder)
            .map_err(|error| Failure::file("cannot write in", &self.folder, &error))?;
        let mut command = apt("apt-get");
        command.current_dir(fresh.path()).args(["-q", "download"]);
        command.args(missing.iter().map(|package| format!("{}={}", package.name, package.version)));
        let finished = process::run(&mut command, "apt-get", &self.context.interrupts, &mut |_| ())?;
        for package in missing {
            let (from, to) = (fresh.path().join(&package.file), self.path(package));
            if fs::rename(&from, &to).is_err() {
                return Err(Failure::Environment(format!(
                    "cannot fetch Debian's package {} for the comparison: {}\n\
                     it needs a network; without --peers the benchmark does not",
                    package.name,
                    finished.complaint()
                )));
            }
        }
        Ok(())
    }

    /// Hands each file of a package to `on_file`: its path in the package, and its content to read.
    pub(super) fn read(
        &self,
        package: &Package,
        on_file: &mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let path = self.path(package);
        self.verify(package, &path)?;
        package::for_each_file(&path, &self.context.interrupts, on_file)
    }

    /// Makes sure that the file is what the package lists promise.
    fn verify(&self, package: &Package, path: &Path) -> Result<(), Failure> {
        let content = fs::read(path).map_err(|error| Failure::file("cannot read", path, &error))?;
        match &package.sha256 {
            Some(promised) if *promised != hex(&Sha256::digest(content)) => {
                Err(package::unreadable(path, "it is not the file that the package lists promise; remove it"))
            }
            _ => Ok(()),
        }
    }

    fn path(&self, package: &Package) -> PathBuf {
        self.folder.join(&package.file)
    }

    fn ask(&self, names: &[&str]) -> Result<Option<Vec<Package>>, Failure> {
        let finished = self.run("apt-get", &[&["-q", "download", "--print-uris"], names].concat())?;
        let packages: Vec<_> = finished.text.lines().filter_map(Package::parse).collect();
        Ok((packages.len() == names.len()).then_some(packages))
    }

    fn run(&self, program: &'static str, arguments: &[&str]) -> Result<Finished, Failure> {
        process::run(apt(program).args(arguments), program, &self.context.interrupts, &mut |_| ())
    }
}

/// One of apt's programs, which speak the language of the environment.
fn apt(program: &str) -> Command {
    let mut command = process::command(Path::new(program));
    command.env("LC_ALL", "C");
    command
}

/// What makes this set of packages different from every other one.
pub(super) fn identity(packages: &[Package]) -> String {
    let line = |package: &Package| format!("{} {}\n", package.file, package.sha256.as_deref().unwrap_or(""));
    packages.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "'http://deb.debian.org/debian/pool/main/b/busybox/b.deb' \
        busybox-static_1%3a1.35.0-4_amd64.deb 928188 SHA256:0123456789abcdef0123";

    #[test]
    fn reads_what_the_lists_say_of_a_package() {
        let package = Package::parse(LINE).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("busybox-static", "1:1.35.0-4"));
        assert_eq!(package.describe(), "busybox-static 1:1.35.0-4 (SHA-256 0123456789abcdef…)");
        for other in ["", "'x' y", "E: Unable to locate package x", "'x' name-only 1 SHA256:0"] {
            assert_eq!(Package::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_new_version_makes_another_set() {
        let old = Package::parse(LINE).unwrap();
        let new = Package { file: "busybox-static_2_amd64.deb".into(), ..old.clone() };
        assert_ne!(identity(&[old]), identity(&[new]));
    }
}
