//! Debian's packages, as they are published: read, and never installed.

use std::{
    io::{self, Read},
    path::Path,
    process::Stdio,
};

use crate::{
    Failure,
    interrupts::Interrupts,
    process::{self, Child},
    tools,
};

/// Hands each file of a package to `on_file`: its path in the package, and its content to read.
///
/// # Errors
///
/// When the package cannot be read, or somebody asks to stop.
pub fn for_each_file(
    package: &Path,
    interrupts: &Interrupts,
    on_file: &mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut command = process::command(&tools::path(tools::DPKG_DEB)?);
    command.arg("--fsys-tarfile").arg(package);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Child::start(&mut command, "dpkg-deb")?;
    let tar = child.pipes().stdout.ok_or_else(|| unreadable(package, "dpkg-deb has no output"))?;
    for_each_in(tar, on_file).map_err(|error| unreadable(package, &error.to_string()))?;
    interrupts.check()
}

/// Why a package is of no use.
#[must_use]
pub fn unreadable(package: &Path, why: &str) -> Failure {
    Failure::Environment(format!("cannot read the package {}: {why}", package.display()))
}

fn for_each_in(
    tar: impl Read,
    on_file: &mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let path = entry.path()?.display().to_string();
            on_file(&path, &mut entry)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_regular_files_only() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        tar.append_data(&mut header, "bin/tool", &b"abc"[..]).unwrap();
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, "bin/link", "tool").unwrap();
        let mut seen = Vec::new();
        for_each_in(&tar.into_inner().unwrap()[..], &mut |path, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            seen.push((path.to_owned(), bytes));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [("bin/tool".to_owned(), b"abc".to_vec())]);
    }
}
